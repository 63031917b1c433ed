package broker_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"greengate/core/message"
	"greengate/core/router"
)

// A client that breaks the protocol gets the answer of the protocol, and the
// others notice nothing.
func TestMalformed(t *testing.T) {
	s := start(t, everything)
	witness := s.connect("witness")
	witness.subscribe(0, "t")
	manyLevels := strings.Repeat("/", 65534)
	for _, test := range []struct {
		name string
		send []byte
		code byte
	}{
		{"QoS 3", packet(0x36, text("t"), []byte{0, 1, 0}), 0x81},
		{"topic with NUL", packet(0x30, text("a\x00b"), []byte{0}), 0x90},
		{"topic that is no UTF-8", packet(0x30, text("a\xff"), []byte{0}), 0x90},
		{"topic with a wildcard", packet(0x30, text("a/#"), []byte{0}), 0x90},
		{"no topic", packet(0x30, text(""), []byte{0}), 0x82},
		{"unknown alias", packet(0x30, text(""), properties(0x23, 0, 5)), 0x82},
		{"alias 0", packet(0x30, text("t"), properties(0x23, 0, 0)), 0x94},
		{"alias too high", packet(0x30, text("t"), properties(0x23, 9, 9)), 0x94},
		{"packet id 0", packet(0x32, text("t"), []byte{0, 0, 0}), 0x82},
		{"topic longer than the packet", packet(0x30, []byte{0xFF, 0xFF, 'a'}), 0x81},
		{"publish without anything", packet(0x30), 0x81},
		{"properties longer than the packet", packet(0x30, text("t"), []byte{0x7F}), 0x81},
		{"property twice", packet(0x30, text("t"), properties(1, 1, 1, 1)), 0x82},
		{"subscription identifier from a client", packet(0x30, text("t"), properties(0x0B, 1)), 0x82},
		{"300 MB", []byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, 't'}, 0x95},
		{"length of five bytes", []byte{0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1}, 0x81},
		{"subscribe without options", packet(0x82, []byte{0, 1, 0}, text("t")), 0x81},
		{"subscribe without filters", packet(0x82, []byte{0, 1, 0}), 0x82},
		{"subscribe with wrong flags", packet(0x80, []byte{0, 1, 0}, text("t"), []byte{0}), 0x81},
		{"unsubscribe cut short", packet(0xA2, []byte{0, 1, 0, 0, 9, 't'}), 0x81},
		{"PUBREL with wrong flags", packet(0x60, []byte{0, 1}), 0x81},
		{"PUBACK without id", packet(0x40), 0x81},
		{"second CONNECT", packet(0x10, text("MQTT"), []byte{5, 2, 0, 0, 0}, text("a")), 0x82},
		{"packet of a server", packet(0x20, []byte{0, 0, 0}), 0x82},
		{"type 0", []byte{0x00, 0}, 0x81},
		{"AUTH", packet(0xF0, []byte{0x18, 0}), 0x82},
		{"ping with a body", packet(0xC0, []byte{1}), 0x81},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := s.connect("a", connectOptions{v5: true})
			a.write(test.send)
			if code := a.closed(); code != test.code {
				t.Errorf("DISCONNECT %#x, want %#x", code, test.code)
			}
			if old := s.connect("a"); !strings.Contains(test.name, "propert") && !strings.Contains(test.name, "alias") &&
				!strings.Contains(test.name, "identifier") && test.name != "AUTH" {
				old.write(test.send)
				old.closed()
			}
		})
	}
	a := s.connect("a", connectOptions{v5: true})
	if codes := a.subscribe(1, manyLevels); codes[0] != 0x8F {
		t.Errorf("65,535 levels: SUBACK %#x", codes[0])
	}
	a.publish("t", 0, "alive")
	if g := witness.message(); g.payload != "alive" {
		t.Errorf("got %+v", g)
	}
}

// Garbage instead of a CONNECT ends that connection only.
func TestGarbageFirst(t *testing.T) {
	s := start(t, everything)
	for _, b := range [][]byte{{0x30, 0}, {0x10, 0}, []byte("GET / HTTP/1.1\r\n\r\n"), bytes.Repeat([]byte{0xFF}, 100),
		packet(0x10, text("MQTT"), []byte{9, 2, 0, 0}, text("a"))} {
		c := s.dial("a")
		c.write(b)
		c.closed()
	}
	s.connect("a").silent()
}

// Bytes may come one at a time, or a whole session in one write.
func TestFraming(t *testing.T) {
	s := start(t, everything)
	c := s.dial("a")
	all := slices.Concat(
		packet(0x10, text("MQTT"), []byte{4, 2, 0, 0}, text("a")),
		packet(0x82, []byte{0, 1}, text("t"), []byte{0}),
		packet(0x30, text("t"), bytes.Repeat([]byte("x"), 100_000)),
		[]byte{0xC0, 0},
	)
	check := func(c *client) {
		c.expect(0x20)
		c.expect(0x90)
		if g := c.message(); len(g.payload) != 100_000 {
			t.Errorf("%d bytes came", len(g.payload))
		}
		c.expect(0xD0)
	}
	c.write(all)
	check(c)
	d := s.dial("a")
	for i := range 200 {
		d.write(all[i : i+1])
	}
	d.write(all[200:])
	check(d)
}

func TestProperties(t *testing.T) {
	s := start(t, everything)
	a, b := s.connect("a", connectOptions{v5: true}), s.connect("b", connectOptions{v5: true})
	b.write(packet(0x82, []byte{0, 1}, properties(0x0B, 7), text("t"), []byte{0}))
	b.expect(0x90)
	b.write(packet(0x82, []byte{0, 2}, properties(0x0B, 0x80, 2), text("+"), []byte{0}))
	b.expect(0x90)
	user := slices.Concat([]byte{0x26}, text("k"), text("v"))
	props := slices.Concat([]byte{1, 1}, []byte{3}, text("application/json"), []byte{8}, text("reply"), []byte{9}, text("id"), user, user)
	a.write(packet(0x30, text("t"), properties(slices.Concat(props, []byte{0x23, 0, 1}, []byte{2, 0, 0, 0, 100})...), []byte("first")))
	a.write(packet(0x30, text(""), properties(0x23, 0, 1), []byte("by alias")))
	g := b.message()
	if !strings.HasSuffix(g.props, string(props)) || g.payload != "first" {
		t.Errorf("got %+v", g)
	}
	if left := binary.BigEndian.Uint32([]byte(g.props[1:5])); g.props[0] != 2 || left != 100 {
		t.Errorf("expiry % x", g.props[:5])
	}
	if ids := g.props[5:10]; ids != "\x0b\x07\x0b\x80\x02" && ids != "\x0b\x80\x02\x0b\x07" {
		t.Errorf("subscription identifiers % x", ids)
	}
	if g := b.message(); g.topic != "t" || g.payload != "by alias" {
		t.Errorf("got %+v", g)
	}
}

// The client's receive maximum and maximum packet size are honoured.
func TestClientLimits(t *testing.T) {
	s := start(t, everything)
	b := s.connect("b", connectOptions{v5: true, props: []byte{0x21, 0, 2, 0x27, 0, 0, 0, 50}})
	b.subscribe(1, "t")
	a := s.connect("a")
	a.publish("t", 1, strings.Repeat("x", 100))
	for _, p := range []string{"1", "2", "3"} {
		a.publish("t", 1, p)
	}
	read := func() got {
		first, body, err := b.read()
		if err != nil || first>>4 != 3 {
			t.Fatalf("got %#x, %v", first, err)
		}
		return b.decode(first, body)
	}
	one, two := read(), read()
	if one.payload != "1" || two.payload != "2" {
		t.Errorf("got %+v %+v", one, two)
	}
	b.silent() // the third waits for an acknowledgement
	b.write(packet(0x40, binary.BigEndian.AppendUint16(nil, two.id)))
	b.write(packet(0x40, binary.BigEndian.AppendUint16(nil, one.id)))
	if g := b.message(); g.payload != "3" {
		t.Errorf("got %+v", g)
	}
	if n := s.settled(); n.Delivered != 3 || n.Dropped != 1 || !noted(s, "too-large") {
		t.Errorf("ledger %+v", n)
	}
}

func TestKeepAlive(t *testing.T) {
	s := start(t, everything)
	a := s.connect("a", connectOptions{v5: true, keepAlive: 1})
	begin := time.Now()
	if code := a.closed(); code != 0x8D {
		t.Errorf("DISCONNECT %#x", code)
	}
	if took := time.Since(begin); took < 1400*time.Millisecond {
		t.Errorf("cut after %v, want one and a half keep-alives", took)
	}
	long := s.connect("a", connectOptions{keepAlive: 65535})
	long.silent()
}

// An expired message does not go out; a session ends when its time is over.
func TestExpiry(t *testing.T) {
	s := start(t, everything)
	b := s.connect("b", connectOptions{v5: true, persist: true, props: []byte{0x11, 0xFF, 0xFF, 0xFF, 0xFF}})
	b.subscribe(1, "t")
	b.conn.Close()
	s.until("b is away", func() bool { return !s.connected("b") })
	a := s.connect("a", connectOptions{v5: true})
	a.write(packet(0x32, text("t"), []byte{0, 1}, properties(2, 0, 0, 0, 0), []byte("late")))
	a.expect(0x40)
	a.publish("t", 1, "in time")
	b = s.connect("b", connectOptions{v5: true, persist: true, props: []byte{0x11, 0, 0, 0, 1}})
	if g := b.message(); g.payload != "in time" {
		t.Errorf("got %+v", g)
	}
	b.conn.Close()
	s.until("the session ends", func() bool { return len(s.broker.Devices()) == 1 })
	if n := s.settled(); n.Expired != 1 || n.Delivered != 1 {
		t.Errorf("ledger %+v", n)
	}
}

// durable is a target that gives its receipts when told.
type durable struct{ receipts chan *router.Receipt }

func (d durable) Deliver(in *router.Delivery, _ *router.Hop) (router.Verdict, router.Reason) {
	d.receipts <- in.Hold()
	return router.Delivered, ""
}

// Acknowledgements leave when the message is safe, in the order of the
// publishes, and the reader does not wait for them.
func TestAcknowledgedWhenSafe(t *testing.T) {
	s := start(t, rows{{"a", "cloud/#", "cloud"}, {"a", "t", "a"}})
	disk := durable{make(chan *router.Receipt, 10)}
	s.router.Register(message.Cloud, disk)
	a := s.connect("a")
	a.send("cloud/1", 1, "")
	a.send("cloud/2", 1, "")
	a.send("t", 1, "needs no disk")
	a.silent() // three publishes are read, none is acknowledged
	first, second := <-disk.receipts, <-disk.receipts
	second.Done()
	a.silent()
	first.Done()
	for id := byte(1); id <= 3; id++ {
		if ack := a.expect(0x40); ack[1] != id {
			t.Errorf("PUBACK of %d, want %d", ack[1], id)
		}
	}
}

// A message that a target cannot take is not acknowledged: MQTT 5 is told so, a
// client of 3.1.1 is cut.
func TestNotSafe(t *testing.T) {
	s := start(t, rows{{"*", "cloud", "cloud"}, {"*", "t", "*"}})
	disk := durable{make(chan *router.Receipt, 10)}
	s.router.Register(message.Cloud, disk)
	five, old := s.connect("a", connectOptions{v5: true}), s.connect("b")
	five.send("cloud", 1, "")
	(<-disk.receipts).Fail()
	if ack := five.expect(0x40); len(ack) < 3 || ack[2] != 0x97 {
		t.Errorf("PUBACK % x", ack)
	}
	five.publish("t", 1, "goes on")
	old.send("cloud", 1, "")
	(<-disk.receipts).Fail()
	old.closed()
}

func TestUnsubscribe(t *testing.T) {
	s := start(t, everything)
	a := s.connect("a", connectOptions{v5: true, persist: true, props: []byte{0x11, 0, 0, 0, 60}})
	a.subscribe(0, "t")
	a.conn.Close()
	s.until("a is away", func() bool { return !s.connected("a") })
	a = s.connect("a", connectOptions{v5: true, persist: true, props: []byte{0x11, 0, 0, 0, 60}})
	a.publish("t", 0, "x")
	a.message()
	a.write(packet(0xA2, []byte{0, 1, 0}, text("t"), text("u")))
	if ack := a.expect(0xB0); !slices.Equal(ack, []byte{0, 1, 0, 0, 0x11}) {
		t.Errorf("UNSUBACK % x", ack)
	}
	a.publish("t", 0, "x")
	a.silent()
}
