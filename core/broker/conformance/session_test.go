package conformance

import (
	"fmt"
	"testing"
	"time"
)

var sessionChecks = []check{
	{"5-3.1.2-4 3-3.1.2-6", "a clean start ends the session before: its subscriptions and what waits", cleanStart},
	{"5-3.1.2-5 3-3.1.2-4", "without a clean start the session goes on, with subscriptions and what is not acknowledged", goesOn},
	{"5-3.1.2-6", "without a clean start and without a session a new one begins", newSession},
	{"3-3.1.2-5", "what comes with QoS 1 and 2 for a client that is away waits for it", waits},
	{"5-3.1.4-4 3-3.1.4-3", "clean start and its opposite are told apart in one row of connections", cleanAndNot},
	{"5-3.1.2-23 3-4.1.0-1", "a session outlives its connection as the client asked", outlives},
	{"5-4.1.0-1 3-4.1.0-2", "a session lasts at least as long as its connection, without any expiry too", lastsAsConnection},
	{"5-4.1.0-2", "a session ends when its expiry has passed, and at once when that is 0 or taken back by DISCONNECT", expires},
	{"5-4.5.0-1 3-4.5.0-1", "a message is kept for every session with a subscription that matches", forEverySession},
}

func cleanStart(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5, kept(v5)), join(t, v5)
	c.subscribe(1, topic)
	c.gone()
	from.publish(message{topic: topic, qos: 1, payload: "waits"})
	c = joinAs(t, c.thing, v5) // clean
	c.silent()
	from.publish(message{topic: topic, qos: 1, payload: "nobody"})
	c.silent()
}

func goesOn(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5, kept(v5)), join(t, v5)
	c.subscribe(2, topic)
	from.publish(message{topic: topic, qos: 1, payload: "one"})
	from.publish(message{topic: topic, qos: 2, payload: "two"})
	one, two := c.receive(), c.receive()
	c.gone()
	c, present := resume(t, c.thing, v5, kept(v5))
	if !present {
		t.Error("no session")
	}
	for _, before := range []message{one, two} {
		if m := c.got(); m.id != before.id || m.payload != before.payload || !m.dup {
			t.Errorf("got %+v, want %+v again", m, before)
		}
	}
	from.publish(message{topic: topic, qos: 1, payload: "three"})
	c.gets("1:three")
}

func newSession(t *testing.T, v5 bool) {
	topic := newTopic()
	c, present := resume(t, -1, v5, kept(v5))
	if present {
		t.Error("a session that nobody began")
	}
	c.subscribe(0, topic)
	c.publish2(message{topic: topic, payload: "x"})
	c.gets("0:x")
}

func waits(t *testing.T, v5 bool) {
	topic := newTopic()
	c, from := join(t, v5, kept(v5)), join(t, v5)
	c.subscribe(2, topic)
	c.gone()
	from.publish(message{topic: topic, qos: 1, payload: "one"})
	from.publish(message{topic: topic, qos: 2, payload: "two"})
	joinAs(t, c.thing, v5, kept(v5)).gets("1:one", "2:two")
}

func cleanAndNot(t *testing.T, v5 bool) {
	c := join(t, v5)
	for i, step := range []struct{ keep, present bool }{{true, false}, {true, true}, {false, false}, {true, false}} {
		o := connect{}
		if step.keep {
			o = kept(v5)
		}
		c.gone()
		var present bool
		if c, present = resume(t, c.thing, v5, o); present != step.present {
			t.Errorf("step %d: session present %v", i, present)
		}
	}
}

func outlives(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5, kept(v5))
	c.subscribe(1, topic)
	c.write([]byte{disconnectPacket, 0})
	c.closed()
	c.away()
	join(t, v5).publish(message{topic: topic, qos: 1, payload: "x"})
	c, present := resume(t, c.thing, v5, kept(v5))
	if c.gets("1:x"); !present {
		t.Error("no session")
	}
}

func lastsAsConnection(t *testing.T, v5 bool) {
	topic := newTopic()
	c := join(t, v5)
	c.subscribe(1, topic)
	from := join(t, v5)
	for range 3 { // unacknowledged messages and subscriptions stay
		from.publish(message{topic: topic, qos: 1, payload: "x"})
	}
	for range 3 {
		c.gets("1:x")
	}
	if _, ok := session(c.name); !ok {
		t.Error("no session")
	}
	c.gone()
	until(t, "the session ends with its connection", func() bool { _, ok := session(c.name); return !ok })
}

func expires(t *testing.T, v5 bool) {
	over := func(c *client) {
		t.Helper()
		until(t, "the session ends", func() bool { _, ok := session(c.name); return !ok })
		if _, present := resume(t, c.thing, true, kept(true)); present {
			t.Error("the session is there")
		}
	}
	c := join(t, v5, connect{props: expiry(1)})
	begin := time.Now()
	c.gone()
	over(c)
	if took := time.Since(begin); took < time.Second {
		t.Errorf("the session ended after %v", took)
	}
	c = join(t, v5, connect{props: expiry(0)})
	c.gone()
	over(c)
	c = join(t, v5, connect{props: expiry(3600)})
	c.write(packet(disconnectPacket, []byte{0}, properties(expiry(0))))
	c.closed()
	over(c)
}

func forEverySession(t *testing.T, v5 bool) {
	topic := newTopic()
	here, away, none := join(t, v5), join(t, v5, kept(v5)), join(t, v5)
	here.subscribe(2, topic)
	away.subscribe(1, topic+"/+")
	away.subscribe(1, topic+"/#")
	away.unsubscribe(topic + "/+")
	away.gone()
	from := join(t, v5)
	from.publish(message{topic: topic, qos: 2, payload: "x"})
	here.gets("2:x")
	joinAs(t, away.thing, v5, kept(v5)).gets("1:x")
	none.silent()
	// A client that does not read has more waiting than any buffer on the way holds.
	const n, size = 300, 16 << 10
	for i := range n {
		from.write(from.publishPacketOf(message{topic: topic, qos: 1, id: i + 100, payload: fmt.Sprint(i, long(size))}))
	}
	for i := range n {
		from.acked(pubackPacket, i+100)
	}
	for i := range n {
		if m := here.got(); m.payload != fmt.Sprint(i, long(size)) {
			t.Fatalf("message %d is %.9q", i, m.payload)
		}
	}
}
