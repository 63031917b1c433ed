package conformance

import (
	"slices"
	"testing"
)

var unsubscribeChecks = []check{
	{"5-3.10.1-1 3-3.10.1-1", "UNSUBSCRIBE with other flags than 0010 closes the connection, with 0x81 in MQTT 5",
		func(t *testing.T, v5 bool) {
			for _, flags := range []byte{0x00, 0x01, 0x03, 0x06, 0x0A} {
				c := join(t, v5)
				b := c.subscribePacketOf(1, nil, subscription{"a", 0})
				c.refused(0x81, packet(0xA0|flags, b[2:len(b)-1]))
			}
		}},
	{"5-3.10.3-1 3-3.10.3-1", "a filter that is no UTF-8, or cut short, closes the connection",
		func(t *testing.T, v5 bool) {
			for _, filter := range [][]byte{str("a\xff"), {0, 9, 'a'}, {0}} {
				c := join(t, v5)
				b := c.subscribePacketOf(1, nil)
				c.refused(0x81, packet(unsubscribePacket, b[2:], filter))
			}
		}},
	{"5-3.10.3-2 3-3.10.3-2", "an UNSUBSCRIBE without a filter closes the connection, with 0x82 in MQTT 5",
		func(t *testing.T, v5 bool) {
			c := join(t, v5)
			c.refused(0x82, packet(unsubscribePacket, c.subscribePacketOf(1, nil)[2:]))
		}},
	{"5-3.10.4-1 3-3.10.4-1", "filters are compared character by character", comparesExactly},
	{"5-3.10.4-2 3-3.10.4-2", "after UNSUBSCRIBE no new message comes", stopsDelivery},
	{"5-3.10.4-3 3-3.10.4-3", "what was begun before UNSUBSCRIBE is brought to its end, over a reconnect too", completesBegun},
	{"5-3.10.4-4 3-3.10.4-4", "an UNSUBSCRIBE is answered by an UNSUBACK with its identifier", sameRequestIdentifier},
	{"5-3.10.4-5 3-3.10.4-5", "an UNSUBSCRIBE of nothing is answered, too", unsubscribesNothing},
	{"5-3.10.4-6 3-3.10.4-6", "several filters are taken as several UNSUBSCRIBEs, with one UNSUBACK", unsubscribesSeveral},
	{"5-3.11.2-1 5-3.11.2-2", "UNSUBACK has no properties", unsubscribesSeveral},
	{"5-3.11.3-1", "the codes of UNSUBACK are in the order of the filters", unsubscribesSeveral},
	{"5-3.11.3-2", "UNSUBACK has codes that the standard gives it", unsubscribesSeveral},
}

func comparesExactly(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(0, topic+"/+")
	c.unsubscribe(topic+"/#", topic+"/a", topic+"/+/", topic, "+/+", topic+"/++")
	from.publish(message{topic: topic + "/a", payload: "x"})
	c.gets("0:x")
	c.unsubscribe(topic + "/+")
	from.publish(message{topic: topic + "/a", payload: "x"})
	c.silent()
}

func stopsDelivery(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(1, topic)
	c.subscribe(1, topic+"/other")
	from.publish(message{topic: topic, qos: 1, payload: "x"})
	c.gets("1:x")
	c.unsubscribe(topic)
	for qos := range byte(3) {
		from.publish(message{topic: topic, qos: qos, payload: "no"})
	}
	from.publish(message{topic: topic + "/other", qos: 1, payload: "yes"})
	c.gets("1:yes")
	c.silent()
}

func completesBegun(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5, kept(v5)), join(t, v5)
	c.subscribe(2, topic)
	from.publish(message{topic: topic, qos: 1, payload: "one"})
	from.publish(message{topic: topic, qos: 2, payload: "two"})
	one, two := c.receive(), c.receive()
	c.unsubscribe(topic)
	c.ack(pubrecPacket, two.id)
	c.acked(pubrelPacket, two.id)
	c.gone()
	c = joinAs(t, c.thing, v5, kept(v5))
	c.acked(pubrelPacket, two.id) // of two; one comes again
	if m := c.got(); m.id != one.id || m.payload != "one" {
		t.Errorf("got %+v", m)
	}
	c.ack(pubcompPacket, two.id)
	c.silent()
	c.gone()
	c = joinAs(t, c.thing, v5, kept(v5))
	c.silent()
}

func unsubscribesNothing(t *testing.T, v5 bool) {
	c := join(t, v5)
	got := c.unsubscribe("nothing")
	if v5 && !slices.Equal(got, []byte{0x11}) || !v5 && len(got) != 0 {
		t.Errorf("UNSUBACK % x", got)
	}
}

func unsubscribesSeveral(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(0, topic+"/a")
	c.subscribe(0, topic+"/b")
	c.subscribe(0, topic+"/c")
	got := c.unsubscribe(topic+"/a", topic+"/x", topic+"/c", topic+"/a")
	if v5 && !slices.Equal(got, []byte{0, 0x11, 0, 0x11}) || !v5 && len(got) != 0 {
		t.Errorf("UNSUBACK % x", got)
	}
	for _, end := range []string{"a", "b", "c"} {
		from.publish(message{topic: topic + "/" + end, payload: end})
	}
	c.gets("0:b")
	c.silent()
}
