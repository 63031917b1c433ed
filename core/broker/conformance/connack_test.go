package conformance

import (
	"fmt"
	"slices"
	"testing"
)

var connackChecks = []check{
	{"5-3.1.2-28", "CONNACK has no response information, asked for or not", responseInformation},
	{"5-3.1.2-29", "no reason string and no user property stands in any packet but a forwarded PUBLISH", problemInformation},
	{"5-3.1.4-2", "a client that does not pass the checks is told why in CONNACK, and the connection is closed", func(t *testing.T, v5 bool) { refusedIDs(t, v5) }},
	{"5-3.1.4-3 3-3.1.4-2", "a new connection of a client ends the one before, with 0x8E in MQTT 5, and no message is lost", takeOver},
	{"5-3.1.4-5 3-3.1.4-4", "a CONNECT that is accepted is answered by a CONNACK with the code 0", func(t *testing.T, v5 bool) { join(t, v5) }},
	{"5-3.2.0-1 3-3.2.0-1", "CONNACK comes before all else, also before what waits", connackFirst},
	{"5-3.2.0-2", "there is one CONNACK in a connection", oneConnack},
	{"5-3.2.2-1", "the reserved flags of CONNACK are 0", connackFlags},
	{"5-3.2.2-2 3-3.2.2-1", "a clean start is answered by session present 0", cleanStartPresent},
	{"5-3.2.2-3 3-3.2.2-2 3-3.2.2-3", "without a clean start session present says whether there was a session", sessionPresent},
	{"5-3.2.2-6 3-3.2.2-4", "a CONNACK that refuses has session present 0, though there is a session", refusedPresent},
	{"5-3.2.2-7 3-3.2.2-5", "a CONNACK that refuses is followed by the close", func(t *testing.T, v5 bool) { refusedIDs(t, v5) }},
	{"5-3.2.2-8", "CONNACK has codes that the standard gives it", connackCodes},
	{"5-3.2.2-9", "all QoS are served, so CONNACK has no maximum QoS", func(t *testing.T, v5 bool) { noConnackProp(t, 0x24) }},
	{"5-3.2.2-10", "a SUBSCRIBE with any QoS is granted", grantsQoS},
	{"5-3.2.2-12", "a will with QoS 2 is accepted", func(t *testing.T, v5 bool) { join(t, v5, connect{will: &will{topic: newTopic(), qos: 2}}) }},
	{"5-3.2.2-13", "a retained will is accepted, for CONNACK has no retain available", retainedWillAccepted},
	{"5-3.2.2-19 5-3.2.2-20", "CONNACK has neither reason string nor user properties", func(t *testing.T, v5 bool) { noConnackProp(t, 0x1F, 0x26) }},
	{"5-3.2.2-22", "CONNACK has no server keep-alive: that of the client counts", func(t *testing.T, v5 bool) { noConnackProp(t, 0x13); keepAlive(t, v5) }},
	{"3-7.0.0-2 5-4.2.0-1 3-7.1.1-1", "a client needs nothing but TLS, in which packets may be split and joined at will", stream},
}

func responseInformation(t *testing.T, _ bool) {
	for _, props := range [][]byte{nil, prop(0x19, []byte{0}), prop(0x19, []byte{1})} {
		_, _, got := dial(t, -1).hello(true, connect{props: props})
		if slices.Contains(identifiers(got), 0x1A) {
			t.Errorf("CONNACK % x", got)
		}
	}
}

func problemInformation(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5, connect{props: prop(0x17, []byte{0})})
	// The helpers look for properties in what comes back.
	c.subscribeWith(user("n", "v"), subscription{topic, 1}, subscription{"a#", 0})
	c.unsubscribe("nothing")
	if code := c.publish(message{topic: "$closed/" + topic, qos: 1, props: user("n", "v")}); code != 0x87 {
		t.Errorf("PUBACK %#x", code)
	}
	c.ack(pubrecPacket, 99)
	c.acked(pubrelPacket, 99)
	c.ack(pubrelPacket, 99)
	c.acked(pubcompPacket, 99)
	join(t, v5).publish(message{topic: topic, props: user("n", "v")})
	if m := c.got(); !slices.Equal(m.props, user("n", "v")) {
		t.Errorf("properties % x", m.props)
	}
}

func takeOver(t *testing.T, v5 bool) {
	one := join(t, v5)
	two := joinAs(t, one.thing, v5)
	want := -1
	if v5 {
		want = 0x8E
	}
	if code := one.closed(); code != want {
		t.Errorf("closed with %#x", code)
	}
	two.silent()

	// Nothing is lost or overtaken meanwhile, and nothing follows the DISCONNECT.
	topic := newTopic()
	from, c := join(t, v5), join(t, v5, kept(v5))
	c.subscribe(1, topic)
	const rounds, burst = 15, 20
	for id := 1; id <= rounds*burst; id++ {
		from.write(from.publishPacketOf(message{topic: topic, qos: 1, id: id, payload: fmt.Sprint(id)}))
		if id%burst == 0 {
			next := joinAs(t, c.thing, v5, kept(v5))
			c.closed()
			c = next
		}
	}
	for id := 1; id <= rounds*burst; id++ {
		from.acked(pubackPacket, id)
		if m := c.got(); m.payload != fmt.Sprint(id) {
			t.Fatalf("message %d is %+v", id, m)
		}
	}
}

func connackFirst(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5, kept(v5))
	c.subscribe(1, topic)
	c.gone()
	join(t, v5).publish(message{topic: topic, qos: 1, payload: "waits"})
	c = dial(t, c.thing)
	c.write(c.connect(v5, kept(v5)), []byte{pingreqPacket, 0})
	c.expect(connackPacket)
	c.gets("1:waits")
	c.expect(pingrespPacket)
}

func oneConnack(t *testing.T, v5 bool) {
	c := join(t, v5)
	c.write(c.connect(v5, connect{}))
	if first, _, err := c.read(); err != nil || first != disconnectPacket {
		t.Errorf("got %#x, %v", first, err)
	}
	c.closed()
}

func connackFlags(t *testing.T, v5 bool) {
	c := join(t, v5, kept(v5))
	for _, o := range []connect{{}, kept(v5)} {
		if flags, _, _ := dial(t, c.thing).hello(v5, o); flags&0xFE != 0 {
			t.Errorf("flags %#x", flags)
		}
	}
}

func cleanStartPresent(t *testing.T, v5 bool) {
	c := join(t, v5, kept(v5))
	c.gone()
	if _, present := resume(t, c.thing, v5); present {
		t.Error("the session is present after a clean start")
	}
}

func sessionPresent(t *testing.T, v5 bool) {
	c, present := resume(t, -1, v5, kept(v5))
	if present {
		t.Error("a session is present that nobody began")
	}
	c.gone()
	if _, present = resume(t, c.thing, v5, kept(v5)); !present {
		t.Error("the session is not present")
	}
}

func refusedPresent(t *testing.T, v5 bool) {
	c := join(t, v5, kept(v5))
	c.gone()
	id := c.name + "x"
	c = dial(t, c.thing)
	if flags, code, _ := c.hello(v5, connect{keep: true, id: &id}); flags != 0 || code == 0 {
		t.Errorf("CONNACK %#x %#x", flags, code)
	}
}

// connackCodes are those of section 3.2.2.2.
func connackCodes(t *testing.T, v5 bool) {
	allowed := []int{0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F}
	thing := int(site.next.Add(1)) - 1
	id := "other"
	for _, o := range []connect{
		{}, {id: &id}, {flags: 1}, {props: prop(0x21, u16(0))}, {props: prop(0x15, str("SCRAM"))}, {will: &will{topic: "a/#"}},
	} {
		c := dial(t, thing)
		if _, code, _ := c.hello(v5, o); !slices.Contains(allowed, int(code)) {
			t.Errorf("CONNACK %#x", code)
		}
	}
}

func noConnackProp(t *testing.T, ids ...byte) {
	t.Helper()
	_, _, props := dial(t, -1).hello(true, connect{})
	for _, id := range identifiers(props) {
		if slices.Contains(ids, id) {
			t.Errorf("CONNACK has the property %#x: % x", id, props)
		}
	}
}

func grantsQoS(t *testing.T, v5 bool) {
	c := join(t, v5)
	for qos := range byte(3) {
		c.subscribe(qos, "a")
	}
}

func retainedWillAccepted(t *testing.T, v5 bool) {
	noConnackProp(t, 0x25)
	join(t, v5, connect{will: &will{topic: newTopic(), retain: true}})
}

func stream(t *testing.T, v5 bool) {
	topic := newTopic()
	c := dial(t, -1)
	all := slices.Concat(c.connect(v5, connect{}), c.subscribePacketOf(1, nil, subscription{topic, 0}),
		c.publishPacketOf(message{topic: topic, payload: long(300)}), []byte{pingreqPacket, 0})
	answers := func(c *client) {
		c.expect(connackPacket)
		c.expect(subackPacket)
		if m := c.got(); m.payload != long(300) {
			t.Errorf("%d bytes came", len(m.payload))
		}
		c.expect(pingrespPacket)
	}
	c.write(all)
	answers(c)
	c = dial(t, c.thing)
	c.v5 = v5
	for i := range 100 {
		c.write(all[i : i+1])
	}
	c.write(all[100:])
	answers(c)
}
