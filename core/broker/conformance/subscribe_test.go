package conformance

import (
	"slices"
	"testing"
)

var subscribeChecks = []check{
	{"5-3.8.1-1 3-3.8.1-1", "SUBSCRIBE with other flags than 0010 closes the connection, with 0x81 in MQTT 5",
		func(t *testing.T, v5 bool) {
			for _, flags := range []byte{0x00, 0x01, 0x03, 0x06, 0x0A} {
				c := join(t, v5)
				b := c.subscribePacketOf(1, nil, subscription{"a", 0})
				b[0] = 0x80 | flags
				c.refused(0x81, b)
			}
		}},
	{"5-3.8.3-1 3-3.8.3-1", "a filter that is no UTF-8 closes the connection",
		func(t *testing.T, v5 bool) {
			c := join(t, v5)
			c.refused(0x81, c.subscribePacketOf(1, nil, subscription{"a\xff", 0}))
		}},
	{"3-3.8.3-2", "filters with wildcards are served",
		func(t *testing.T, v5 bool) {
			c := join(t, v5)
			c.write(c.subscribePacketOf(1, nil, subscription{"#", 0}, subscription{"+", 1}, subscription{"a/+/b", 2}, subscription{"+/#", 0}))
			first, body, err := c.read()
			for err == nil && first != subackPacket { // "#" brings what other tests publish
				first, body, err = c.read()
			}
			if err != nil || !slices.Equal(c.codes(body, 1), []byte{0, 1, 2, 0}) {
				t.Errorf("SUBACK % x, %v", body, err)
			}
		}},
	{"5-3.8.3-2 3-3.8.3-3", "a SUBSCRIBE without a filter closes the connection, with 0x82 in MQTT 5",
		func(t *testing.T, v5 bool) {
			c := join(t, v5)
			c.refused(0x82, c.subscribePacketOf(1, nil))
		}},
	{"5-3.8.3-3", "no local keeps a client's own messages from it, retained ones too", keepsOwn},
	{"5-3.8.3-4", "no local on a shared subscription closes the connection with 0x82",
		func(t *testing.T, v5 bool) {
			c := join(t, v5)
			c.refused(0x82, c.subscribePacketOf(1, nil, subscription{"$share/g/a", noLocal}))
		}},
	{"5-3.8.3-5 3-3.8.3-4", "reserved bits of the options, and QoS 3, close the connection", reservedOptions},
	{"5-3.8.4-1 3-3.8.4-1", "a SUBSCRIBE is answered by a SUBACK",
		func(t *testing.T, v5 bool) { c := join(t, v5); c.subscribe(0, "a"); c.subscribe(0, "a"); c.silent() }},
	{"5-3.8.4-2 3-3.8.4-2", "SUBACK has the identifier of its SUBSCRIBE", sameRequestIdentifier},
	{"5-3.8.4-3", "a SUBSCRIBE with the same filter replaces the subscription, with all its options", replaces},
	{"5-3.8.4-4 3-3.8.4-3", "a replacement brings the retained messages again and interrupts nothing", replaceBringsRetained},
	{"5-3.8.4-5 3-3.8.4-4", "several filters are taken as several SUBSCRIBEs, with one SUBACK", severalFilters},
	{"5-3.8.4-6", "SUBACK has a code for each filter", severalFilters},
	{"5-3.8.4-7 3-3.8.4-5", "each code of SUBACK is the QoS that is granted, or says that there is no subscription", codeIsGranted},
	{"5-3.8.4-8 3-3.8.4-6", "messages come with the lower QoS of publication and subscription", lowerQoS},
	{"5-3.9.2-1 5-3.9.2-2", "SUBACK has no properties", codeIsGranted},
	{"5-3.9.3-1 3-3.9.3-1", "the codes of SUBACK are in the order of the filters", severalFilters},
	{"5-3.9.3-2 3-3.9.3-2", "SUBACK has codes that the standard gives it", subackCodes},
}

func keepsOwn(t *testing.T, v5 bool) {
	topic := newTopic()
	c, other := join(t, v5), join(t, v5)
	c.publish(message{topic: topic, qos: 1, payload: "retained", retain: true})
	c.subscribe(1|noLocal, topic)
	c.silent()
	c.publish(message{topic: topic, qos: 1, payload: "mine"})
	other.publish(message{topic: topic, qos: 1, payload: "other's"})
	c.gets("1:other's")
	// The client id counts, not the connection.
	c = joinAs(t, c.thing, v5, kept(v5))
	c.subscribe(1|noLocal, topic+"/x")
	c.gone()
	c = joinAs(t, c.thing, v5, kept(v5))
	c.publish(message{topic: topic + "/x", qos: 1, payload: "mine"})
	c.silent()
}

func reservedOptions(t *testing.T, v5 bool) {
	wrong := map[byte]int{0x03: 0x82, 0x40: 0x81, 0x80: 0x81, 0xC1: 0x81}
	if v5 {
		wrong[0x30] = 0x82
	} else {
		wrong[0x04], wrong[0x08], wrong[0x10] = 0, 0, 0
	}
	for opts, code := range wrong {
		c := join(t, v5)
		c.refused(code, c.subscribePacketOf(1, nil, subscription{"a", 0}, subscription{"b", opts}))
	}
}

func replaces(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribeWith(prop(0x0B, []byte{5}), subscription{topic, 2 | noLocal | asPublished})
	c.subscribe(1, topic)
	from.publish(message{topic: topic, qos: 2, payload: "x", retain: true})
	if m := c.gets("1:x")[0]; m.retain || len(m.props) != 0 {
		t.Errorf("got %+v", m)
	}
	c.publish2(message{topic: topic, qos: 0, payload: "mine"})
	c.gets("0:mine")
	c.silent()
	c.unsubscribe(topic)
	from.publish(message{topic: topic, qos: 2, payload: "x"})
	c.silent()
}

func replaceBringsRetained(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	from.publish(message{topic: topic + "/r", qos: 1, payload: "retained", retain: true})
	c.subscribe(1, topic+"/#")
	c.gets("1:retained")
	// Messages flow while the subscription is replaced again and again.
	const n = 50
	for i := range n {
		from.write(from.publishPacketOf(message{topic: topic, qos: 1, payload: "flows", id: i + 1}))
		c.write(c.subscribePacketOf(i+1, nil, subscription{topic + "/#", 1}))
	}
	flows, retained, acks := 0, 0, 0
	for flows < n || retained < n || acks < n {
		first, body, err := c.read()
		switch {
		case err != nil:
			t.Fatal(err, flows, retained, acks)
		case first == subackPacket:
			acks++
		case slices.Contains([]byte{'s'}, body[len(body)-1]):
			flows++
		default:
			retained++
		}
		if first>>4 == publishPacket>>4 {
			at := 2 + int(body[1])
			c.write(packet(pubackPacket, body[at:at+2]))
		}
	}
}

func severalFilters(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5)
	failed := byte(0x80)
	if v5 {
		failed = 0x8F
	}
	got := c.subscribeWith(nil, subscription{topic + "/a", 2}, subscription{topic + "/#/b", 1}, subscription{topic + "/c", 0}, subscription{topic + "/a", 1})
	if !slices.Equal(got, []byte{2, failed, 0, 1}) {
		t.Errorf("SUBACK % x", got)
	}
	from := join(t, v5)
	from.publish(message{topic: topic + "/a", qos: 2, payload: "a"})
	from.publish(message{topic: topic + "/x/b", qos: 2, payload: "b"})
	from.publish(message{topic: topic + "/c", qos: 2, payload: "c"})
	c.gets("1:a", "0:c")
	c.silent()
}

func codeIsGranted(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	for qos := range byte(3) {
		c.subscribe(qos, topic)
		from.publish(message{topic: topic, qos: 2, payload: "x"})
		if m := c.got(); m.qos != qos {
			t.Errorf("granted %d, got %d", qos, m.qos)
		}
	}
	if got := c.subscribeWith(nil, subscription{topic + "#", 0}); got[0] < 0x80 {
		t.Errorf("SUBACK % x", got)
	}
	from.publish(message{topic: topic + "x", payload: "no"})
	c.silent()
}

func lowerQoS(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	for granted := range byte(3) {
		c.subscribe(granted, topic)
		for published := range byte(3) {
			from.publish(message{topic: topic, qos: published, payload: "x"})
			if m := c.got(); m.qos != min(granted, published) {
				t.Errorf("granted %d, published %d, got %d", granted, published, m.qos)
			}
		}
	}
}

func subackCodes(t *testing.T, v5 bool) {
	c := join(t, v5)
	wrong, shared := byte(0x80), byte(0x80)
	if v5 {
		wrong, shared = 0x8F, 0x9E
	}
	got := c.subscribeWith(nil, subscription{"a", 0}, subscription{"a+", 1}, subscription{"$share/g/a", 1}, subscription{"", 1})
	if !slices.Equal(got, []byte{0, wrong, shared, wrong}) {
		t.Errorf("SUBACK % x", got)
	}
}
