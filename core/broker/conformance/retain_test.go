package conformance

import (
	"slices"
	"testing"
)

var retainChecks = []check{
	{"5-3.3.1-5 3-3.3.1-5", "a message with RETAIN takes the place of the retained one, with its QoS, in all QoS", retains},
	{"3-3.3.1-6", "a new subscription brings the retained messages of all topics that match", retainedOnSubscribe},
	{"3-3.3.1-7", "a retained QoS 0 message takes the place of the one before", retains},
	{"3-3.3.1-8", "what a subscription brings has RETAIN", retainedOnSubscribe},
	{"3-3.3.1-9", "what an established subscription brings has no RETAIN", func(t *testing.T, v5 bool) { publishedFlag(t, v5, 0) }},
	{"5-3.3.1-6 3-3.3.1-10", "an empty message with RETAIN is delivered and takes the retained one away", emptyRetained},
	{"5-3.3.1-7 3-3.3.1-11", "an empty message is not retained", emptyRetained},
	{"5-3.3.1-8 3-3.3.1-12", "a message without RETAIN leaves the retained one as it is", withoutRetain},
	{"5-3.3.1-9", "retain handling 0 brings the retained messages at every SUBSCRIBE",
		func(t *testing.T, v5 bool) { handling(t, 0, true, true) }},
	{"5-3.3.1-10", "retain handling 1 brings them for a subscription that is new",
		func(t *testing.T, v5 bool) { handling(t, handling1, true, false) }},
	{"5-3.3.1-11", "retain handling 2 brings none",
		func(t *testing.T, v5 bool) { handling(t, handling2, false, false) }},
	{"5-3.3.1-12", "without retain as published a message that is forwarded has no RETAIN",
		func(t *testing.T, v5 bool) { publishedFlag(t, v5, 0) }},
	{"5-3.3.1-13", "with retain as published a message that is forwarded has RETAIN as it was",
		func(t *testing.T, v5 bool) { publishedFlag(t, v5, asPublished) }},
	{"3-3.1.2-7", "retained messages outlive the session of their publisher and that of a subscriber", outliveSessions},
}

func retains(t *testing.T, v5 bool) {
	topic := newTopic()
	from := join(t, v5)
	for qos := range byte(3) {
		payload := string('a' + rune(qos))
		from.publish(message{topic: topic, qos: qos, payload: payload, retain: true})
		later := join(t, v5)
		later.subscribe(2, topic)
		if m := later.got(); m.payload != payload || m.qos != qos || !m.retain {
			t.Errorf("got %+v", m)
		}
		later.silent()
	}
	from.publish(message{topic: topic, payload: "last", retain: true})
	later := join(t, v5)
	later.subscribe(2, topic)
	later.gets("0:last")
}

func retainedOnSubscribe(t *testing.T, v5 bool) {
	topic := newTopic()
	from := join(t, v5)
	for _, end := range []string{"/a", "/a/b", "/c", "/other/x/y"} {
		from.publish(message{topic: topic + end, qos: 1, payload: end, retain: true})
	}
	later := join(t, v5)
	later.subscribe(1, topic+"/+/#")
	var ends []string
	for range 4 {
		m := later.got()
		if !m.retain {
			t.Errorf("no RETAIN: %+v", m)
		}
		ends = append(ends, m.payload)
	}
	slices.Sort(ends)
	if !slices.Equal(ends, []string{"/a", "/a/b", "/c", "/other/x/y"}) {
		t.Errorf("got %q", ends)
	}
	later.subscribe(1, topic+"/+")
	later.got()
	later.got()
	later.silent()
}

func emptyRetained(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	from.publish(message{topic: topic, qos: 1, payload: "x", retain: true})
	c.subscribe(1, topic)
	c.gets("1:x")
	from.publish(message{topic: topic, qos: 1, retain: true})
	c.gets("1:")
	from.publish(message{topic: topic + "/never", qos: 1, retain: true})
	later := join(t, v5)
	later.subscribe(1, topic+"/#")
	later.silent()
}

func withoutRetain(t *testing.T, v5 bool) {
	topic := newTopic()
	from := join(t, v5)
	from.publish(message{topic: topic, qos: 1, payload: "stays", retain: true})
	from.publish(message{topic: topic, qos: 1, payload: "passes"})
	from.publish(message{topic: topic, qos: 1})
	from.publish(message{topic: topic + "/other", qos: 1, payload: "passes"})
	later := join(t, v5)
	later.subscribe(1, topic+"/#")
	later.gets("1:stays")
	later.silent()
}

func handling(t *testing.T, opts byte, atFirst, again bool) {
	t.Helper()
	topic := newTopic()
	join(t, true).publish(message{topic: topic, qos: 1, payload: "x", retain: true})
	c := join(t, true)
	for _, comes := range []bool{atFirst, again} {
		c.subscribe(1|opts, topic)
		if comes {
			c.gets("1:x")
		}
		c.silent()
	}
}

func publishedFlag(t *testing.T, v5 bool, opts byte) {
	t.Helper()
	topic := newTopic()
	c, from := join(t, v5), join(t, v5)
	c.subscribe(1|opts, topic)
	for _, retain := range []bool{true, false} {
		from.publish(message{topic: topic, qos: 1, payload: "x", retain: retain})
		if m := c.got(); m.retain != (retain && opts != 0) {
			t.Errorf("published with RETAIN %v, got %v", retain, m.retain)
		}
	}
}

func outliveSessions(t *testing.T, v5 bool) {
	topic := newTopic()
	from, c := join(t, v5), join(t, v5, kept(v5))
	from.publish(message{topic: topic, qos: 1, payload: "x", retain: true})
	c.subscribe(1, topic)
	c.gets("1:x")
	from.gone()
	c.gone()
	c = joinAs(t, c.thing, v5) // ends the session
	c.subscribe(1, topic)
	c.gets("1:x")
}
