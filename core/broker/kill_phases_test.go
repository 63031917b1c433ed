package broker_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// What the clients of a broker do that is killed. Each phase can be begun again after
// the kill: it goes on where the answers of the broker have ended.

// streams are a publisher, a topic and a quality each, of numbers from 0.
var streams = []struct {
	thing, topic string
	qos          byte
}{{"p", "q/one", 1}, {"p", "q/two", 2}, {"p", "gone/x", 1}, {"r", "q/one", 1}, {"r", "gone/x", 2}, {"r", "q/two", 2}}

const (
	perStream = 15
	lot       = 5 // that are sent at once
)

// small is a client with a small window, so that a kill finds it in the middle.
var small = connectOptions{v5: true, persist: true, props: []byte{0x11, 0xff, 0xff, 0xff, 0xff, 0x21, 0, 6}}

// home connects b.
func (k *killed) home() *client {
	b, present := k.connectSession("b", small)
	if k.known && !present {
		k.app.t.Error("the session of b is lost")
	}
	k.known = true
	return b
}

// leave ends a connection in peace, and waits until the broker knows.
func (k *killed) leave(c *client, thing string) {
	c.write([]byte{0xE0, 0})
	c.conn.Close()
	k.order("away", thing)
}

func (k *killed) subscribe() {
	b := k.home()
	for _, filter := range []string{"q/#", "gone/#", "later/+"} {
		if !k.granted[filter] {
			k.granted[filter] = b.subscribe(2, filter)[0] == 2
		}
	}
	k.leave(b, "b")
}

func (k *killed) publish() {
	for _, s := range streams {
		k.numbers(s.thing, s.topic, s.qos, perStream)
	}
}

// numbers publishes those of a stream that are not acknowledged, up to a limit.
func (k *killed) numbers(thing, topic string, qos byte, limit int) {
	c := k.connect(thing)
	name := thing + " " + topic
	for k.next[name] < limit {
		for i := range lot {
			c.send(topic, qos, fmt.Sprint(thing, " ", k.next[name]+i))
		}
		var releases []byte
		for range lot {
			ack := c.expect(0x40 + 0x10*(qos-1)) // PUBACK, or PUBREC: it is the broker's now
			k.next[name]++
			releases = append(releases, packet(0x62, ack[:2])...)
		}
		if qos == 2 {
			c.write(releases)
			for range lot {
				c.expect(0x70)
			}
		}
	}
	c.conn.Close()
}

func (k *killed) retain() {
	c := k.connect("p")
	for value := 1; value <= 2; value++ {
		for i := range 6 {
			topic := fmt.Sprint("kept/", i)
			if k.retained[topic] < value {
				c.publish(topic, 1, fmt.Sprint(value), true)
				k.retained[topic] = value
			}
		}
	}
	c.conn.Close()
}

// reload takes the rows of gone/x away while its messages wait.
func (k *killed) reload() {
	if k.phase == "restart" {
		return // a start drops them
	}
	k.table = "narrow" // as the file is, from before the reload
	k.order("table", "narrow")
	k.numbers("p", "later/x", 1, lot) // its acknowledgement means that all before is on disk
}

// restart kills the broker, and starts one that reads all back, and drops what has no
// row any more.
func (k *killed) restart() {
	k.table = "narrow"
	k.kill()
	k.start()
	k.numbers("r", "later/x", 1, lot)
}

// drain has b take everything that waits, which has left the disk when a later publish
// is acknowledged.
func (k *killed) drain() {
	b := k.home()
	k.app.take(b, k.expected())
	k.leave(b, "b")
	had := map[string]int{}
	for name, has := range k.app.has {
		had[name] = min(has, k.next[name]) // what is not acknowledged is published again
	}
	k.numbers("p", "q/one", 1, perStream+lot)
	k.app.left = had
}

// expected are the numbers that b must get of each stream.
func (k *killed) expected() map[string]int {
	want := map[string]int{}
	for name, next := range k.next {
		if !strings.Contains(name, " gone/") {
			want[name] = next
		}
	}
	return want
}

// end begins a session that then ends with a message that waits for it.
func (k *killed) end() {
	e := k.connect("e", connectOptions{v5: true, props: small.props}) // a clean start, and kept
	e.subscribe(1, "end/x")
	k.leave(e, "e")
	k.connect("p").publish("end/x", 1, "for e")
	k.leave(k.connect("e"), "e") // a clean start
	k.connect("p").publish("kept/end", 1, "1", true)
	k.retained["kept/end"] = 1
}

// again kills the broker once more, and looks at what is there.
func (k *killed) again() {
	k.kill()
	k.start()
	b := k.home()
	k.app.take(b, k.expected())
	if waits := k.order("ledger"); waits != "0" {
		k.app.t.Errorf("in the end there wait: %s", waits)
	}
	c := k.connect("c")
	c.subscribe(1, "kept/#")
	got := map[string]int{}
	for range k.retained {
		g := c.message()
		var value int
		_, _ = fmt.Sscan(g.payload, &value)
		got[g.topic] = value
	}
	for topic, value := range k.retained {
		if got[topic] != value {
			k.app.t.Errorf("%s has %d retained, want %d", topic, got[topic], value)
		}
	}
	if _, present := k.connectSession("e", small); present {
		k.app.t.Error("the session that has ended is there again")
	}
}

// app is the application behind b, and its books.
type app struct {
	t    testing.TB
	held map[uint16]string // QoS 2 messages that wait for their PUBREL [MQTT-4.3.3-10]
	has  map[string]int    // how many numbers of each stream have come
	left map[string]int    // how many of them have left the disk, and must not come again
}

func newApp(t testing.TB) app {
	return app{t: t, held: map[uint16]string{}, has: map[string]int{}, left: map[string]int{}}
}

// gets takes "THING TOPIC NUMBER".
func (a *app) gets(text string) {
	at := strings.LastIndex(text, " ")
	name := text[:at]
	var n int
	if _, err := fmt.Sscan(text[at:], &n); err != nil {
		a.t.Fatalf("%q: %v", text, err)
	}
	switch has := a.has[name]; {
	case n < a.left[name]:
		a.t.Errorf("%s comes again after it had left the disk", text)
	case n > has:
		a.t.Errorf("%s comes when %d is to come", text, has)
	case n == has:
		a.has[name]++
	}
}

// take answers what the broker sends until everything wanted has come, and nothing more.
func (a *app) take(b *client, want map[string]int) {
	missing := func() bool {
		for name, n := range want {
			if a.has[name] < n {
				return true
			}
		}
		return false
	}
	for asked, quiet := false, false; missing() || !quiet; {
		if !missing() && !asked {
			b.write([]byte{0xC0, 0})
			asked, quiet = true, true
		}
		first, body, err := b.read()
		if err != nil {
			b.t.Fatalf("take what waits: %v", err)
		}
		quiet = quiet && first>>4 == 0xD
		switch first >> 4 {
		case 3:
			g := b.decode(first, body)
			thing, number, _ := strings.Cut(g.payload, " ")
			text := thing + " " + g.topic + " " + number
			id := binary.BigEndian.AppendUint16(nil, g.id)
			if g.qos == 1 {
				a.gets(text)
				b.write(packet(0x40, id))
			} else {
				a.held[g.id] = text
				b.write(packet(0x50, id))
			}
		case 6:
			id := binary.BigEndian.Uint16(body)
			if text, ok := a.held[id]; ok {
				delete(a.held, id)
				a.gets(text)
			}
			b.write(packet(0x70, body[:2]))
		case 0xD:
			asked = false
		}
	}
}
