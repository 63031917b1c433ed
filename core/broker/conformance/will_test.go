package conformance

import (
	"slices"
	"testing"
	"time"
)

var willChecks = []check{
	{"5-3.1.2-7 3-3.1.2-8", "the will is kept and goes out when the connection ends without a DISCONNECT", storesWill},
	{"5-3.1.2-8", "the will goes out when its delay has passed or the session has ended, whichever is first", willDelay},
	{"5-3.1.2-10 3-3.1.2-10", "a will that went out, or that a DISCONNECT took away, does not go out later", willOnce},
	{"3-3.1.2-12", "without the will flag nothing goes out", noWill},
	{"5-3.1.2-14 3-3.1.2-16", "a will without its retain flag is not retained",
		func(t *testing.T, v5 bool) { retainedWill(t, v5, false) }},
	{"5-3.1.2-15 3-3.1.2-17", "a will with its retain flag is retained",
		func(t *testing.T, v5 bool) { retainedWill(t, v5, true) }},
	{"5-3.1.3-9", "a client that is back before the will delay has passed has no will sent", backInTime},
	{"5-3.1.3-10", "the properties of the will go with it, those of the user in their order", willProps},
	{"5-3.14.4-3 3-3.14.4-3", "DISCONNECT (in MQTT 5 with 0x00) discards the will; with 0x04, another code, or a fault it goes out", disconnectWill},
}

// withWill connects a thing that leaves a will, and a witness of it.
func withWill(t *testing.T, v5 bool, o connect, w will) (c, witness *client, topic string) {
	t.Helper()
	topic = newTopic()
	witness = join(t, v5)
	witness.subscribe(2, topic)
	w.topic = topic
	o.will = &w
	return join(t, v5, o), witness, topic
}

func storesWill(t *testing.T, v5 bool) {
	for qos := range byte(3) {
		c, witness, topic := withWill(t, v5, connect{}, will{payload: "last", qos: qos})
		witness.silent()
		c.gone()
		if m := witness.got(); m.topic != topic || m.payload != "last" || m.qos != qos {
			t.Errorf("got %+v", m)
		}
	}
	// An empty one is one, too.
	c, witness, _ := withWill(t, v5, connect{}, will{})
	c.gone()
	witness.gets("0:")
}

func willDelay(t *testing.T, v5 bool) {
	delay := func(seconds int) []byte { return prop(0x18, u32(seconds)) }
	passes := func(c, witness *client, least time.Duration, end func()) {
		t.Helper()
		begin := time.Now()
		end()
		witness.gets("0:last")
		if took := time.Since(begin); took < least {
			t.Errorf("the will went out after %v, want %v", took, least)
		}
	}
	// The delay passes.
	c, witness, _ := withWill(t, v5, connect{props: expiry(3600)}, will{payload: "last", props: delay(1)})
	passes(c, witness, 900*time.Millisecond, c.gone)
	// The session expires before.
	c, witness, _ = withWill(t, v5, connect{props: expiry(1)}, will{payload: "last", props: delay(3600)})
	passes(c, witness, 900*time.Millisecond, c.gone)
	// It ends with its connection.
	c, witness, _ = withWill(t, v5, connect{}, will{payload: "last", props: delay(3600)})
	passes(c, witness, 0, c.gone)
	// A clean start ends it.
	c, witness, _ = withWill(t, v5, connect{props: expiry(3600)}, will{payload: "last", props: delay(3600)})
	passes(c, witness, 0, func() { c.gone(); joinAs(t, c.thing, v5) })
	// DISCONNECT moves its end.
	c, witness, _ = withWill(t, v5, connect{props: expiry(1)}, will{payload: "last", props: delay(2)})
	passes(c, witness, 1900*time.Millisecond, func() {
		c.write(packet(disconnectPacket, []byte{0x04}, properties(expiry(3600))))
		c.closed()
	})
	c, witness, _ = withWill(t, v5, connect{props: expiry(3600)}, will{payload: "last", props: delay(3600)})
	passes(c, witness, 0, func() {
		c.write(packet(disconnectPacket, []byte{0x04}, properties(expiry(0))))
		c.closed()
	})
}

func willOnce(t *testing.T, v5 bool) {
	c, witness, _ := withWill(t, v5, kept(v5), will{payload: "last"})
	c.gone()
	witness.gets("0:last")
	c = joinAs(t, c.thing, v5, kept(v5))
	c.gone()
	witness.silent()

	c, witness, _ = withWill(t, v5, kept(v5), will{payload: "last"})
	c.write([]byte{disconnectPacket, 0})
	c.closed()
	c.away()
	c = joinAs(t, c.thing, v5, kept(v5))
	c.gone()
	witness.silent()
}

func noWill(t *testing.T, v5 bool) {
	witness := join(t, v5)
	witness.subscribe(0, newTopic())
	c := join(t, v5)
	c.gone()
	witness.silent()
}

func retainedWill(t *testing.T, v5, retain bool) {
	c, witness, topic := withWill(t, v5, connect{}, will{payload: "last", qos: 1, retain: retain})
	c.gone()
	witness.gets("1:last")
	later := join(t, v5)
	later.subscribe(1, topic)
	if retain {
		if m := later.got(); m.payload != "last" || !m.retain {
			t.Errorf("got %+v", m)
		}
	}
	later.silent()
}

func backInTime(t *testing.T, v5 bool) {
	delayed := will{payload: "last", props: prop(0x18, u32(1))}
	c, witness, _ := withWill(t, v5, connect{props: expiry(3600)}, delayed)
	c.gone()
	joinAs(t, c.thing, v5, kept(v5))
	// A take-over ends a connection, too.
	one, witness1, _ := withWill(t, v5, connect{props: expiry(3600)}, delayed)
	joinAs(t, one.thing, v5, kept(v5))
	one.closed()
	// When the will of somebody with the same delay is out, theirs would be.
	clock, witness2, _ := withWill(t, v5, connect{props: expiry(3600)}, delayed)
	clock.gone()
	witness2.gets("0:last")
	witness.silent()
	witness1.silent()
}

func willProps(t *testing.T, v5 bool) {
	users := slices.Concat(user("b", "1"), user("a", "2"), user("b", "1"))
	props := slices.Concat(prop(0x01, []byte{1}), prop(0x02, u32(100)), prop(0x03, str("text/plain")), prop(0x08, str("answers")), prop(0x09, str("id")), users)
	c, witness, _ := withWill(t, v5, connect{}, will{payload: "last", props: props})
	c.gone()
	m := witness.got()
	if !containsAll(m.props, prop(0x01, []byte{1}), prop(0x03, str("text/plain")), prop(0x08, str("answers")), prop(0x09, str("id")), users) {
		t.Errorf("properties % x", m.props)
	}
	if v, ok := value(m.props, 0x02, 4); !ok || !slices.Equal(v, u32(100)) {
		t.Errorf("message expiry % x", v)
	}
}

func disconnectWill(t *testing.T, v5 bool) {
	end := func(goes bool, parts ...[]byte) {
		t.Helper()
		c, witness, _ := withWill(t, v5, connect{}, will{payload: "last"})
		c.write(parts...)
		c.closed()
		if goes {
			witness.gets("0:last")
			return
		}
		c.away()
		witness.silent()
	}
	end(false, []byte{disconnectPacket, 0})
	if !v5 {
		end(true, packet(disconnectPacket, []byte{0}))
		return
	}
	end(false, packet(disconnectPacket, []byte{0}))
	end(false, packet(disconnectPacket, []byte{0, 0}))
	end(true, packet(disconnectPacket, []byte{0x04}))
	end(true, packet(disconnectPacket, []byte{0x80, 0}))
	end(true, packet(disconnectPacket, []byte{0}, properties(expiry(60))))              // from 0: a protocol error
	end(true, packet(disconnectPacket, []byte{0}, properties(prop(0x02, u32(1)))))      // not of DISCONNECT
	end(true, packet(disconnectPacket, []byte{0}, properties(expiry(0), expiry(0))))    // twice
	end(true, packet(disconnectPacket, []byte{0}, properties(user("n", "v")), str(""))) // left over
}
