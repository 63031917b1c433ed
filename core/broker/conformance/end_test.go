package conformance

import (
	"bytes"
	"slices"
	"testing"
)

var endChecks = []check{
	{"5-3.12.4-1 3-3.12.4-1", "a PINGREQ is answered by a PINGRESP",
		func(t *testing.T, v5 bool) {
			c := join(t, v5)
			c.write([]byte{pingreqPacket, 0, pingreqPacket, 0})
			for range 2 {
				if body := c.expect(pingrespPacket); len(body) != 0 {
					t.Errorf("PINGRESP % x", body)
				}
			}
		}},
	{"5-3.14.0-1", "there is no DISCONNECT before a CONNACK that accepts", noDisconnectBefore},
	{"5-3.14.1-1 3-3.14.1-1", "DISCONNECT with reserved flags closes the connection, with 0x81 in MQTT 5",
		func(t *testing.T, v5 bool) {
			for flags := byte(1); flags < 16; flags <<= 1 {
				join(t, v5).refused(0x81, []byte{disconnectPacket | flags, 0})
			}
		}},
	{"5-3.14.2-1", "DISCONNECT has codes that the standard gives it", disconnectCodes},
	{"5-3.14.2-2 5-3.14.2-3 5-3.14.2-4", "DISCONNECT has neither session expiry nor other properties", disconnectCodes},
	{"5-3.14.4-1", "nothing follows a DISCONNECT, while messages pour in too", nothingFollows},
	{"5-3.14.4-2", "a DISCONNECT is followed by the close", nothingFollows},
	{"5-3.15.1-1", "AUTH with reserved flags closes the connection with 0x81",
		func(t *testing.T, v5 bool) {
			for flags := byte(1); flags < 16; flags <<= 1 {
				join(t, v5).refused(0x81, packet(authPacket|flags, []byte{0x19, 0}))
			}
		}},
	{"5-4.12.0-1", "a CONNECT with an authentication method is answered by 0x8C, and the connection is closed", authMethod},
	{"5-4.12.0-4", "authentication ends with a CONNACK that refuses, and the close", authMethod},
	{"5-4.12.0-6", "without an authentication method there is none in CONNACK, and no AUTH", func(t *testing.T, v5 bool) { noConnackProp(t, 0x15, 0x16); join(t, v5).silent() }},
	{"5-4.12.0-7", "an AUTH from a client closes the connection with 0x82",
		func(t *testing.T, v5 bool) {
			join(t, v5).refused(0x82, packet(authPacket, []byte{0x18, 0}))
			join(t, v5).refused(0x82, packet(authPacket, []byte{0x19}, properties(prop(0x15, str("SCRAM")))))
		}},
	{"5-4.13.2-1", "a code of 0x80 and above is followed by the close, in CONNACK and in DISCONNECT", func(t *testing.T, v5 bool) { refusedIDs(t, v5); disconnectCodes(t, v5) }},
}

// noDisconnectBefore looks at all packets of connections that do not come to be, and of
// those that are cut while they do.
func noDisconnectBefore(t *testing.T, v5 bool) {
	id := "other"
	for _, o := range []connect{{flags: 1}, {id: &id}, {props: prop(0x15, str("x"))}} {
		c := dial(t, -1)
		c.write(c.connect(v5, o))
		connackFirstOf(t, c)
	}
	for _, b := range [][]byte{{connectPacket, 0}, {disconnectPacket, 0}} {
		c := dial(t, -1)
		c.write(b)
		connackFirstOf(t, c)
	}
	// Take-overs in one rush cut connections at every stage.
	rush := []*client{dial(t, -1)}
	for len(rush) < 20 {
		rush = append(rush, dial(t, rush[0].thing))
	}
	for i, c := range rush { // a session with another expiry is written to disk before CONNACK
		c.write(c.connect(true, connect{keep: true, props: expiry(1000 + i)}))
	}
	for _, c := range rush {
		if first, body, err := c.read(); err == nil && first != connackPacket {
			t.Errorf("the first packet is %#x % x", first, body)
		}
	}
}

// connackFirstOf reads a connection to its end: the first packet, if there is one, must
// be CONNACK, and a CONNACK that refuses the last.
func connackFirstOf(t *testing.T, c *client) {
	t.Helper()
	refused := false
	for n := 0; ; n++ {
		first, body, err := c.read()
		switch {
		case err != nil:
			return
		case refused, n == 0 && first != connackPacket:
			t.Errorf("packet %d is %#x % x", n, first, body)
		}
		refused = first == connackPacket && body[1] >= 0x80
	}
}

func disconnectCodes(t *testing.T, v5 bool) {
	c := join(t, v5)
	thing := c.thing
	for code, b := range map[byte][]byte{
		0x81: {0x00, 0}, 0x82: packet(subackPacket, u16(1)), 0x90: packet(publishPacket, str("#"), []byte{0}),
		0x94: packet(publishPacket, str("a"), properties(prop(0x23, u16(0)))), 0x95: {publishPacket, 0xFF, 0xFF, 0xFF, 0x7F},
	} {
		c := joinAs(t, thing, v5)
		c.write(b)
		first, body, err := c.read()
		if err != nil || first != disconnectPacket || !slices.Equal(body, []byte{code, 0}) && !slices.Equal(body, []byte{code}) {
			t.Errorf("% x: packet %#x % x, %v", b, first, body, err)
		}
		c.closed()
	}
	c = joinAs(t, thing, v5)
	joinAs(t, thing, v5)
	if code := c.closed(); code != 0x8E {
		t.Errorf("taken over with %#x", code)
	}
}

func nothingFollows(t *testing.T, v5 bool) {
	topic := newTopic()
	from := join(t, v5)
	for range 10 {
		c := join(t, v5)
		c.subscribe(0, topic)
		burst := bytes.Repeat(from.publishPacketOf(message{topic: topic, payload: "x"}), 200)
		from.write(burst)
		c.refused(0x82, c.connect(v5, connect{}))
	}
}

func authMethod(t *testing.T, v5 bool) {
	for _, props := range [][]byte{prop(0x15, str("SCRAM-SHA-1")), slices.Concat(prop(0x15, str("")), prop(0x16, str("data")))} {
		c := dial(t, -1)
		if flags, code, got := c.hello(v5, connect{props: props}); flags != 0 || code != 0x8C || len(got) != 0 {
			t.Errorf("CONNACK %#x %#x % x", flags, code, got)
		}
		c.closed()
	}
}
