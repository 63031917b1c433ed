package conformance

import (
	"fmt"
	"testing"
)

var deliveryChecks = []check{
	{"5-4.3.1-1 3-4.3.1-1", "QoS 0 goes out with QoS 0 and without DUP", plainQoS0},
	{"5-4.3.2-1", "each QoS 1 message has an identifier that is not in use", freeIdentifiers},
	{"5-4.3.2-2", "QoS 1 goes out without DUP the first time", dupOnResend},
	{"5-4.3.2-3 3-4.3.2-1", "a QoS 1 message waits for its PUBACK, in the session too, and for that of nobody else", waitsForPuback},
	{"5-4.3.2-4", "QoS 1 is acknowledged with its identifier when the message is taken", sameIdentifier},
	{"5-4.3.2-5 3-4.3.2-2", "after PUBACK the same identifier brings a new message, with DUP or without", reusesIdentifier},
	{"5-4.4.0-1 3-4.4.0-1", "what is not acknowledged is sent again after a reconnect with its identifier, and at no other time", resends},
	{"5-4.4.0-2", "a PUBACK or PUBREC that refuses ends the message", refusedIsDone},
	{"3-4.6.0-1", "messages are sent again in the order in which they were sent", resendOrder},
	{"3-4.6.0-2 3-4.6.0-3", "PUBACK and PUBREC come in the order of their messages", ackOrder},
	{"3-4.6.0-4", "PUBREL come in the order of PUBREC", relOrder},
	{"5-4.6.0-5 3-4.6.0-6", "messages of a client come in its order, for each QoS, over a reconnect too", keepsOrder},
	{"5-4.6.0-6 3-4.6.0-5", "every topic is ordered", keepsOrder},
}

func plainQoS0(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(0, topic)
	for qos := range byte(3) {
		from.publish(message{topic: topic, qos: qos, payload: "x"})
		if m := c.got(); m.qos != 0 || m.dup || m.payload != "x" {
			t.Errorf("got %+v", m)
		}
	}
}

func waitsForPuback(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5, kept(v5)), join(t, v5)
	c.subscribe(1, topic)
	from.publish(message{topic: topic, qos: 1, payload: "one"})
	from.publish(message{topic: topic, qos: 1, payload: "two"})
	one, two := c.receive(), c.receive()
	c.ack(pubackPacket, two.id)
	c.ack(pubackPacket, 4711)
	c.ack(pubcompPacket, one.id) // not for QoS 1
	c.silent()
	for range 2 {
		c.gone()
		c = joinAs(t, c.thing, v5, kept(v5))
		if m := c.receive(); m.id != one.id || m.payload != "one" || !m.dup {
			t.Errorf("got %+v", m)
		}
		c.silent()
	}
	c.ack(pubackPacket, one.id)
	c.silent()
	c.gone()
	joinAs(t, c.thing, v5, kept(v5)).silent()
}

func reusesIdentifier(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(1, topic)
	for _, dup := range []bool{false, false, true, true} {
		from.publish(message{topic: topic, qos: 1, id: 7, dup: dup, payload: "x"})
		c.gets("1:x")
	}
	c.silent()
}

func resends(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5, kept(v5)), join(t, v5)
	c.subscribe(2, topic)
	for qos := byte(1); qos <= 2; qos++ {
		from.publish(message{topic: topic, qos: qos, payload: "x"})
	}
	one, two := c.receive(), c.receive()
	pass(t, 1) // unacknowledged, and sent once
	c.silent()
	c.gone()
	c = joinAs(t, c.thing, v5, kept(v5))
	for _, before := range []message{one, two} {
		if m := c.receive(); m.id != before.id || !m.dup {
			t.Errorf("got %+v, want %+v again", m, before)
		}
	}
	c.ack(pubackPacket, one.id)
	c.ack(pubrecPacket, two.id)
	c.acked(pubrelPacket, two.id)
	c.gone()
	c = joinAs(t, c.thing, v5, kept(v5))
	c.acked(pubrelPacket, two.id)
	c.silent()
}

func refusedIsDone(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5, kept(v5)), join(t, v5)
	c.subscribe(2, topic)
	for qos := byte(1); qos <= 2; qos++ {
		from.publish(message{topic: topic, qos: qos, payload: "x"})
	}
	one, two := c.receive(), c.receive()
	c.write(packet(pubackPacket, u16(one.id), []byte{0x80}), packet(pubrecPacket, u16(two.id), []byte{0x83, 0}))
	c.silent() // no PUBREL either
	c.gone()
	joinAs(t, c.thing, v5, kept(v5)).silent()
}

func resendOrder(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5, kept(v5)), join(t, v5)
	c.subscribe(2, topic)
	var sent []message
	for i := range 20 {
		from.publish(message{topic: topic, qos: byte(1 + i%2), payload: fmt.Sprint(i)})
		sent = append(sent, c.receive())
	}
	c.gone()
	c = joinAs(t, c.thing, v5, kept(v5))
	for _, before := range sent {
		if m := c.receive(); m.id != before.id || m.payload != before.payload {
			t.Errorf("got %+v, want %+v", m, before)
		}
	}
}

func ackOrder(t *testing.T, v5 bool) {
	// Those for a client that is away wait for the disk, the others do not.
	topic := newTopic()
	away, from := join(t, v5, kept(v5)), join(t, v5)
	away.subscribe(1, topic+"/away")
	away.gone()
	for id := 1; id <= 50; id++ {
		at := topic
		if id%3 == 0 {
			at += "/away"
		}
		from.write(from.publishPacketOf(message{topic: at, qos: byte(1 + id%2), id: id, payload: "x"}))
	}
	for id := 1; id <= 50; id++ {
		from.acked(pubackPacket+0x10*byte(id%2), id)
	}
}

func relOrder(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(2, topic)
	var ids []int
	for range 10 {
		from.publish(message{topic: topic, qos: 2, payload: "x"})
		ids = append(ids, c.receive().id)
	}
	order := []int{3, 1, 4, 0, 5, 9, 2, 6, 8, 7}
	for _, i := range order {
		c.ack(pubrecPacket, ids[i])
	}
	for _, i := range order {
		c.acked(pubrelPacket, ids[i])
	}
}

func keepsOrder(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5, kept(v5)), join(t, v5)
	c.subscribe(2, topic+"/#")
	const n = 300
	burst := func(first int) {
		var all []byte
		for i := first; i < first+n; i++ {
			m := message{topic: topic + fmt.Sprint("/", i%2), qos: byte(1 + i%2), id: i + 1, payload: fmt.Sprint(i)}
			all = append(all, from.publishPacketOf(m)...)
		}
		from.write(all)
		for i := first; i < first+n; i++ {
			from.acked(pubackPacket+0x10*byte(i%2), i+1)
		}
	}
	burst(0)
	for i := range n / 2 {
		if m := c.got(); m.payload != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, m.payload)
		}
	}
	c.gone()
	burst(n)
	c = joinAs(t, c.thing, v5, kept(v5))
	for i := n / 2; i < 2*n; i++ {
		if m := c.got(); m.payload != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, m.payload)
		}
	}
	c.silent()
}
