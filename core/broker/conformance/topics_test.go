package conformance

import (
	"slices"
	"testing"
)

var topicChecks = []check{
	{"5-4.7.1-1 3-4.7.1-2", "# stands alone or after /, and last", func(t *testing.T, v5 bool) {
		filters(t, v5, []string{"a/#", "/#"}, []string{"a#", "a/#/b", "#/a", "a/b#", "##", "a/##"})
	}},
	{"5-4.7.1-2 3-4.7.1-3", "+ stands for a whole level", func(t *testing.T, v5 bool) {
		filters(t, v5, []string{"a/+", "a/+/b", "/+/x", "a/+/#"}, []string{"a+", "+a", "a/+b/c", "++", "a/b+"})
		plusLevels(t, v5)
	}},
	{"5-4.7.2-1 3-4.7.2-1", "filters that begin with a wildcard match no topic that begins with $, retained or not", dollarTopics},
	{"5-4.7.3-1 3-4.7.3-1", "an empty filter is refused, an empty topic closes the connection", func(t *testing.T, v5 bool) {
		filters(t, v5, nil, []string{""})
		c := join(t, v5)
		c.refused(0x82, c.publishPacketOf(message{payload: "x"}))
		filters(t, v5, []string{"/", "//"}, nil)
	}},
	{"5-4.7.3-2 3-4.7.3-2", "topics and filters with U+0000 close the connection", func(t *testing.T, v5 bool) {
		wrongString(t, v5, "\x00", []spot{
			{packet: func(c *client, s string) []byte { return c.publishPacketOf(message{topic: "a" + s}) }},
			{packet: func(c *client, s string) []byte { return c.subscribePacketOf(1, nil, subscription{s, 0}) }},
		})
	}},
	{"5-4.7.3-3 3-4.7.3-3", "topics and filters of 65,535 bytes are taken", longestTopic},
	{"5-4.7.3-4 3-4.7.3-4", "topics and filters are compared as they are: case, forms of characters, spaces and empty levels count", comparesBytes},
}

// filters subscribes to filters that must be granted and to some that must not.
func filters(t *testing.T, v5 bool, good, bad []string) {
	t.Helper()
	c := join(t, v5)
	wrong := byte(0x80)
	if v5 {
		wrong = 0x8F
	}
	ask := func(filter string, want byte) {
		t.Helper()
		id := c.id()
		c.write(c.subscribePacketOf(id, nil, subscription{filter, 1}))
		c.until(func(first byte, body []byte) bool { // some bring what other tests publish
			if first == subackPacket && !slices.Equal(c.codes(body, id), []byte{want}) {
				t.Errorf("SUBACK % x for %q", body, filter)
			}
			return first == subackPacket
		})
	}
	for _, f := range good {
		ask(f, 1)
	}
	for _, f := range bad {
		ask(f, wrong)
	}
}

func plusLevels(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(0, "+/"+topic+"/+")
	for _, at := range []string{"a/" + topic + "/b", topic + "/b", "a/" + topic, "/" + topic + "/", "a/" + topic + "/b/c", "a/b/" + topic + "/c"} {
		from.publish(message{topic: at, payload: "x"})
	}
	for _, at := range []string{"a/" + topic + "/b", "/" + topic + "/"} {
		if m := c.got(); m.topic != at {
			t.Errorf("got %q, want %q", m.topic, at)
		}
	}
	c.silent()
}

func dollarTopics(t *testing.T, v5 bool) {
	name := newTopic()
	topic := "$open/" + name
	c, all, from := join(t, v5), join(t, v5), join(t, v5)
	c.subscribe(1, "+/"+name)
	c.subscribe(1, "+/"+name+"/#")
	all.write(all.subscribePacketOf(1, nil, subscription{"#", 1}))
	all.until(func(first byte, _ []byte) bool { return first == subackPacket })
	from.publish(message{topic: topic, qos: 1, payload: "x", retain: true})
	c.silent()
	// All that is there for "#", what other tests publish too, up to a later message.
	from.publish(message{topic: name, qos: 1, payload: "mark"})
	for m := all.got(); m.topic != name; m = all.got() {
		if m.topic == topic {
			t.Errorf("# brought %s", topic)
		}
	}
	c.subscribe(1, topic)
	from.publish(message{topic: topic, qos: 1, payload: "by name"})
	c.gets("1:by name")
	later := join(t, v5)
	later.subscribe(1, "+/"+name)
	later.silent()
	later.subscribe(1, "$open/+/#")
}

// until reads packets until one is the last.
func (c *client) until(last func(first byte, body []byte) bool) {
	c.t.Helper()
	for {
		first, body, err := c.read()
		if err != nil {
			c.t.Fatal(err)
		}
		if last(first, body) {
			return
		}
	}
}

func longestTopic(t *testing.T, v5 bool) {
	topic := newTopic() + "/"
	topic += long(65535 - len(topic))
	c := join(t, v5)
	c.subscribe(1, topic)
	c.subscribe(1, topic[:65533]+"/#")
	c.write(c.publishPacketOf(message{topic: topic, payload: "x"}))
	if m := c.got(); m.topic != topic {
		t.Errorf("a topic of %d bytes came", len(m.topic))
	}
	c.unsubscribe(topic)
}

func comparesBytes(t *testing.T, v5 bool) {
	topic := newTopic()
	composed, decomposed := topic+"/\u00e9", topic+"/e\u0301"
	c, from := join(t, v5), join(t, v5)
	for _, f := range []string{composed, topic + "/a b", topic + "/X", topic + "//y"} {
		c.subscribe(0, f)
	}
	for _, at := range []string{decomposed, topic + "/a  b", topic + "/a b ", topic + "/x", topic + "/y", topic + "//y/", topic + "///y", topic + "/./X"} {
		from.publish(message{topic: at, payload: "no"})
	}
	for _, at := range []string{composed, topic + "/a b", topic + "/X", topic + "//y"} {
		from.publish(message{topic: at})
		if m := c.got(); m.topic != at {
			t.Errorf("got %q, want %q", m.topic, at)
		}
	}
	c.silent()
}
