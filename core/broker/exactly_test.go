package broker_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"greengate/core/message"
	"greengate/core/router"
)

// publishAs sends a QoS 2 PUBLISH under an id of the test's choice.
func (c *client) publishAs(id uint16, dup bool, topic, payload string) {
	c.t.Helper()
	first := byte(0x34)
	if dup {
		first |= 8
	}
	c.write(packet(first, text(topic), binary.BigEndian.AppendUint16(nil, id), []byte(payload))) // MQTT 3.1.1
}

// expectID reads an acknowledgement of an id.
func (c *client) expectID(first byte, id uint16) {
	c.t.Helper()
	if got := binary.BigEndian.Uint16(c.expect(first)); got != id {
		c.t.Fatalf("packet %#x has the id %d, want %d", first, got, id)
	}
}

func (c *client) ack(first byte, id uint16) {
	c.t.Helper()
	c.write(packet(first, binary.BigEndian.AppendUint16(nil, id)))
}

// next reads a PUBLISH and does not answer.
func (c *client) next() got {
	c.t.Helper()
	first, body, err := c.read()
	if err != nil || first>>4 != 3 {
		c.t.Fatalf("want a PUBLISH, got %#x % x, %v", first, body, err)
	}
	return c.decode(first, body)
}

// oneByOne is a client that takes one message at a time, and keeps its session.
var oneByOne = connectOptions{v5: true, persist: true, props: []byte{0x11, 0xff, 0xff, 0xff, 0xff, 0x21, 0, 1}}

// leave ends a connection so that its session has nothing in between.
func (s *site) leave(c *client, thing string) {
	s.t.Helper()
	c.conn.Close()
	s.until(thing+" is away", func() bool { return !s.connected(thing) })
}

// A QoS 2 message that its client sends again after a restart is not delivered again; once
// it is released, its id brings a new one.
func TestReceivedOutlivesTheBroker(t *testing.T) {
	d := newDisk(t)
	d.startOn(everything, func(s *site) {
		b := s.connect("b", oneByOne)
		b.subscribe(2, "t")
		s.leave(b, "b")
		a := s.connect("a", keep)
		a.publishAs(7, false, "t", "old")
		a.expectID(0x50, 7)
		a.publishAs(8, false, "t", "released")
		a.expectID(0x50, 8)
		a.ack(0x62, 8)
		a.expectID(0x70, 8) // it is off the disk
	})
	d.startOn(everything, func(s *site) {
		a := s.connect("a", keep)
		a.publishAs(7, true, "t", "old")
		a.expectID(0x50, 7)
		a.publishAs(8, false, "t", "new")
		a.expectID(0x50, 8)
		for _, id := range []uint16{7, 8} {
			a.ack(0x62, id)
			a.expectID(0x70, id)
		}
		a.publishAs(7, false, "t", "newer")
		a.expectID(0x50, 7)
		b := s.connect("b", oneByOne)
		for i, want := range []string{"old", "released", "new", "newer"} {
			g := b.next()
			if g.payload != want || g.qos != 2 || g.dup != (i < 2) {
				t.Fatalf("got %+v, want %s", g, want)
			}
			b.ack(0x50, g.id)
			b.expectID(0x62, g.id)
			b.ack(0x70, g.id)
		}
		b.silent()
		s.settled()
	})
	d.startOn(everything, func(s *site) {
		s.connect("b", keep).silent()
		if n := s.router.Ledger(); n != (router.Counts{}) {
			t.Errorf("the ledger has %+v", n)
		}
		a := s.connect("a") // a clean start
		a.publishAs(7, false, "t", "of another session")
		a.expectID(0x50, 7)
		b := s.connect("b", keep)
		if g := b.next(); g.payload != "of another session" {
			t.Errorf("got %+v", g)
		}
	})
}

// A message on its way comes again under its id over a restart until PUBREC, and PUBREL
// until PUBCOMP, and no message more.
func TestSentOutlivesTheBroker(t *testing.T) {
	d := newDisk(t)
	var ids []uint16
	d.startOn(everything, func(s *site) {
		b := s.connect("b", keep)
		b.subscribe(2, "t")
		a := s.connect("a")
		for _, payload := range []string{"one", "two", "three"} {
			a.send("t", 2, payload)
			ids = append(ids, b.next().id)
		}
		b.ack(0x50, ids[1])
		b.expectID(0x62, ids[1])
	})
	for life := range 3 {
		d.startOn(everything, func(s *site) {
			if n := s.router.Ledger(); n.Waiting != 2-uint64(life/2) {
				t.Errorf("life %d: the ledger has %+v", life, n)
			}
			b := s.connect("b", keep)
			if life == 2 {
				b.expectID(0x62, ids[0])
			}
			b.expectID(0x62, ids[1])
			if life < 2 {
				if g := b.next(); g.payload != "one" || g.id != ids[0] || !g.dup {
					t.Errorf("life %d: got %+v", life, g)
				}
			}
			if g := b.next(); g.payload != "three" || g.id != ids[2] || !g.dup {
				t.Errorf("life %d: got %+v", life, g)
			}
			switch life {
			case 1:
				b.ack(0x50, ids[0])
				b.expectID(0x62, ids[0])
			case 2:
				b.ack(0x70, ids[1])
				b.ack(0x70, ids[0])
				b.ack(0x50, ids[2])
				b.expectID(0x62, ids[2])
				b.ack(0x70, ids[2])
				s.connect("a").send("t", 2, "four")
				if g := b.next(); g.payload != "four" || g.dup {
					t.Errorf("got %+v", g)
				} else {
					b.ack(0x50, g.id)
					b.expectID(0x62, g.id)
					b.ack(0x70, g.id)
				}
				b.silent()
				s.settled()
			}
		})
	}
	d.startOn(everything, func(s *site) { s.connect("b", keep).silent() })
}

// notes takes messages for the cloud and keeps their receipts.
type notes struct {
	got  chan string
	held chan *router.Receipt
}

func (n *notes) Deliver(d *router.Delivery, _ *router.Hop) (router.Verdict, router.Reason) {
	n.held <- d.Hold()
	n.got <- string(d.Payload)
	return router.Delivered, ""
}

// Of a message that was taken by a former process nobody knows whether the cloud has it:
// it gets it again, and the device does not. And nobody is told that a message is safe
// that is not, on another connection neither.
func TestTakenForTheCloud(t *testing.T) {
	both := rows{{"*", "t", "*"}, {"a", "t", "cloud"}}
	d := newDisk(t)
	cloud := &notes{got: make(chan string, 9), held: make(chan *router.Receipt, 9)}
	d.startOn(both, func(s *site) {
		s.router.Register(message.Cloud, cloud)
		b := s.connect("b", keep)
		b.subscribe(2, "t")
		s.leave(b, "b")
		a := s.connect("a", keep)
		a.publishAs(7, false, "t", "x")
		a.silent()
		again := s.connect("a", keep)
		again.publishAs(7, true, "t", "x")
		again.silent()
		if n := len(cloud.got); n != 1 {
			t.Errorf("the cloud has got it %d times", n)
		}
		// The id is on disk with the message for b.
		s.connect("c").publish("t", 1, "y")
	})
	d.startOn(both, func(s *site) {
		s.router.Register(message.Cloud, cloud)
		for len(cloud.held) > 0 {
			<-cloud.held
		}
		a := s.connect("a", keep)
		a.publishAs(7, true, "t", "x")
		(<-cloud.held).Done()
		a.expectID(0x50, 7)
		b := s.connect("b", keep)
		for _, want := range []string{"x", "y"} {
			if g := b.next(); g.payload != want {
				t.Errorf("got %+v", g)
			}
		}
		b.silent()
	})
}

// While the disk takes nothing, QoS 2 goes on to who is there. Who keeps a session waits
// for the answer to his own, which must be safe.
func TestQoS2WithoutADisk(t *testing.T) {
	d := newDisk(t)
	d.maxBytes = 128 << 10
	large := strings.Repeat("x", 8<<10)
	d.startOn(everything, func(s *site) {
		b, c := s.connect("b", keep), s.connect("c", keep)
		b.subscribe(1, "t")
		c.subscribe(2, "u")
		s.leave(b, "b")
		filler := s.connect("f")
		go func() {
			for range 40 {
				filler.send("t", 1, large)
			}
		}()
		s.until("the disk is full", func() bool { return len(s.broker.Faults()) > 0 })
		a, p := s.connect("a"), s.connect("p", keep)
		for i := range uint16(5) {
			a.publishAs(i+1, false, "u", large)
			g := c.next()
			c.ack(0x50, g.id)
			c.expectID(0x62, g.id)
			c.ack(0x70, g.id)
			a.expectID(0x50, i+1) // c has it
		}
		p.publishAs(7, false, "u", large)
		g := c.next()
		c.ack(0x50, g.id)
		c.expectID(0x62, g.id)
		c.ack(0x70, g.id)
		c.silent()
		b = s.connect("b", keep)
		go func() {
			for {
				if first, body, err := b.read(); err != nil {
					return
				} else if first>>4 == 3 {
					b.ack(0x40, b.decode(first, body).id)
				}
			}
		}()
		p.expectID(0x50, 7) // there is room again
		s.until("the fault is gone", func() bool { return len(s.broker.Faults()) == 0 })
		s.settled()
	})
}
