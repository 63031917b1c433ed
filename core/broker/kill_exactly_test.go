package broker_test

import (
	"encoding/binary"
	"strconv"
	"sync"
	"testing"
)

// QoS 2 between clients that keep their sessions is exactly once, both ways and in
// order, at whatever step the broker is killed: the sender uses each id again as soon as
// it may, one receiver gives a message to its application when it comes, another when it
// is released [MQTT 4.3.3, methods A and B], and a third is away meanwhile.
func TestKilledExactlyOnce(t *testing.T) {
	for _, step := range []string{
		"received 1", "received 4", "accepted 2", "accepted 9", "written 1", "written 3", "written 6",
		"committed 1", "committed 2", "committed 3", "committed 5", "told 1", "told 2", "told 5", "sent 1", "sent 5", "out 4", "out 9",
		"recorded 1", "recorded 5", "released 1", "released 3", "acknowledged 3", "forgotten 1", "forgotten 6",
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			k := newKilled(t)
			k.survive("start", k.start)
			x := newExchange(k)
			k.survive("subscribe", x.subscribe)
			k.order("arm", step)
			if !k.dies(x.run) {
				t.Fatal("the step was never reached")
			}
			k.survive("start after the kill", k.start)
			k.survive("the rest", x.run)
			k.kill()
			k.survive("start once more", k.start)
			k.survive("look", x.look)
		})
	}
}

// numbersSent is how many messages a sender has; sendWindow how many are under way.
const numbersSent, sendWindow = 12, 4

// lasting is a session that is kept for ever.
var lasting = connectOptions{v5: true, persist: true, props: []byte{0x11, 0xff, 0xff, 0xff, 0xff}}

type exchange struct {
	k        *killed
	from     *twiceSender
	to       []*twiceReceiver // who are there
	absent   *twiceReceiver
	sessions map[string]bool
}

func newExchange(k *killed) *exchange {
	t := k.app.t
	return &exchange{
		k: k, from: &twiceSender{}, sessions: map[string]bool{},
		to:     []*twiceReceiver{{t: t, name: "a", held: map[uint16]string{}}, {t: t, name: "b", held: map[uint16]string{}, late: true}},
		absent: &twiceReceiver{t: t, name: "c", held: map[uint16]string{}},
	}
}

// open connects a client, whose session must be there when it was before.
func (x *exchange) open(thing string) *client {
	c, present := x.k.connectSession(thing, lasting)
	if !present && x.sessions[thing] {
		x.k.app.t.Errorf("the session of %s is lost", thing)
	}
	return c
}

func (x *exchange) subscribe() {
	for _, thing := range []string{"a", "b", "c", "p"} {
		c := x.open(thing)
		if thing != "p" {
			c.subscribe(2, "q/two")
		}
		x.sessions[thing] = true
		x.k.leave(c, thing)
	}
}

// run has all who are there work until they are through, or the broker is gone.
func (x *exchange) run() {
	var all sync.WaitGroup
	gone := make(chan any, 1+len(x.to))
	work := func(thing string, f func(c *client)) {
		all.Go(func() {
			defer func() { gone <- recover() }()
			c := x.open(thing)
			f(c)
			c.write([]byte{0xE0, 0})
			c.conn.Close()
		})
	}
	work("p", x.from.run)
	for _, r := range x.to {
		work(r.name, r.run)
	}
	all.Wait()
	close(gone)
	for why := range gone {
		if why != nil {
			panic(why)
		}
	}
}

// look wants nothing to be left but what waits for who was away.
func (x *exchange) look() {
	for _, r := range append(x.to, x.absent) {
		c := x.open(r.name)
		r.run(c)
		x.k.leave(c, r.name)
	}
	p := x.open("p")
	p.silent()
	// Nothing of the past is taken for this one.
	p.publishAs5(1, "q/two", strconv.Itoa(numbersSent))
	p.expectID(0x50, 1)
	if waits := x.k.order("ledger"); waits != "3" {
		x.k.app.t.Errorf("there wait %s, want one message for each", waits)
	}
}

// publishAs5 is publishAs of MQTT 5.
func (c *client) publishAs5(id uint16, topic, payload string, dup ...bool) {
	first := byte(0x34)
	if len(dup) > 0 && dup[0] {
		first |= 8
	}
	c.write(packet(first, text(topic), binary.BigEndian.AppendUint16(nil, id), properties(), []byte(payload)))
}

// twiceSender sends the numbers from 0 with QoS 2, and keeps the state of its session.
type twiceSender struct {
	next  int
	under []*flight // in the order of their numbers
}

type flight struct {
	id       uint16
	number   int
	recorded bool
}

func (s *twiceSender) run(c *client) {
	for _, f := range s.under {
		if f.recorded {
			c.ack(0x62, f.id)
		} else {
			c.publishAs5(f.id, "q/two", strconv.Itoa(f.number), true)
		}
	}
	for s.next < numbersSent || len(s.under) > 0 {
		for s.next < numbersSent && len(s.under) < sendWindow {
			f := &flight{id: s.free(), number: s.next}
			s.under = append(s.under, f)
			s.next++
			c.publishAs5(f.id, "q/two", strconv.Itoa(f.number))
		}
		first, body, err := c.read()
		if err != nil {
			c.t.Fatalf("read an answer: %v", err)
		}
		id := binary.BigEndian.Uint16(body)
		for i, f := range s.under {
			switch {
			case f.id != id:
			case first == 0x50:
				f.recorded = true
				c.ack(0x62, id)
			case first == 0x70:
				s.under = append(s.under[:i:i], s.under[i+1:]...)
			}
		}
	}
}

// free is the lowest id that is not in use.
func (s *twiceSender) free() uint16 {
	for id := uint16(1); ; id++ {
		used := false
		for _, f := range s.under {
			used = used || f.id == id
		}
		if !used {
			return id
		}
	}
}

// twiceReceiver takes the numbers, and keeps the state of its session.
type twiceReceiver struct {
	t    testing.TB
	name string
	late bool // it gives a message to its application at PUBREL
	held map[uint16]string
	has  int // numbers that its application has got
}

// run answers until all numbers have come and are released, and nothing more comes.
func (r *twiceReceiver) run(c *client) {
	for asked, quiet := false, false; ; {
		if r.has == numbersSent && len(r.held) == 0 && !asked {
			c.write([]byte{0xC0, 0})
			asked, quiet = true, true
		}
		first, body, err := c.read()
		if err != nil {
			c.t.Fatalf("%s reads what comes: %v", r.name, err)
		}
		if first == 0xD0 {
			asked = false
			if quiet {
				return
			}
			continue
		}
		quiet = false
		switch first >> 4 {
		case 3:
			g := c.decode(first, body)
			if was, known := r.held[g.id]; known && was != g.payload {
				r.t.Errorf("%s: %s comes under the id of %s", r.name, g.payload, was)
			} else if !known {
				r.held[g.id] = g.payload
				if !r.late {
					r.gets(g.payload)
				}
			}
			c.ack(0x50, g.id)
		case 6:
			id := binary.BigEndian.Uint16(body)
			if text, known := r.held[id]; known {
				delete(r.held, id)
				if r.late {
					r.gets(text)
				}
			}
			c.ack(0x70, id)
		}
	}
}

func (r *twiceReceiver) gets(text string) {
	if want := strconv.Itoa(r.has); text != want {
		r.t.Errorf("%s gets %s, and %s is to come", r.name, text, want)
	}
	r.has = max(r.has, must(strconv.Atoi(text))+1)
}
