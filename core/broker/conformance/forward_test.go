package conformance

import (
	"bytes"
	"slices"
	"testing"
)

var forwardChecks = []check{
	{"5-3.3.2-3 3-3.3.2-3", "a message has the topic under which it was published, which matches the filter", topicMatches},
	{"5-3.3.2-4", "the payload format indicator reaches subscribers as it was",
		func(t *testing.T, v5 bool) { unaltered(t, prop(0x01, []byte{1})) }},
	{"5-3.3.2-13", "a response topic that is no UTF-8 closes the connection",
		func(t *testing.T, v5 bool) { wrongString(t, v5, "\xff", []spot{{packet: responseTopic}}) }},
	{"5-3.3.2-14", "a response topic with a wildcard closes the connection with 0x82",
		func(t *testing.T, v5 bool) {
			for _, topic := range []string{"a/#", "+", ""} {
				c := join(t, v5)
				c.refused(0x82, responseTopic(c, topic))
			}
		}},
	{"5-3.3.2-15", "the response topic reaches subscribers as it was",
		func(t *testing.T, v5 bool) { unaltered(t, prop(0x08, str("answers/ÄÖ/x"))) }},
	{"5-3.3.2-16", "correlation data reach subscribers as they were",
		func(t *testing.T, v5 bool) {
			unaltered(t, prop(0x09, str("\x00\xff\x01")))
			unaltered(t, prop(0x09, str("")))
			unaltered(t, prop(0x09, str(long(1000))))
		}},
	{"5-3.3.2-17", "user properties reach subscribers as they were, empty ones and the same name twice too",
		func(t *testing.T, v5 bool) { unaltered(t, slices.Concat(user("", ""), user("n", "v"), user("n", "w"))) }},
	{"5-3.3.2-18", "user properties keep their order",
		func(t *testing.T, v5 bool) {
			unaltered(t, slices.Concat(user("z", "1"), user("a", "2"), user("m", "3"), user("a", "1")))
		}},
	{"5-3.3.2-19", "a content type that is no UTF-8 closes the connection",
		func(t *testing.T, v5 bool) {
			wrongString(t, v5, "\xff", []spot{{packet: func(c *client, s string) []byte {
				return c.publishPacketOf(message{topic: "a", props: prop(0x03, str(s))})
			}}})
		}},
	{"5-3.3.2-20", "the content type reaches subscribers as it was",
		func(t *testing.T, v5 bool) { unaltered(t, prop(0x03, str("application/json; charset=utf-8"))) }},
	{"5-3.3.4-2 3-3.3.5-1", "subscriptions that overlap bring a message with the highest QoS of them", overlapQoS},
	{"5-3.3.4-3", "a message has the identifiers of the subscriptions that it came by", identifiersOfAll},
	{"5-3.3.4-4", "one copy is sent for subscriptions that overlap, with the identifiers of all", identifiersOfAll},
}

func responseTopic(c *client, s string) []byte {
	return c.publishPacketOf(message{topic: "a", props: prop(0x08, str(s))})
}

// unaltered publishes with properties to who is here, who is away, and who comes later.
func unaltered(t *testing.T, props []byte) {
	t.Helper()
	topic := newTopic()
	here, away := join(t, true), join(t, true, kept(true))
	here.subscribe(0, topic)
	away.subscribe(1, topic)
	away.gone()
	join(t, true).publish(message{topic: topic, qos: 1, payload: "x", props: props, retain: true})
	later := join(t, true)
	later.subscribe(1, topic)
	for i, c := range []*client{here, joinAs(t, away.thing, true, kept(true)), later} {
		if m := c.got(); !bytes.Equal(m.props, props) {
			t.Errorf("subscriber %d got the properties % x, want % x", i, m.props, props)
		}
	}
}

func topicMatches(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(0, topic+"/+/c/#")
	for _, end := range []string{"/b/c", "/b/c/d", "/b/d", "/b", "//c", "/b/c/"} {
		from.publish(message{topic: topic + end})
	}
	for _, end := range []string{"/b/c", "/b/c/d", "//c", "/b/c/"} {
		if m := c.got(); m.topic != topic+end {
			t.Errorf("got %q, want %q", m.topic, topic+end)
		}
	}
	c.silent()
}

func overlapQoS(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(0, topic+"/#")
	c.subscribe(2, topic+"/a")
	c.subscribe(1, topic+"/+")
	for qos := range byte(3) {
		from.publish(message{topic: topic + "/a", qos: qos, payload: "x"})
	}
	c.gets("0:x", "1:x", "2:x")
	c.silent()
}

func identifiersOfAll(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	subscribe := func(filter string, id int) {
		c.subscribeWith(prop(0x0B, varint(id)), subscription{filter, 1})
	}
	subscribe(topic+"/#", 7)
	subscribe(topic+"/+", 268_435_455)
	c.subscribe(1, topic+"/a/#")
	subscribe(topic+"/other", 9)
	from.publish(message{topic: topic + "/a", qos: 1, payload: "x"})
	m := c.gets("1:x")[0]
	if !containsAll(m.props, prop(0x0B, varint(7)), prop(0x0B, varint(268_435_455))) || len(m.props) != 2+5 {
		t.Errorf("properties % x", m.props)
	}
	c.silent()
}
