package conformance

import (
	"fmt"
	"slices"
	"testing"
)

var limitChecks = []check{
	{"5-3.1.2-24", "no packet is larger than the client's maximum packet size; one of that size comes", maximumPacketSize},
	{"5-3.1.2-25", "a message that is too large for the client counts as sent", tooLargeIsDone},
	{"5-3.1.2-26 5-3.3.2-11", "the gateway sends no topic alias, whatever the client's maximum", sendsNoAlias},
	{"5-3.1.2-27", "without a topic alias maximum of the client no alias is sent", sendsNoAlias},
	{"5-3.2.2-15", "a packet beyond the maximum packet size of CONNACK closes the connection with 0x95", tooLargeForServer},
	{"5-3.2.2-17 5-3.3.2-9", "a topic alias beyond the maximum of CONNACK closes the connection with 0x94",
		func(t *testing.T, v5 bool) {
			c := dial(t, -1)
			_, _, props := c.hello(v5, connect{})
			most, ok := value(props, 0x22, 2)
			if !ok {
				t.Fatalf("no topic alias maximum: % x", props)
			}
			c.refused(0x94, c.publishPacketOf(message{topic: "a", props: prop(0x23, []byte{most[0], most[1] + 1})}))
		}},
	{"5-3.3.2-7", "topic aliases end with their connection", aliasEnds},
	{"5-3.3.2-8", "the topic alias 0 closes the connection with 0x94",
		func(t *testing.T, v5 bool) {
			c := join(t, v5)
			c.refused(0x94, c.publishPacketOf(message{topic: "a", props: prop(0x23, u16(0))}))
		}},
	{"5-3.3.2-12", "all topic aliases up to the maximum of CONNACK are taken, and can be set anew", takesAliases},
	{"5-3.3.4-7", "more QoS 2 messages under way than the receive maximum of CONNACK close the connection with 0x93", receiveMaximumOfServer},
	{"5-3.3.4-9", "a client gets no more unacknowledged messages than its receive maximum, after a reconnect with a lower one too", receiveMaximum},
	{"5-3.3.4-10", "all other packets go on while the receive maximum is reached", othersGoOn},
	{"5-4.9.0-1", "a receive maximum of 1 lets one message pass at a time", oneAtATime},
	{"5-4.9.0-2", "no message goes out while the quota is used up; PUBACK, PUBCOMP and a PUBREC that refuses give it back", quotaComesBack},
	{"5-4.9.0-3", "what the client sends is answered while its quota is used up", othersGoOn},
}

func maximumPacketSize(t *testing.T, v5 bool) {
	topic := newTopic()
	const most = 120
	c, from := join(t, v5, connect{props: prop(0x27, u32(most))}), join(t, v5)
	for qos := range byte(3) {
		c.subscribe(qos, topic)
		overhead := len(c.publishPacketOf(message{topic: topic, qos: qos, id: 1}))
		for _, n := range []int{most, most + 1, 1000, most - 1} {
			from.publish(message{topic: topic, qos: qos, payload: long(n - overhead)})
		}
		c.gets(fmt.Sprintf("%d:%s", qos, long(most-overhead)), fmt.Sprintf("%d:%s", qos, long(most-1-overhead)))
		c.silent()
	}
}

func tooLargeIsDone(t *testing.T, v5 bool) {
	topic := newTopic()
	from := join(t, v5)
	c := join(t, v5, connect{keep: true, props: slices.Concat(expiry(3600), prop(0x27, u32(100)), prop(0x21, u16(1)))})
	c.subscribe(2, topic)
	for qos := byte(1); qos <= 2; qos++ {
		from.publish(message{topic: topic, qos: qos, payload: long(200)})
		from.publish(message{topic: topic, qos: qos, payload: "small"})
		c.gets(fmt.Sprintf("%d:small", qos))
	}
	// So does one that was sent when the client still took it.
	from.publish(message{topic: topic, qos: 1, payload: long(50)})
	c.receive()
	c.gone()
	c = joinAs(t, c.thing, v5, connect{keep: true, props: slices.Concat(expiry(3600), prop(0x27, u32(55)), prop(0x21, u16(1)))})
	from.publish(message{topic: topic, qos: 1, payload: "small"})
	c.gets("1:small")
	c.silent()
	if d, _ := session(c.name); d.Waiting != 0 {
		t.Errorf("%d messages wait", d.Waiting)
	}
}

func sendsNoAlias(t *testing.T, v5 bool) {
	topic := newTopic()
	from := join(t, v5)
	for _, props := range [][]byte{nil, prop(0x22, u16(0)), prop(0x22, u16(10))} {
		c := join(t, v5, connect{props: props})
		c.subscribe(1, topic)
		for range 3 {
			from.publish(message{topic: topic, qos: 1, payload: "x", props: prop(0x23, u16(1))})
			if m := c.got(); m.topic != topic || len(m.props) != 0 {
				t.Errorf("got %+v", m)
			}
		}
	}
}

func tooLargeForServer(t *testing.T, v5 bool) {
	c := dial(t, -1)
	_, _, props := c.hello(v5, connect{})
	most, ok := value(props, 0x27, 4)
	if !ok {
		t.Fatalf("no maximum packet size: % x", props)
	}
	n := int(most[0])<<24 | int(most[1])<<16 | int(most[2])<<8 | int(most[3])
	topic := newTopic()
	overhead := len(c.publishPacketOf(message{topic: topic, payload: long(n)})) - n
	c.publish(message{topic: topic, payload: long(n - overhead)})
	c.refused(0x95, []byte{publishPacket}, varint(n), str(topic))
}

func aliasEnds(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5, kept(v5))
	c.publish(message{topic: topic, props: prop(0x23, u16(1))})
	c.publish(message{props: prop(0x23, u16(1))})
	c.gone()
	c = joinAs(t, c.thing, v5, kept(v5))
	c.refused(0x82, c.publishPacketOf(message{props: prop(0x23, u16(1))}))
}

func takesAliases(t *testing.T, v5 bool) {
	topic := newTopic()
	from, c := dial(t, -1), join(t, v5)
	_, _, props := from.hello(v5, connect{})
	most, _ := value(props, 0x22, 2)
	c.subscribe(0, topic+"/+")
	for round := range 2 {
		for alias := 1; alias <= int(most[0])<<8|int(most[1]); alias++ {
			at := fmt.Sprintf("%s/%d", topic, alias+round)
			from.publish(message{topic: at, props: prop(0x23, u16(alias))})
			from.publish(message{props: prop(0x23, u16(alias)), payload: "by alias"})
			if m := c.got(); m.topic != at {
				t.Errorf("got %+v", m)
			}
			if m := c.got(); m.topic != at || m.payload != "by alias" {
				t.Errorf("got %+v", m)
			}
		}
	}
	// One that the table refuses is an alias all the same.
	from.publish(message{topic: "$closed/x", qos: 1, props: prop(0x23, u16(1))})
	if code := from.publish(message{qos: 1, props: prop(0x23, u16(1))}); code != 0x87 {
		t.Errorf("PUBACK %#x", code)
	}
	c.silent()
}

func receiveMaximumOfServer(t *testing.T, v5 bool) {
	c := dial(t, -1)
	_, _, props := c.hello(v5, connect{})
	most, ok := value(props, 0x21, 2)
	if !ok {
		t.Fatalf("no receive maximum: % x", props)
	}
	n, topic := int(most[0])<<8|int(most[1]), newTopic()
	for id := 1; id <= n; id++ {
		c.write(c.publishPacketOf(message{topic: topic, qos: 2, id: id}))
	}
	for id := 1; id <= n; id++ {
		c.acked(pubrecPacket, id)
	}
	c.refused(0x93, c.publishPacketOf(message{topic: topic, qos: 2, id: n + 1}))
}

func withQuota(t *testing.T, topic string, quota int) (c, from *client) {
	t.Helper()
	c, from = join(t, true, connect{keep: true, props: slices.Concat(expiry(3600), prop(0x21, u16(quota)))}), join(t, true)
	c.subscribe(2, topic)
	return c, from
}

func receiveMaximum(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := withQuota(t, topic, 4)
	for i := range 6 {
		from.publish(message{topic: topic, qos: 1, payload: fmt.Sprint(i)})
	}
	for range 4 {
		c.receive()
	}
	c.silent()
	c.gone()
	c = joinAs(t, c.thing, v5, connect{keep: true, props: slices.Concat(expiry(3600), prop(0x21, u16(2)))})
	for i := 0; i < 6; i += 2 {
		one, two := c.receive(), c.receive()
		c.silent()
		for k, m := range []message{one, two} {
			if m.payload != fmt.Sprint(i+k) || m.dup != (i < 4) {
				t.Errorf("message %d is %+v", i+k, m)
			}
			c.ack(pubackPacket, m.id)
		}
	}
	c.silent()
}

func othersGoOn(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := withQuota(t, topic, 1)
	from.publish(message{topic: topic, qos: 1, payload: "one"})
	from.publish(message{topic: topic, qos: 1, payload: "two"})
	one := c.receive()
	c.silent()
	c.subscribe(0, topic+"/zero")
	c.unsubscribe("nothing")
	other := newTopic()
	c.publish(message{topic: other, qos: 1})
	c.publish(message{topic: other, qos: 2})
	from.publish(message{topic: topic + "/zero", payload: "QoS 0 needs no quota"})
	c.gets("0:QoS 0 needs no quota")
	c.ack(pubackPacket, one.id)
	c.gets("1:two")
}

func oneAtATime(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := withQuota(t, topic, 1)
	for i := range 3 {
		from.publish(message{topic: topic, qos: 1, payload: fmt.Sprint(i)})
	}
	for i := range 3 {
		m := c.receive()
		if m.payload != fmt.Sprint(i) {
			t.Errorf("got %+v", m)
		}
		c.silent()
		c.ack(pubackPacket, m.id)
	}
}

func quotaComesBack(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := withQuota(t, topic, 1)
	for i := range 4 {
		from.publish(message{topic: topic, qos: 2, payload: fmt.Sprint(i)})
	}
	m := c.receive()
	c.ack(pubrecPacket, m.id)
	c.acked(pubrelPacket, m.id)
	c.silent() // PUBREC does not give it back
	c.ack(pubcompPacket, m.id)
	m = c.receive()
	c.silent()
	c.write(packet(pubrecPacket, u16(m.id), []byte{0x80}))
	c.gets("2:2", "2:3")
	c.silent()
}
