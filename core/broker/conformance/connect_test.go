package conformance

import (
	"slices"
	"testing"
	"time"
)

var connectChecks = []check{
	{"5-3.1.0-1 3-3.1.0-1", "a first packet that is no CONNECT closes the connection", firstPacket},
	{"5-3.1.0-2 3-3.1.0-2", "a second CONNECT closes the connection, with 0x82 in MQTT 5, and the will goes out", secondConnect},
	{"5-3.1.2-1 3-3.1.2-1", "another protocol name closes the connection; that of MQTT 3.1 is told of the level first", protocolName},
	{"5-3.1.2-2 3-3.1.2-2", "a level that is not served is answered by 0x01 in the form of 3.1.1, or by 0x84 in that of MQTT 5 if it is higher", protocolLevel},
	{"5-3.1.2-3 3-3.1.2-3", "the reserved flag of CONNECT closes the connection", reservedConnectFlag},
	{"5-3.1.2-9 3-3.1.2-9", "the will flag asks for all fields of the will", willFields},
	{"5-3.1.2-11 3-3.1.2-11 3-3.1.2-13", "a will QoS without a will closes the connection",
		func(t *testing.T, v5 bool) {
			wrongConnect(t, v5, connect{flags: 0x08})
			wrongConnect(t, v5, connect{flags: 0x10})
		}},
	{"5-3.1.2-12 3-3.1.2-14", "a will QoS of 3 closes the connection",
		func(t *testing.T, v5 bool) { wrongConnect(t, v5, connect{will: &will{topic: "a", qos: 3}}) }},
	{"5-3.1.2-13 3-3.1.2-15", "a will retain flag without a will closes the connection",
		func(t *testing.T, v5 bool) { wrongConnect(t, v5, connect{flags: 0x20}) }},
	{"5-3.1.2-16 3-3.1.2-18", "a user name without its flag closes the connection",
		func(t *testing.T, v5 bool) { trailing(t, v5, connect{}) }},
	{"5-3.1.2-17 3-3.1.2-19", "a flag of a user name without one closes the connection",
		func(t *testing.T, v5 bool) { wrongConnect(t, v5, connect{flags: 0x80}) }},
	{"5-3.1.2-18 3-3.1.2-20", "a password without its flag closes the connection",
		func(t *testing.T, v5 bool) { name := "u"; trailing(t, v5, connect{user: &name}) }},
	{"5-3.1.2-19 3-3.1.2-21", "a flag of a password without one closes the connection",
		func(t *testing.T, v5 bool) { name := "u"; wrongConnect(t, v5, connect{user: &name, flags: 0x40}) }},
	{"3-3.1.2-22", "a password flag without a user name flag closes the connection",
		func(t *testing.T, v5 bool) { word := "p"; wrongConnect(t, v5, connect{password: &word}) }},
	{"5-3.1.2-22 3-3.1.2-24", "silence of one and a half keep-alives closes the connection, not before, and the will goes out", keepAlive},
	{"5-3.1.3-1 3-3.1.3-1", "the fields of CONNECT are read in the order of the standard", fieldOrder},
	{"5-3.1.3-2 3-3.1.3-2", "the client id names the session, whatever the connection", idNamesSession},
	{"5-3.1.3-3 3-3.1.3-3", "a CONNECT without a client id closes the connection", withoutID},
	{"5-3.1.3-4 3-3.1.3-4", "a client id that is no UTF-8 closes the connection",
		func(t *testing.T, v5 bool) { id := "a\xff"; wrongConnect(t, v5, connect{id: &id}) }},
	{"5-3.1.3-5 3-3.1.3-5", "client ids of 23 letters and digits are allowed", idOf23},
	{"5-3.1.3-8 3-3.1.3-9", "a client id that is not the thing's name is answered by 0x85 or 2, and the connection is closed", refusedIDs},
	{"3-3.1.3-8", "an empty client id without a clean session is answered by 2, and the connection is closed", emptyID},
	{"5-3.1.3-11 3-3.1.3-10", "a will topic that is no UTF-8 closes the connection",
		func(t *testing.T, v5 bool) { wrongConnect(t, v5, connect{will: &will{topic: "a\xff"}}) }},
	{"5-3.1.3-12 3-3.1.3-11", "a user name that is no UTF-8 closes the connection",
		func(t *testing.T, v5 bool) { name := "a\xff"; wrongConnect(t, v5, connect{user: &name}) }},
	{"5-3.1.4-1 3-3.1.4-1 3-3.2.2-6", "a CONNECT that does not conform closes the connection, in 3.1.1 without a CONNACK", malformedConnects},
	{"5-3.1.4-6 3-3.1.4-5", "what follows a refused CONNECT is not looked at", afterRefusal},
}

func firstPacket(t *testing.T, v5 bool) {
	thing := int(site.next.Add(1)) - 1
	for _, b := range [][]byte{
		{pingreqPacket, 0}, {disconnectPacket, 0}, packet(publishPacket, str("a")), {0, 0}, packet(authPacket, []byte{0x18, 0}),
		packet(subscribePacket, u16(1), str("a"), []byte{0}), []byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		c := dial(t, thing)
		c.write(b)
		if code := c.closed(); code != -1 {
			t.Errorf("% x is answered by %#x", b, code)
		}
	}
}

func secondConnect(t *testing.T, v5 bool) {
	topic := newTopic()
	witness := join(t, v5)
	witness.subscribe(0, topic)
	o := connect{will: &will{topic: topic, payload: "will"}}
	c := join(t, v5, o)
	c.refused(0x82, c.connect(v5, o))
	witness.gets("0:will")
}

func protocolName(t *testing.T, v5 bool) {
	level := byte(4)
	if v5 {
		level = 5
	}
	c := dial(t, -1)
	c.write(packet(connectPacket, str("MQTu"), []byte{level, 2, 0, 0, 0}, str(c.name)))
	if code := c.closed(); code != -1 {
		t.Errorf("closed with %#x", code)
	}
	c = dial(t, c.thing)
	c.write(packet(connectPacket, str("MQIsdp"), []byte{3, 2, 0, 0}, str(c.name)))
	if code := c.closed(); code != 1 {
		t.Errorf("MQTT 3.1 is told %#x", code)
	}
}

func protocolLevel(t *testing.T, v5 bool) {
	levels, want := []byte{0, 1, 2, 3, 0x84}, byte(0x01)
	if v5 {
		levels, want = []byte{6, 7, 127, 0x85}, 0x84
	}
	thing := int(site.next.Add(1)) - 1
	for _, l := range levels {
		c := dial(t, thing)
		c.write(packet(connectPacket, str("MQTT"), []byte{l, 2, 0, 0, 0}, str(c.name)))
		if ack := c.expect(connackPacket); ack[0] != 0 || ack[1] != want || v5 != (len(ack) == 3) {
			t.Errorf("level %d: CONNACK % x", l, ack)
		}
		c.closed()
	}
}

func reservedConnectFlag(t *testing.T, v5 bool) { wrongConnect(t, v5, connect{flags: 0x01}) }

// wrongConnect sends a CONNECT that does not conform.
func wrongConnect(t *testing.T, v5 bool, o connect) {
	t.Helper()
	c := dial(t, -1)
	refusedConnect(t, c, c.connect(v5, o))
}

// refusedConnect sends a CONNECT that must be refused: MQTT 5 is told so, 3.1.1 gets no
// CONNACK.
func refusedConnect(t *testing.T, c *client, hello []byte) {
	t.Helper()
	c.write(hello)
	if code := c.closed(); c.v5 && code < 0x80 || !c.v5 && code != -1 {
		t.Errorf("% x: answered by %#x", hello, code)
	}
}

// trailing sends a CONNECT with one more field at its end.
func trailing(t *testing.T, v5 bool, o connect) {
	t.Helper()
	c := dial(t, -1)
	hello := c.connect(v5, o)
	refusedConnect(t, c, packet(connectPacket, hello[2:], str("more")))
}

func willFields(t *testing.T, v5 bool) {
	c := dial(t, -1)
	hello := c.connect(v5, connect{will: &will{topic: "a", payload: "b"}})
	for cut := len(hello) - 1; cut > len(hello)-6; cut-- {
		c := dial(t, c.thing)
		c.v5 = v5
		refusedConnect(t, c, packet(connectPacket, hello[2:cut]))
	}
}

func keepAlive(t *testing.T, v5 bool) {
	topic := newTopic()
	witness := join(t, v5)
	witness.subscribe(0, topic)
	c := join(t, v5, connect{keepAlive: 1, will: &will{topic: topic, payload: "will"}})
	begin := time.Now() // before the last packet
	c.silent()
	want := -1
	if v5 {
		want = 0x8D
	}
	if code := c.closed(); code != want {
		t.Errorf("closed with %#x", code)
	}
	if took := time.Since(begin); took < 1500*time.Millisecond {
		t.Errorf("closed after %v", took)
	}
	witness.gets("0:will")
}

func fieldOrder(t *testing.T, v5 bool) {
	topic, name, word := newTopic(), "user", "word"
	witness := join(t, v5)
	witness.subscribe(0, topic)
	c := join(t, v5, connect{will: &will{topic: topic, payload: "will"}, user: &name, password: &word})
	c.gone()
	if m := witness.got(); m.topic != topic || m.payload != "will" {
		t.Errorf("the will is %+v", m)
	}
}

func idNamesSession(t *testing.T, v5 bool) {
	topic := newTopic()
	one, two := join(t, v5, kept(v5)), join(t, v5, kept(v5))
	one.subscribe(1, topic)
	one.gone()
	two.gone()
	join(t, v5).publish(message{topic: topic, qos: 1, payload: "x"})
	two = joinAs(t, two.thing, v5, kept(v5))
	two.silent()
	joinAs(t, one.thing, v5, kept(v5)).gets("1:x")
}

func withoutID(t *testing.T, v5 bool) {
	c := dial(t, -1)
	hello := c.connect(v5, connect{})
	refusedConnect(t, c, packet(connectPacket, hello[2:len(hello)-2-len(c.name)]))
}

func idOf23(t *testing.T, v5 bool) {
	c := join(t, v5)
	if len(c.name) != 23 {
		t.Errorf("%q has not 23 characters", c.name)
	}
}

func refusedIDs(t *testing.T, v5 bool) {
	thing := int(site.next.Add(1)) - 1
	want := byte(2)
	if v5 {
		want = 0x85
	}
	for _, id := range []string{"other", "", thingName(thing) + "x"} {
		c := dial(t, thing)
		if flags, code, _ := c.hello(v5, connect{id: &id}); code != want || flags != 0 {
			t.Errorf("%q: CONNACK %#x %#x", id, flags, code)
		}
		c.closed()
	}
}

func emptyID(t *testing.T, v5 bool) {
	id := ""
	c := dial(t, -1)
	if flags, code, _ := c.hello(v5, connect{id: &id, keep: true}); code != 2 || flags != 0 {
		t.Errorf("CONNACK %#x %#x", flags, code)
	}
	c.closed()
}

func malformedConnects(t *testing.T, v5 bool) {
	c := dial(t, -1)
	hello := c.connect(v5, connect{})
	bodies := [][]byte{{}, hello[2:6], hello[2:8], hello[2:9], hello[2:11], slices.Concat(hello[2:], []byte{0})}
	if v5 {
		for _, props := range wrongConnectProps {
			bodies = append(bodies, c.connect(true, connect{props: props})[2:])
		}
	}
	for i, body := range bodies {
		c := dial(t, c.thing)
		c.v5 = v5
		c.write(packet(connectPacket, body))
		// Of one that is cut short before its level nobody knows the version.
		if code := c.closed(); code != -1 && (!v5 || code < 0x80) || v5 && i > 3 && code == -1 {
			t.Errorf("% x: answered by %#x", body, code)
		}
	}
}

// wrongConnectProps are properties that no CONNECT may have.
var wrongConnectProps = [][]byte{
	slices.Concat(expiry(1), expiry(1)),
	prop(0x21, u16(0)), prop(0x27, u32(0)), prop(0x17, []byte{2}), prop(0x19, []byte{2}), prop(0x16, str("x")),
	prop(0x7F), prop(0x01, []byte{0}), prop(0x12, str("x")), prop(0x24, []byte{1}), {0x11, 0, 0}, {0x26, 0, 1, 'n'},
}

func afterRefusal(t *testing.T, v5 bool) {
	topic, id := newTopic(), "other"
	witness := join(t, v5)
	witness.subscribe(0, topic)
	c := dial(t, -1)
	c.write(c.connect(v5, connect{id: &id}), c.publishPacketOf(message{topic: topic, payload: "no"}))
	c.closed()
	witness.silent()
}
