package conformance

import (
	"fmt"
	"slices"
	"testing"
)

var publishChecks = []check{
	{"5-3.3.1-1 3-3.3.1-1", "a message that is sent again has DUP", dupOnResend},
	{"5-3.3.1-2 3-3.3.1-2", "a QoS 0 message has no DUP; one that has it closes the connection", dupOfQoS0},
	{"5-3.3.1-3 3-3.3.1-3", "DUP of a publisher does not reach a subscriber", dupIsNotForwarded},
	{"5-3.3.1-4 3-3.3.1-4", "QoS 3 closes the connection",
		func(t *testing.T, v5 bool) { join(t, v5).refused(0x81, packet(0x36, str("a"), u16(1), []byte{0})) }},
	{"5-3.3.2-1 3-3.3.2-1", "a PUBLISH has its topic first, and one that is no UTF-8 closes the connection",
		func(t *testing.T, v5 bool) {
			wrongString(t, v5, "\xff", []spot{{packet: func(c *client, s string) []byte { return c.publishPacketOf(message{topic: "a" + s}) }}})
			join(t, v5).refused(0x81, packet(publishPacket, []byte{0xFF, 0xFF, 'a'}))
		}},
	{"5-3.3.2-2 3-3.3.2-2 5-4.7.0-1 3-4.7.1-1", "a topic with a wildcard closes the connection, with 0x90 in MQTT 5",
		func(t *testing.T, v5 bool) {
			for _, topic := range []string{"a/#", "+", "a+", "#b"} {
				c := join(t, v5)
				c.refused(0x90, c.publishPacketOf(message{topic: topic}))
			}
		}},
	{"5-3.3.4-1 3-3.3.4-1", "QoS 0 is not answered, QoS 1 by PUBACK, QoS 2 by PUBREC", answers},
	{"3-3.3.5-2", "what no row allows is acknowledged all the same, and reaches nobody", notAllowed},
	{"5-3.3.4-6", "a subscription identifier in a client's PUBLISH closes the connection with 0x82",
		func(t *testing.T, v5 bool) {
			c := join(t, v5)
			c.refused(0x82, c.publishPacketOf(message{topic: "a", props: prop(0x0B, []byte{1})}))
		}},
	{"5-3.4.2-1", "PUBACK has codes that the standard gives it", ackCodes},
	{"5-3.4.2-2 5-3.4.2-3", "PUBACK has no properties", ackCodes},
	{"5-3.5.2-1", "PUBREC has codes that the standard gives it", recCodes},
	{"5-3.5.2-2 5-3.5.2-3", "PUBREC has no properties", recCodes},
	{"5-3.6.1-1 3-3.6.1-1", "PUBREL with other flags than 0010 closes the connection, with 0x81 in MQTT 5",
		func(t *testing.T, v5 bool) {
			for _, flags := range []byte{0x00, 0x01, 0x03, 0x06, 0x0A} {
				join(t, v5).refused(0x81, packet(0x60|flags, u16(1)))
			}
		}},
	{"5-3.6.2-1", "PUBREL has codes that the standard gives it", relCodes},
	{"5-3.6.2-2 5-3.6.2-3", "PUBREL has no properties", relCodes},
	{"5-3.7.2-1", "PUBCOMP has codes that the standard gives it", compCodes},
	{"5-3.7.2-2 5-3.7.2-3", "PUBCOMP has no properties", compCodes},
	{"5-3.3.2-5", "a message whose expiry has passed before it could go out does not go out", expiredWaiting},
	{"5-3.3.2-6", "a forwarded message has the expiry that is left", expiryLeft},
}

func dupOnResend(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5, kept(v5))
	c.subscribe(2, topic)
	from := join(t, v5)
	from.publish(message{topic: topic, qos: 1, payload: "one"})
	from.publish(message{topic: topic, qos: 2, payload: "two"})
	for range 2 {
		if m := c.receive(); m.dup {
			t.Errorf("DUP at the first time: %+v", m)
		}
	}
	c.gone()
	c = joinAs(t, c.thing, v5, kept(v5))
	for range 2 {
		if m := c.got(); !m.dup {
			t.Errorf("no DUP: %+v", m)
		}
	}
}

func dupOfQoS0(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5)
	c.subscribe(0, topic)
	join(t, v5).publish(message{topic: topic, qos: 1, dup: true, payload: "x"})
	if m := c.got(); m.dup || m.qos != 0 {
		t.Errorf("got %+v", m)
	}
	c.refused(0x81, c.publishPacketOf(message{topic: topic, dup: true}))
}

func dupIsNotForwarded(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(2, topic)
	for qos := byte(1); qos <= 2; qos++ {
		from.publish(message{topic: topic, qos: qos, dup: true, payload: "x"})
		if m := c.got(); m.dup || m.qos != qos {
			t.Errorf("got %+v", m)
		}
	}
}

func answers(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5)
	c.publish(message{topic: topic}) // a PINGREQ is answered next
	for qos := byte(1); qos <= 2; qos++ {
		if code := c.publish(message{topic: topic, qos: qos}); code != 0 {
			t.Errorf("QoS %d: code %#x", qos, code)
		}
	}
	c.silent()
}

func notAllowed(t *testing.T, v5 bool) {
	topic := "$closed/" + newTopic()
	c := join(t, v5)
	c.subscribe(2, topic)
	for qos := range byte(3) {
		c.publish(message{topic: topic, qos: qos, payload: "no", retain: true})
	}
	c.silent()
	later := join(t, v5)
	later.subscribe(2, topic)
	later.silent()
}

// allowed checks a code of an acknowledgement; the helpers see to it that nothing
// follows the code.
func allowed(t *testing.T, code, want byte, codes ...byte) {
	t.Helper()
	if code != want || !slices.Contains(codes, code) {
		t.Errorf("code %#x, want %#x", code, want)
	}
}

// publishCodes are those of PUBACK and PUBREC.
var publishCodes = []byte{0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}

func ackCodes(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5)
	allowed(t, c.publish(message{topic: topic, qos: 1}), 0, publishCodes...)
	allowed(t, c.publish(message{topic: "$closed/" + topic, qos: 1}), 0x87, publishCodes...)
	allowed(t, c.publish(message{topic: "full/" + topic, qos: 1}), 0x97, publishCodes...)
}

func recCodes(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5)
	allowed(t, c.publish(message{topic: topic, qos: 2}), 0, publishCodes...)
	allowed(t, c.publish(message{topic: "$closed/" + topic, qos: 2}), 0x87, publishCodes...)
	allowed(t, c.publish(message{topic: "full/" + topic, qos: 2}), 0x97, publishCodes...)
}

func relCodes(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5)
	c.subscribe(2, topic)
	c.publish2(message{topic: topic, payload: "x"})
	c.gets("0:x")
	join(t, v5).publish(message{topic: topic, qos: 2, payload: "x"})
	c.got() // the PUBREL in there has no code
	c.ack(pubrecPacket, 4711)
	allowed(t, c.acked(pubrelPacket, 4711), 0x92, 0, 0x92)
}

func compCodes(t *testing.T, v5 bool) {
	c := join(t, v5)
	c.publish(message{topic: newTopic(), qos: 2}) // the PUBCOMP in there has no code
	c.ack(pubrelPacket, 4711)
	allowed(t, c.acked(pubcompPacket, 4711), 0x92, 0, 0x92)
}

func expiredWaiting(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5, kept(v5)), join(t, v5)
	c.subscribe(1, topic)
	c.gone()
	from.publish(message{topic: topic, qos: 1, payload: "late", props: prop(0x02, u32(1))})
	from.publish(message{topic: topic, qos: 1, payload: "in time", props: prop(0x02, u32(3600))})
	from.publish(message{topic: topic, qos: 1, payload: "for ever"})
	pass(t, 1)
	joinAs(t, c.thing, v5, kept(v5)).gets("1:in time", "1:for ever")
}

func expiryLeft(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5, kept(v5)), join(t, v5)
	c.subscribe(1, topic)
	send := func(seconds int) {
		from.publish(message{topic: topic, qos: 1, payload: fmt.Sprint(seconds), props: prop(0x02, u32(seconds))})
	}
	left := func(least, most int) {
		t.Helper()
		m := c.got()
		v, ok := value(m.props, 0x02, 4)
		if n := int(v[2])<<8 | int(v[3]); !ok || n < least || n > most {
			t.Errorf("%s seconds: %d are left", m.payload, n)
		}
	}
	send(100)
	left(70, 100)
	c.gone()
	send(1000)
	pass(t, 1)
	c = joinAs(t, c.thing, v5, kept(v5))
	left(970, 999)
}
