package conformance

import (
	"slices"
	"testing"
)

var errorChecks = []check{
	{"5-4.13.1-1 3-4.8.0-1", "a malformed packet or a protocol error closes the connection, with its code in MQTT 5", protocolErrors},
	{"3-4.8.0-2", "a message that cannot be taken closes the connection, and comes again", transientError},
}

// fault is a packet that closes the connection.
type fault struct {
	name string
	code int
	send func(c *client) []byte
}

func bytesOf(b ...byte) func(*client) []byte { return func(*client) []byte { return b } }

func withProps(m message, props ...[]byte) func(*client) []byte {
	return func(c *client) []byte { m.props = slices.Concat(props...); return c.publishPacketOf(m) }
}

var faults = []fault{
	{"type 0", 0x81, bytesOf(0x00, 0)},
	{"a length of five bytes", 0x81, bytesOf(publishPacket, 0xFF, 0xFF, 0xFF, 0xFF, 1)},
	{"PINGREQ with a body", 0x81, bytesOf(pingreqPacket, 1, 0)},
	{"CONNACK from a client", 0x82, bytesOf(connackPacket, 2, 0, 0)},
	{"SUBACK from a client", 0x82, bytesOf(subackPacket, 3, 0, 1, 0)},
	{"UNSUBACK from a client", 0x82, bytesOf(unsubackPacket, 2, 0, 1)},
	{"PINGRESP from a client", 0x82, bytesOf(pingrespPacket, 0)},
	{"PUBLISH without a topic", 0x81, bytesOf(publishPacket, 0)},
	{"PUBLISH that is cut short", 0x81, bytesOf(0x32, 4, 0, 1, 'a', 0)},
	{"PUBLISH with an empty topic", 0x82, func(c *client) []byte { return c.publishPacketOf(message{}) }},
	{"PUBACK without an identifier", 0x81, bytesOf(pubackPacket, 0)},
	{"PUBREL with the identifier 0", 0x82, bytesOf(pubrelPacket, 2, 0, 0)},
	{"SUBSCRIBE that is cut short", 0x81, bytesOf(subscribePacket, 1, 0)},
	{"SUBSCRIBE without options", 0x81, func(c *client) []byte {
		b := c.subscribePacketOf(1, nil, subscription{"a", 0})
		return packet(b[0], b[2:len(b)-1])
	}},
}

var faults3 = []fault{
	{"PUBACK with a code", 0, bytesOf(pubackPacket, 3, 0, 1, 0)},
	{"AUTH", 0, bytesOf(authPacket, 2, 0, 0)},
	{"DISCONNECT with a code", 0, bytesOf(disconnectPacket, 1, 0)},
}

var faults5 = []fault{
	{"unknown property", 0x81, withProps(message{topic: "a"}, prop(0x7F))},
	{"property of another packet", 0x81, withProps(message{topic: "a"}, expiry(1))},
	{"payload format twice", 0x82, withProps(message{topic: "a"}, prop(0x01, []byte{1}), prop(0x01, []byte{1}))},
	{"expiry twice", 0x82, withProps(message{topic: "a"}, prop(0x02, u32(1)), prop(0x02, u32(1)))},
	{"alias twice", 0x82, withProps(message{topic: "a"}, prop(0x23, u16(1)), prop(0x23, u16(1)))},
	{"content type twice", 0x82, withProps(message{topic: "a"}, prop(0x03, str("a")), prop(0x03, str("a")))},
	{"property that is cut short", 0x81, withProps(message{topic: "a"}, []byte{0x02, 0, 0})},
	{"an alias that was not set", 0x82, withProps(message{}, prop(0x23, u16(9)))},
	{"properties longer than the packet", 0x81, bytesOf(publishPacket, 5, 0, 1, 'a', 9, 1)},
	{"subscription identifier 0", 0x82, subscribeProps(prop(0x0B, []byte{0}))},
	{"subscription identifier twice", 0x82, subscribeProps(prop(0x0B, []byte{1}), prop(0x0B, []byte{2}))},
	{"subscription identifier that does not end", 0x81, subscribeProps([]byte{0x0B, 0xFF, 0xFF, 0xFF, 0xFF})},
	{"property that SUBSCRIBE has not", 0x81, subscribeProps(prop(0x01, []byte{1}))},
	{"properties of SUBSCRIBE that run into its filters", 0x81, bytesOf(subscribePacket, 8, 0, 1, 1, 0x26, 0, 1, 'a', 0)},
	{"property that UNSUBSCRIBE has not", 0x81, func(c *client) []byte {
		return packet(unsubscribePacket, u16(1), properties(prop(0x0B, []byte{1})), str("a"))
	}},
	{"property that PUBACK has not", 0x81, bytesOf(pubackPacket, 6, 0, 1, 0, 2, 0x01, 1)},
	{"reason string twice", 0x82, func(c *client) []byte {
		return packet(pubcompPacket, u16(1), []byte{0}, properties(prop(0x1F, str("a")), prop(0x1F, str("b"))))
	}},
	{"session expiry at DISCONNECT after 0", 0x82, func(c *client) []byte { return packet(disconnectPacket, []byte{0}, properties(expiry(9))) }},
	{"property that DISCONNECT has not", 0x81, func(c *client) []byte { return packet(disconnectPacket, []byte{0}, properties(prop(0x21, u16(9)))) }},
	{"DISCONNECT with a payload", 0x81, bytesOf(disconnectPacket, 3, 0, 0, 'x')},
}

func subscribeProps(props ...[]byte) func(*client) []byte {
	return func(c *client) []byte {
		return c.subscribePacketOf(1, slices.Concat(props...), subscription{"a", 0})
	}
}

func protocolErrors(t *testing.T, v5 bool) {
	all := slices.Concat(faults, faults3)
	if v5 {
		all = slices.Concat(faults, faults5)
	}
	thing := int(site.next.Add(1)) - 1
	for _, f := range all {
		c := joinAs(t, thing, v5)
		c.write(f.send(c))
		want := f.code
		if !v5 {
			want = -1
		}
		if code := c.closed(); code != want {
			t.Errorf("%s: closed with %#x, want %#x", f.name, code, want)
		}
	}
}

func transientError(t *testing.T, v5 bool) {
	for qos := byte(1); qos <= 2; qos++ {
		c := join(t, v5)
		c.write(c.publishPacketOf(message{topic: "full/" + newTopic(), qos: qos, id: 1}))
		if code := c.closed(); code != -1 {
			t.Errorf("closed with %#x", code)
		}
	}
}
