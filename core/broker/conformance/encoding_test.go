package conformance

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"
	"time"
)

var encodingChecks = []check{
	{"5-1.5.4-1 3-1.5.3-1", "a string that is not well-formed UTF-8 (a surrogate, an overlong form, beyond U+10FFFF, cut short) closes the connection, wherever it stands",
		func(t *testing.T, v5 bool) {
			for _, bad := range []string{"\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80", "\xe2\x82", "\xff"} {
				wrongString(t, v5, bad, spots)
			}
		}},
	{"5-1.5.4-2 3-1.5.3-2", "a string with U+0000 closes the connection, wherever it stands",
		func(t *testing.T, v5 bool) { wrongString(t, v5, "\x00", spots) }},
	{"5-1.5.4-3 3-1.5.3-3", "U+FEFF is a character like any other: it is neither skipped nor stripped", keepsBOM},
	{"5-1.5.5-1", "lengths that the gateway sends have as few bytes as can be", fewestBytes},
	{"5-1.5.7-1", "both strings of a user property are checked",
		func(t *testing.T, v5 bool) {
			for _, bad := range []string{"\xed\xa0\x80", "\xff", "\x00"} {
				wrongString(t, v5, bad, userSpots)
			}
		}},
	{"5-2.1.3-1 3-2.2.2-1 3-2.2.2-2", "reserved flags in the first byte close the connection, with 0x81 in MQTT 5", reservedFlags},
	{"5-2.2.1-2 3-2.3.1-5", "a PUBLISH with QoS 0 has no packet identifier", noIdentifier},
	{"5-2.2.1-3 3-2.3.1-1", "the packet identifier 0 closes the connection", zeroIdentifier},
	{"5-2.2.1-4 3-2.3.1-4", "messages to a client have identifiers other than 0 that are not in use", freeIdentifiers},
	{"5-2.2.1-5 3-2.3.1-6", "acknowledgements have the identifier of their PUBLISH", sameIdentifier},
	{"5-2.2.1-6 3-2.3.1-7", "SUBACK and UNSUBACK have the identifier of what they answer", sameRequestIdentifier},
	{"5-2.2.2-1", "where there are no properties a length of 0 stands, both ways", emptyProperties},
}

// spot is a place for a string in a packet.
type spot struct {
	only5   bool
	connect bool // the packet is a CONNECT
	packet  func(c *client, s string) []byte
}

var spots = slices.Concat(userSpots, []spot{
	{packet: func(c *client, s string) []byte { return c.publishPacketOf(message{topic: "a" + s}) }},
	{packet: func(c *client, s string) []byte {
		return c.subscribePacketOf(1, nil, subscription{"a" + s, 0})
	}},
	{packet: func(c *client, s string) []byte {
		body := u16(1)
		if c.v5 {
			body = append(body, 0)
		}
		return packet(unsubscribePacket, body, str("a"+s))
	}},
	{only5: true, packet: func(c *client, s string) []byte {
		return c.publishPacketOf(message{topic: "a", props: prop(0x03, str(s))})
	}},
	{only5: true, packet: func(c *client, s string) []byte {
		return c.publishPacketOf(message{topic: "a", props: prop(0x08, str(s))})
	}},
	{only5: true, packet: func(c *client, s string) []byte {
		return packet(disconnectPacket, []byte{0}, properties(prop(0x1F, str(s))))
	}},
	{connect: true, packet: func(c *client, s string) []byte {
		id := c.name + s
		return c.connect(c.v5, connect{id: &id})
	}},
	{connect: true, packet: func(c *client, s string) []byte { return c.connect(c.v5, connect{user: &s}) }},
	{connect: true, packet: func(c *client, s string) []byte {
		return c.connect(c.v5, connect{will: &will{topic: "a" + s}})
	}},
})

var userSpots = []spot{
	{only5: true, packet: func(c *client, s string) []byte {
		return c.publishPacketOf(message{topic: "a", props: user(s, "v")})
	}},
	{only5: true, packet: func(c *client, s string) []byte {
		return c.publishPacketOf(message{topic: "a", props: user("n", s)})
	}},
	{only5: true, packet: func(c *client, s string) []byte {
		return c.subscribePacketOf(1, user("n", s), subscription{"a", 0})
	}},
	{only5: true, connect: true, packet: func(c *client, s string) []byte {
		return c.connect(true, connect{props: user(s, "v")})
	}},
	{only5: true, connect: true, packet: func(c *client, s string) []byte {
		return c.connect(true, connect{will: &will{topic: "a", props: user("n", s)}})
	}},
}

// wrongString sends a string at each of the spots, and the connection must be closed.
func wrongString(t *testing.T, v5 bool, s string, spots []spot) {
	t.Helper()
	thing := int(site.next.Add(1)) - 1
	for i, p := range spots {
		if p.only5 && !v5 {
			continue
		}
		c := dial(t, thing)
		if c.v5 = v5; !p.connect {
			c.hello(v5, connect{})
		}
		c.write(p.packet(c, s))
		if code := c.closed(); v5 && code < 0x80 || !v5 && code != -1 {
			t.Errorf("%q at spot %d: closed with %#x", s, i, code)
		}
	}
}

func keepsBOM(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5)
	c.subscribe(0, "\ufeff"+topic)
	c.subscribe(0, topic+"/\ufeffx")
	c.publish2(message{topic: topic, payload: "no"})
	c.publish2(message{topic: "\ufeff" + topic, payload: "first"})
	c.publish2(message{topic: topic + "/x", payload: "no"})
	c.publish2(message{topic: topic + "/\ufeffx", payload: "second"})
	for _, want := range []message{{topic: "\ufeff" + topic, payload: "first"}, {topic: topic + "/\ufeffx", payload: "second"}} {
		if m := c.got(); m.topic != want.topic || m.payload != want.payload {
			t.Errorf("got %q on %q", m.payload, m.topic)
		}
	}
}

// publish2 sends a QoS 0 message and does not wait.
func (c *client) publish2(m message) { c.t.Helper(); c.write(c.publishPacketOf(m)) }

// fewestBytes reads packets whose lengths lie at the edges of the encoding.
func fewestBytes(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5)
	c.subscribe(0, topic)
	edges := func(send func(n int) []byte) {
		for _, edge := range []int{1 << 7, 1 << 14, 1 << 21} {
			for n := edge - 12; n < edge+2; n++ {
				c.write(send(n))
				if first := c.length(); first != publishPacket {
					t.Fatalf("packet %#x", first)
				}
			}
		}
	}
	edges(func(n int) []byte { return c.publishPacketOf(message{topic: topic, payload: long(n)}) })
	for n := 110; n < 130; n++ {
		c.write(c.publishPacketOf(message{topic: topic, props: user("n", long(n))}))
		m := c.got()
		if want := properties(user("n", long(n))); !bytes.Equal(properties(m.props), want) {
			t.Errorf("properties % x", m.props)
		}
	}
}

// length reads a packet and checks how its length is written.
func (c *client) length() (first byte) {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	first, err := c.r.ReadByte()
	var written []byte
	for err == nil {
		var b byte
		b, err = c.r.ReadByte()
		if written = append(written, b); b < 0x80 {
			break
		}
	}
	n, _ := binary.Uvarint(written)
	if !bytes.Equal(written, varint(int(n))) {
		c.t.Errorf("a length of % x", written)
	}
	if err == nil {
		_, err = io.CopyN(io.Discard, c.r, int64(n))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return first
}

func reservedFlags(t *testing.T, v5 bool) {
	thing := int(site.next.Add(1)) - 1
	for first, body := range map[byte][]byte{
		0x41: u16(1), 0x52: u16(1), 0x60: u16(1), 0x63: u16(1), 0x6A: u16(1), 0x78: u16(1),
		0x80: nil, 0x83: nil, 0x8A: nil, 0x86: nil, 0xA0: nil, 0xA6: nil, 0xC1: {}, 0xC8: {}, 0xE1: {}, 0xE2: {},
	} {
		c := joinAs(t, thing, v5)
		if body == nil {
			body = c.subscribePacketOf(1, nil, subscription{"a", 0})[2:]
		}
		c.refused(0x81, packet(first, body))
	}
	if v5 {
		joinAs(t, thing, v5).refused(0x81, packet(0xF1, []byte{0x19, 0}))
	}
	c := dial(t, thing)
	hello := c.connect(v5, connect{})
	hello[0] = 0x12
	c.write(hello)
	if code := c.closed(); code >= 0 && code < 0x80 {
		t.Errorf("CONNECT with flags: CONNACK %#x", code)
	}
}

func noIdentifier(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5)
	c.subscribe(2, topic)
	c.write(c.publishPacketOf(message{topic: topic, payload: "x"}))
	want := str(topic)
	if v5 {
		want = append(want, 0)
	}
	if got := c.expect(publishPacket); !bytes.Equal(got, append(want, 'x')) {
		t.Errorf("PUBLISH % x", got)
	}
}

func zeroIdentifier(t *testing.T, v5 bool) {
	c := join(t, v5)
	thing := c.thing
	c.refused(0x82, c.publishPacketOf(message{topic: "a", qos: 1}))
	c = joinAs(t, thing, v5)
	c.refused(0x82, c.publishPacketOf(message{topic: "a", qos: 2}))
	c = joinAs(t, thing, v5)
	c.refused(0x82, c.subscribePacketOf(0, nil, subscription{"a", 0}))
	c = joinAs(t, thing, v5)
	sub := c.subscribePacketOf(0, nil, subscription{"a", 0})
	c.refused(0x82, packet(unsubscribePacket, sub[2:len(sub)-1]))
}

func freeIdentifiers(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(2, topic)
	seen := map[int]bool{}
	for i := range 100 {
		from.publish(message{topic: topic, qos: byte(1 + i%2)})
		m := c.receive()
		if m.id == 0 || seen[m.id] {
			t.Fatalf("identifier %d is in use", m.id)
		}
		seen[m.id] = true
	}
}

func sameIdentifier(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5)
	for _, id := range []int{1, 0x1234, 0xFFFF} {
		c.publish(message{topic: topic, qos: 1, id: id})
		c.publish(message{topic: topic, qos: 2, id: id})
	}
	c.subscribe(2, topic)
	join(t, v5).publish(message{topic: topic, qos: 2, id: 77})
	c.got() // checks that of PUBREL
}

func sameRequestIdentifier(t *testing.T, v5 bool) {
	c := join(t, v5)
	for _, id := range []uint16{0, 0x1233, 0xFFFE} {
		c.last = id
		c.subscribe(0, "a")
		c.last = id
		c.unsubscribe("a")
	}
}

func emptyProperties(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5)
	c.subscribe(1, topic)
	c.unsubscribe("nothing") // these look at the length of 0
	c.write(c.publishPacketOf(message{topic: topic, payload: "x"}))
	if got := c.expect(publishPacket); !bytes.Equal(got, slices.Concat(str(topic), []byte{0, 'x'})) {
		t.Errorf("PUBLISH % x", got)
	}
	c.refused(0x81, packet(publishPacket, str(topic)))
	c = joinAs(t, c.thing, v5)
	c.refused(0x81, packet(subscribePacket, u16(1)))
}
