package conformance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// subscription is what a test subscribes to.
type subscription struct {
	filter string
	opts   byte // QoS in the lowest bits
}

// SUBSCRIBE options of MQTT 5.
const (
	noLocal     = 0x04
	asPublished = 0x08
	handling1   = 0x10
	handling2   = 0x20
)

// subscribePacketOf writes a SUBSCRIBE.
func (c *client) subscribePacketOf(id int, props []byte, subs ...subscription) []byte {
	body := u16(id)
	if c.v5 {
		body = append(body, properties(props)...)
	}
	for _, s := range subs {
		body = slices.Concat(body, str(s.filter), []byte{s.opts})
	}
	return packet(subscribePacket, body)
}

// subscribeWith sends a SUBSCRIBE and returns the codes of its SUBACK.
func (c *client) subscribeWith(props []byte, subs ...subscription) []byte {
	c.t.Helper()
	id := c.id()
	c.write(c.subscribePacketOf(id, props, subs...))
	return c.codes(c.expect(subackPacket), id)
}

// codes takes a SUBACK or UNSUBACK apart.
func (c *client) codes(ack []byte, id int) []byte {
	c.t.Helper()
	if got := binary.BigEndian.Uint16(ack); int(got) != id {
		c.t.Fatalf("acknowledgement of %d, want %d", got, id)
	}
	if ack = ack[2:]; c.v5 {
		if ack[0] != 0 {
			c.t.Fatalf("an acknowledgement with properties: % x", ack)
		}
		ack = ack[1:]
	}
	return ack
}

// subscribe subscribes to one filter, which must be granted.
func (c *client) subscribe(opts byte, filter string) {
	c.t.Helper()
	if got := c.subscribeWith(nil, subscription{filter, opts}); !slices.Equal(got, []byte{opts & 3}) {
		c.t.Fatalf("SUBACK % x for %q", got, filter)
	}
}

// unsubscribe returns the codes of UNSUBACK, which are none in MQTT 3.1.1.
func (c *client) unsubscribe(filters ...string) []byte {
	c.t.Helper()
	id := c.id()
	body := u16(id)
	if c.v5 {
		body = append(body, 0)
	}
	for _, f := range filters {
		body = append(body, str(f)...)
	}
	c.write(packet(unsubscribePacket, body))
	return c.codes(c.expect(unsubackPacket), id)
}

// message is a PUBLISH.
type message struct {
	topic, payload string
	qos            byte
	retain, dup    bool
	id             int
	props          []byte
}

// publishPacketOf writes a PUBLISH.
func (c *client) publishPacketOf(m message) []byte {
	first := byte(publishPacket) | m.qos<<1
	if m.retain {
		first |= 0x01
	}
	if m.dup {
		first |= 0x08
	}
	body := str(m.topic)
	if m.qos > 0 {
		body = append(body, u16(m.id)...)
	}
	if c.v5 {
		body = append(body, properties(m.props)...)
	}
	return packet(first, body, []byte(m.payload))
}

// publish sends a message, goes through its flow, and returns when the broker has routed
// it. The code is that of PUBACK or PUBREC.
func (c *client) publish(m message) (code byte) {
	c.t.Helper()
	if m.qos > 0 && m.id == 0 {
		m.id = c.id()
	}
	c.write(c.publishPacketOf(m))
	switch m.qos {
	case 0:
		c.silent()
	case 1:
		return c.acked(pubackPacket, m.id)
	case 2:
		if code = c.acked(pubrecPacket, m.id); code < 0x80 {
			c.write(packet(pubrelPacket, u16(m.id)))
			c.acked(pubcompPacket, m.id)
		}
	}
	return code
}

// acked reads an acknowledgement with an id and returns its code.
func (c *client) acked(first byte, id int) (code byte) {
	c.t.Helper()
	ack := c.expect(first)
	if got := int(binary.BigEndian.Uint16(ack)); got != id {
		c.t.Fatalf("packet %#x of %d, want %d", first, got, id)
	}
	switch {
	case len(ack) == 2:
		return 0
	case !c.v5 || len(ack) > 3:
		c.t.Fatalf("packet %#x % x", first, ack)
	}
	return ack[2]
}

// ack sends an acknowledgement.
func (c *client) ack(first byte, id int) { c.t.Helper(); c.write(packet(first, u16(id))) }

// receive reads a PUBLISH and does not answer it.
func (c *client) receive() message {
	c.t.Helper()
	first, body, err := c.read()
	if err != nil || first>>4 != publishPacket>>4 {
		c.t.Fatalf("want a PUBLISH, got %#x % x, %v", first, body, err)
	}
	n := int(binary.BigEndian.Uint16(body))
	m := message{topic: string(body[2 : 2+n]), qos: first >> 1 & 3, retain: first&1 != 0, dup: first&8 != 0}
	body = body[2+n:]
	if m.qos > 0 {
		m.id = int(binary.BigEndian.Uint16(body))
		body = body[2:]
	}
	if c.v5 {
		n, size := binary.Uvarint(body)
		m.props = body[size : size+int(n)]
		body = body[size+int(n):]
	}
	m.payload = string(body)
	return m
}

// got reads a PUBLISH and goes through its flow.
func (c *client) got() message {
	c.t.Helper()
	m := c.receive()
	switch m.qos {
	case 1:
		c.ack(pubackPacket, m.id)
	case 2:
		c.ack(pubrecPacket, m.id)
		c.released(m.id)
		c.ack(pubcompPacket, m.id)
	}
	return m
}

// released waits for a PUBREL. What comes before it is read later.
func (c *client) released(id int) {
	c.t.Helper()
	var early []incoming
	for {
		first, body, err := c.read()
		if err != nil {
			c.t.Fatal(err)
		}
		if first != pubrelPacket {
			early = append(early, incoming{first, body})
			continue
		}
		if !slices.Equal(body, u16(id)) {
			c.t.Fatalf("PUBREL % x, want that of %d", body, id)
		}
		c.early = append(early, c.early...)
		return
	}
}

// gets reads messages and checks payload and QoS of each: "0:one".
func (c *client) gets(want ...string) (all []message) {
	c.t.Helper()
	for _, w := range want {
		m := c.got()
		if got := fmt.Sprintf("%d:%s", m.qos, m.payload); got != w {
			c.t.Fatalf("got %s, want %s", got, w)
		}
		all = append(all, m)
	}
	return all
}

// value looks for a property that stands there once.
func value(props []byte, id byte, length int) (v []byte, ok bool) {
	for len(props) > 0 {
		n := valueLength(props)
		if props[0] == id && n-1 == length {
			return props[1:n], true
		}
		props = props[n:]
	}
	return nil, false
}

// valueLength is that of the property at the beginning, with its identifier.
func valueLength(props []byte) int {
	text := func(at int) int { return 2 + int(binary.BigEndian.Uint16(props[at:])) }
	switch props[0] {
	case 0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A:
		return 2
	case 0x13, 0x21, 0x22, 0x23:
		return 3
	case 0x02, 0x11, 0x18, 0x27:
		return 5
	case 0x0B:
		_, n := binary.Uvarint(props[1:])
		return 1 + n
	case 0x26:
		n := 1 + text(1)
		return n + text(n)
	}
	return 1 + text(1)
}

// identifiers returns the identifiers of the properties, in order.
func identifiers(props []byte) (ids []byte) {
	for len(props) > 0 {
		ids = append(ids, props[0])
		props = props[valueLength(props):]
	}
	return ids
}

func long(n int) string { return strings.Repeat("x", n) }

// containsAll tells whether the properties hold each of the parts as it is.
func containsAll(props []byte, parts ...[]byte) bool {
	for _, p := range parts {
		if !bytes.Contains(props, p) {
			return false
		}
	}
	return true
}

// cutProps returns the properties at whose length b begins; nothing may follow.
func cutProps(t *testing.T, b []byte) []byte {
	t.Helper()
	n, size := binary.Uvarint(b)
	if size <= 0 || int(n) != len(b)-size {
		t.Fatalf("properties % x", b)
	}
	return b[size:]
}
