package conformance

import "testing"

var qos2Checks = []check{
	{"5-4.3.3-1", "each QoS 2 message has an identifier that is not in use", freeIdentifiers},
	{"5-4.3.3-2", "QoS 2 goes out without DUP the first time", dupOnResend},
	{"5-4.3.3-3 3-4.3.3-1", "a QoS 2 message waits for its PUBREC, and comes again after a reconnect", waitsForPubrec},
	{"5-4.3.3-4", "PUBREC is answered by PUBREL with the same identifier, unless it refuses", answersPubrec},
	{"5-4.3.3-5", "PUBREL waits for its PUBCOMP, and comes again after a reconnect", waitsForPubcomp},
	{"5-4.3.3-6", "after PUBREL the message does not come again", waitsForPubcomp},
	{"5-4.3.3-7", "a message that was sent once does not expire", sentDoesNotExpire},
	{"5-4.3.3-8", "QoS 2 is answered by PUBREC with its identifier when the message is taken", sameIdentifier},
	{"5-4.3.3-9", "after a PUBREC that refuses the same identifier brings a new message", newAfterRefusal},
	{"5-4.3.3-10 3-4.3.3-2", "until PUBREL the same identifier is answered by PUBREC and delivered once, over a reconnect too", exactlyOnce},
	{"5-4.3.3-11", "PUBREL is answered by PUBCOMP with the same identifier, each time", answersPubrel},
	{"5-4.3.3-12", "after PUBCOMP the same identifier brings a new message", newAfterPubcomp},
	{"5-4.3.3-13", "the flow goes on to its end though the message has expired", flowOutlivesExpiry},
}

func waitsForPubrec(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5, kept(v5)), join(t, v5)
	c.subscribe(2, topic)
	from.publish(message{topic: topic, qos: 2, payload: "x"})
	m := c.receive()
	c.ack(pubackPacket, m.id)  // not for QoS 2
	c.ack(pubcompPacket, m.id) // too early
	c.silent()
	c.gone()
	c = joinAs(t, c.thing, v5, kept(v5))
	if again := c.got(); again.id != m.id || !again.dup || again.payload != "x" {
		t.Errorf("got %+v", again)
	}
	c.silent()
	c.gone()
	joinAs(t, c.thing, v5, kept(v5)).silent()
}

func answersPubrec(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(2, topic)
	from.publish(message{topic: topic, qos: 2, payload: "x"})
	m := c.receive()
	c.ack(pubrecPacket, m.id)
	c.acked(pubrelPacket, m.id)
	c.ack(pubrecPacket, m.id) // again
	c.acked(pubrelPacket, m.id)
	c.ack(pubcompPacket, m.id)
	from.publish(message{topic: topic, qos: 2, payload: "y"})
	m = c.receive()
	c.write(packet(pubrecPacket, u16(m.id), []byte{0x10})) // no error
	c.acked(pubrelPacket, m.id)
	from.publish(message{topic: topic, qos: 2, payload: "z"})
	m = c.receive()
	c.write(packet(pubrecPacket, u16(m.id), []byte{0x87}))
	c.silent()
}

func waitsForPubcomp(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5, kept(v5)), join(t, v5)
	c.subscribe(2, topic)
	from.publish(message{topic: topic, qos: 2, payload: "x"})
	m := c.receive()
	c.ack(pubrecPacket, m.id)
	c.acked(pubrelPacket, m.id)
	for range 2 {
		c.gone()
		c = joinAs(t, c.thing, v5, kept(v5))
		c.acked(pubrelPacket, m.id)
		c.silent()
	}
	c.ack(pubcompPacket, m.id)
	c.silent()
	c.gone()
	joinAs(t, c.thing, v5, kept(v5)).silent()
}

func sentDoesNotExpire(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5, kept(v5)), join(t, v5)
	c.subscribe(2, topic)
	from.publish(message{topic: topic, qos: 2, payload: "x", props: prop(0x02, u32(1))})
	m := c.receive()
	pass(t, 1)
	c.gone()
	c = joinAs(t, c.thing, v5, kept(v5))
	if again := c.got(); again.id != m.id || !again.dup {
		t.Errorf("got %+v", again)
	}
}

func newAfterRefusal(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(2, topic)
	for _, refused := range []string{"$closed/" + topic, "full/" + topic} {
		if code := from.publish(message{topic: refused, qos: 2, id: 9, payload: "no"}); code < 0x80 {
			t.Errorf("PUBREC %#x", code)
		}
		from.publish(message{topic: topic, qos: 2, id: 9, payload: "yes"})
		c.gets("2:yes")
	}
	c.silent()
}

func exactlyOnce(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5, kept(v5))
	c.subscribe(2, topic)
	m := message{topic: topic, qos: 2, id: 5, payload: "once"}
	send := func() {
		t.Helper()
		from.write(from.publishPacketOf(m))
		from.acked(pubrecPacket, 5)
		m.dup = true
	}
	send()
	send()
	from.gone()
	from = joinAs(t, from.thing, v5, kept(v5))
	send()
	from.ack(pubrelPacket, 5)
	from.acked(pubcompPacket, 5)
	c.gets("2:once")
	c.silent()
}

func answersPubrel(t *testing.T, v5 bool) {
	c := join(t, v5)
	c.publish(message{topic: newTopic(), qos: 2, id: 5})
	c.ack(pubrelPacket, 5)
	if code := c.acked(pubcompPacket, 5); code != 0x92 { // nothing is known of it any more
		t.Errorf("PUBCOMP %#x", code)
	}
}

func newAfterPubcomp(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(2, topic)
	for _, dup := range []bool{false, true} {
		from.publish(message{topic: topic, qos: 2, id: 5, dup: dup, payload: "x"})
		c.gets("2:x")
	}
	c.silent()
}

func flowOutlivesExpiry(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5)
	m := message{topic: topic, qos: 2, id: 5, payload: "x", props: prop(0x02, u32(1))}
	c.write(c.publishPacketOf(m))
	c.acked(pubrecPacket, 5)
	pass(t, 1)
	c.write(c.publishPacketOf(m))
	c.acked(pubrecPacket, 5)
	c.ack(pubrelPacket, 5)
	if code := c.acked(pubcompPacket, 5); code != 0 {
		t.Errorf("PUBCOMP %#x", code)
	}
}
