package broker_test

import (
	"fmt"
	"testing"

	"greengate/core/router"
)

// A message goes along a row and nowhere else.
func TestRow(t *testing.T) {
	s := start(t, rows{{"a", "t/#", "b"}})
	for _, v5 := range []bool{false, true} {
		for qos := range byte(2) {
			t.Run(fmt.Sprintf("v5=%v/qos=%d", v5, qos), func(t *testing.T) {
				o := connectOptions{v5: v5}
				a, b, c := s.connect("a", o), s.connect("b", o), s.connect("c", o)
				b.subscribe(qos, "t/#")
				c.subscribe(qos, "#")
				a.publish("t/1", qos, "hello")
				if g := b.message(); g.topic != "t/1" || g.payload != "hello" || g.qos != qos {
					t.Errorf("got %+v", g)
				}
				c.silent()
				want := byte(0)
				if v5 && qos > 0 {
					want = 0x87
				}
				if code := b.publish("t/1", qos, "back"); code != want {
					t.Errorf("publish without a row: code %#x, want %#x", code, want)
				}
				a.silent()
				b.silent() // what it has sent is taken, before the next one takes its place
			})
		}
	}
	n := s.settled()
	if n.Delivered != 4 || n.Refused != 4 {
		t.Errorf("ledger %+v", n)
	}
}

func TestQoS2(t *testing.T) {
	s := start(t, everything)
	a, b := s.connect("a"), s.connect("b", connectOptions{v5: true})
	b.subscribe(2, "t")
	pub := packet(0x34, text("t"), []byte{0, 7}, []byte("once"))
	a.write(pub)
	a.expect(0x50)
	pub[0] |= 8 // the client did not see PUBREC
	a.write(pub)
	a.expect(0x50)
	a.write(packet(0x62, []byte{0, 7}))
	a.expect(0x70)
	first, body, err := b.read()
	if err != nil || first != 0x34 {
		t.Fatalf("got %#x %v", first, err)
	}
	g := b.decode(first, body)
	if g.payload != "once" {
		t.Errorf("got %+v", g)
	}
	id := []byte{byte(g.id >> 8), byte(g.id)}
	b.write(packet(0x50, id))
	b.expect(0x62)
	b.write(packet(0x70, id))
	b.silent() // no second copy
	if n := s.settled(); n.Delivered != 1 {
		t.Errorf("ledger %+v", n)
	}
	// PUBREL of an id that is not known [MQTT-4.3.3-13].
	b.write(packet(0x62, []byte{0, 9}))
	if ack := b.expect(0x70); len(ack) < 3 || ack[2] != 0x92 {
		t.Errorf("PUBCOMP % x", ack)
	}
}

// A persistent session keeps what comes while its client is away, in order.
func TestOfflineQueue(t *testing.T) {
	const n = 9000
	s := start(t, everything)
	b := s.connect("b", connectOptions{persist: true})
	b.subscribe(1, "t")
	b.conn.Close()
	s.until("b is away", func() bool { return !s.connected("b") })
	a := s.connect("a")
	for i := range n {
		a.send("t", 1, fmt.Sprint(i))
		if i%100 == 99 {
			for range 100 {
				a.expect(0x40)
			}
		}
	}
	if w := s.router.Ledger().Waiting; w != n {
		t.Errorf("%d messages wait, want %d", w, n)
	}
	b, present := s.connectSession("b", connectOptions{persist: true})
	if !present {
		t.Error("the session was lost")
	}
	for i := range n {
		if g := b.message(); g.payload != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, g.payload)
		}
	}
	s.settled()
	// A clean session forgets all.
	if _, present = s.connectSession("b"); present {
		t.Error("a clean session has a past")
	}
	a.publish("t", 1, "nobody")
	if got := s.settled(); got.Dropped != 1 {
		t.Errorf("ledger %+v", got)
	}
}

// What was sent and not acknowledged comes again, marked, before what waits.
func TestResend(t *testing.T) {
	s := start(t, everything)
	b := s.connect("b", connectOptions{persist: true})
	b.subscribe(1, "t")
	a := s.connect("a")
	a.publish("t", 1, "one")
	if first, body, err := b.read(); err != nil || b.decode(first, body).payload != "one" {
		t.Fatal(err)
	}
	b.conn.Close() // without PUBACK
	s.until("b is away", func() bool { return !s.connected("b") })
	a.publish("t", 1, "two")
	b = s.connect("b", connectOptions{persist: true})
	if g := b.message(); g.payload != "one" || !g.dup {
		t.Errorf("got %+v", g)
	}
	if g := b.message(); g.payload != "two" || g.dup {
		t.Errorf("got %+v", g)
	}
	s.settled()
}

func TestTakeOver(t *testing.T) {
	s := start(t, everything)
	one := s.connect("a", connectOptions{v5: true, persist: true, props: []byte{0x11, 0, 0, 0, 60}})
	one.subscribe(1, "t")
	two, present := s.connectSession("a", connectOptions{v5: true, persist: true, props: []byte{0x11, 0, 0, 0, 60}})
	if !present {
		t.Error("the session was not taken over")
	}
	if code := one.closed(); code != 0x8E {
		t.Errorf("the old connection was told %#x", code)
	}
	s.connect("b").publish("t", 1, "x")
	if g := two.message(); g.payload != "x" {
		t.Errorf("got %+v", g)
	}
}

// A take-over storm leaves one connection and a broker that works.
func TestTakeOverStorm(t *testing.T) {
	s := start(t, everything)
	var storm []*client
	for range 100 {
		c := s.dial("a")
		c.write(packet(0x10, text("MQTT"), []byte{4, 2, 0, 0}, text("a")))
		storm = append(storm, c)
	}
	for _, c := range storm { // a CONNECT that is still on its way would take over what comes now
		_, _, _ = c.read() // CONNACK, or the end
	}
	a := s.connect("a")
	a.subscribe(0, "t")
	a.publish("t", 0, "alive")
	if g := a.message(); g.payload != "alive" {
		t.Errorf("got %+v", g)
	}
}

// Identity: the client id is the thing's name, the certificate is known.
func TestIdentity(t *testing.T) {
	s := start(t, everything)
	foreign := newAuthority().issue("a")
	for _, v5 := range []bool{false, true} {
		want, wantID := byte(5), byte(2)
		if v5 {
			want, wantID = 0x87, 0x85
		}
		if ack := s.dialWith(foreign).hello("a", connectOptions{v5: v5}); ack[1] != want {
			t.Errorf("foreign certificate: CONNACK %#x, want %#x", ack[1], want)
		}
		if ack := s.dial("a").hello("b", connectOptions{v5: v5}); ack[1] != wantID {
			t.Errorf("another's id: CONNACK %#x, want %#x", ack[1], wantID)
		}
	}
	nameless := s.dial("a")
	nameless.v5 = true
	nameless.write(packet(0x10, text("MQTT"), []byte{5, 2, 0, 0}, properties(), text("")))
	if ack := nameless.expect(0x20); ack[1] != 0x85 {
		t.Errorf("no id: CONNACK %#x", ack[1])
	}
	c := s.connect("a", connectOptions{v5: true})
	// Removed from the group: cut at once.
	s.ca.remove("a")
	s.broker.Recheck(func(thing string) bool { return thing != "a" })
	if code := c.closed(); code != 0x87 {
		t.Errorf("removed device was told %#x", code)
	}
	if ack := s.dial("a").hello("a", connectOptions{}); ack[1] != 5 {
		t.Errorf("removed device: CONNACK %#x", ack[1])
	}
}

// A subscriber that stops reading costs the others nothing.
func TestStuckReader(t *testing.T) {
	s := start(t, everything)
	stuck, b, a := s.connect("stuck"), s.connect("b"), s.connect("a")
	stuck.subscribe(1, "t")
	stuck.subscribe(0, "t0")
	b.subscribe(1, "t")
	payload := string(make([]byte, 4096))
	for range 3000 {
		a.send("t", 1, payload)
		a.send("t0", 0, payload)
		b.message()
		a.expect(0x40)
	}
	s.until("QoS 0 is dropped", func() bool {
		dropped := false
		s.router.Reasons(func(_ router.Verdict, why router.Reason, _ uint64) { dropped = dropped || why == "slow-reader" })
		return dropped
	})
	n := s.router.Ledger()
	if n.Accepted != n.Delivered+n.Refused+n.Expired+n.Dropped+n.Waiting || n.Waiting == 0 {
		t.Errorf("ledger %+v", n)
	}
}
