package broker_test

import (
	"slices"
	"strings"
	"testing"

	"greengate/core/broker"
	"greengate/core/router"
)

// A retained message reaches a new subscriber only along a row of today.
func TestRetainedThroughTheGate(t *testing.T) {
	s := start(t, rows{{"a", "t/#", "b"}})
	a := s.connect("a", connectOptions{v5: true})
	a.publish("t/kept", 1, "kept", true)
	a.publish("u/refused", 1, "refused", true)
	b, c := s.connect("b"), s.connect("c")
	b.subscribe(1, "#")
	if g := b.message(); g.topic != "t/kept" || !g.retain || g.payload != "kept" {
		t.Errorf("got %+v", g)
	}
	b.silent()
	c.subscribe(1, "#", "t/kept", "+/+")
	c.silent()

	s.router.SetGate(rows{{"a", "#", "c"}})
	b2 := s.connect("b")
	b2.subscribe(1, "#")
	b2.silent()
	c.subscribe(1, "t/+")
	if g := c.message(); g.topic != "t/kept" {
		t.Errorf("got %+v", g)
	}
	c.silent() // what was refused is not kept, whatever the table says later

	a.publish("t/kept", 1, "", true)
	c.message() // the empty message itself
	c.subscribe(1, "t/kept")
	c.silent()
}

func TestRetainHandling(t *testing.T) {
	s := start(t, everything)
	a := s.connect("a", connectOptions{v5: true})
	a.publish("t", 0, "kept", true)
	a.silent()
	subscribe := func(options byte) {
		a.write(packet(0x82, a.id(), properties(0x0B, 9), text("t"), []byte{options}))
		a.expect(0x90)
	}
	subscribe(0x20) // never
	a.silent()
	subscribe(0x10) // only a new subscription; this one exists
	a.silent()
	subscribe(0x08) // always, and as published
	if g := a.message(); g.payload != "kept" || !g.retain || g.props != "\x0b\x09" {
		t.Errorf("got %+v", g)
	}
	a.publish("t", 0, "again", true)
	if g := a.message(); !g.retain {
		t.Errorf("retain as published: got %+v", g)
	}
	subscribe(0x24) // no local: not what this client published itself
	a.publish("t", 0, "own")
	a.silent()
}

// The bound of the store holds, and what is not kept is counted.
func TestRetainedBound(t *testing.T) {
	s := start(t, everything)
	a := s.connect("a")
	big := strings.Repeat("x", 1<<20)
	for i := range 40 {
		a.publish("big/"+string(rune('A'+i)), 1, big, true)
	}
	if !noted(s, "retained-full") {
		t.Error("40 MiB were kept")
	}
	// One for which there is no room takes the one before away: that is the last no more.
	a.publish("big/A", 1, big+big+big, true)
	b := s.connect("b")
	b.subscribe(1, "big/A")
	b.silent()
	a.publish("$reserved", 1, "x", true)
	a.subscribe(0, "$reserved")
	a.silent()
}

func noted(s *site, reason router.Reason) bool {
	found := false
	s.router.Reasons(func(_ router.Verdict, why router.Reason, _ uint64) { found = found || why == reason })
	return found
}

// willOf is the tail of a CONNECT with a will, and its flags.
func willOf(topic, payload string, qos byte, retain bool, props ...byte) (byte, []byte) {
	flags := byte(4) | qos<<3
	if retain {
		flags |= 0x20
	}
	return flags, slices.Concat(props, text(topic), text(payload))
}

func TestWill(t *testing.T) {
	s := start(t, rows{{"a", "will/#", "b"}})
	b, c := s.connect("b"), s.connect("c")
	b.subscribe(1, "#")
	c.subscribe(1, "#")
	connect := func(topic string, o connectOptions) *client {
		var props []byte
		if o.v5 {
			props = properties(o.props...)
		}
		o.props = nil
		o.flags, o.payload = willOf(topic, "gone", 1, true, props...)
		return s.connect("a", o)
	}
	connect("will/a", connectOptions{}).conn.Close()
	if g := b.message(); g.topic != "will/a" || g.payload != "gone" || g.qos != 1 {
		t.Errorf("got %+v", g)
	}
	a := connect("will/normal", connectOptions{v5: true})
	a.write([]byte{0xE0, 0})
	a.closed()
	b.silent()
	a = connect("will/asked", connectOptions{v5: true})
	a.write([]byte{0xE0, 1, 4})
	if g := b.message(); g.topic != "will/asked" {
		t.Errorf("got %+v", g)
	}
	connect("elsewhere", connectOptions{}).conn.Close()
	s.until("the will is refused", func() bool { return s.router.Ledger().Refused > 0 })
	b.silent()
	c.silent()

	// A delayed will stays away when its client is back in time, and goes when
	// the session ends.
	later := connectOptions{v5: true, persist: true}
	later.flags, later.payload = willOf("will/later", "late", 0, false, properties(0x18, 0, 0, 0, 60)...)
	later.props = []byte{0x11, 0, 0, 0, 60}
	s.connect("a", later).conn.Close()
	s.until("a is away", func() bool { return !s.connected("a") })
	s.connect("a", connectOptions{v5: true, persist: true, props: []byte{0x11, 0, 0, 0, 60}}).conn.Close()
	s.until("a is away", func() bool { return !s.connected("a") })
	b.silent()
	s.connect("a", later).conn.Close()
	s.until("a is away", func() bool { return !s.connected("a") })
	s.connect("a") // a clean start ends the session
	if g := b.message(); g.topic != "will/later" {
		t.Errorf("got %+v", g)
	}
	// The kept will follows the gate as any retained message.
	d := s.connect("b")
	d.subscribe(0, "will/a")
	if g := d.message(); !g.retain {
		t.Errorf("got %+v", g)
	}
}

// A reload in the middle: who publishes, what is queued, and who is subscribed
// obey the new table at once.
func TestReload(t *testing.T) {
	s := start(t, rows{{"a", "t", "b"}, {"a", "u", "b"}})
	a := s.connect("a", connectOptions{v5: true})
	b := s.connect("b", connectOptions{persist: true})
	b.subscribe(1, "#")
	a.publish("t", 1, "before")
	b.message()
	b.conn.Close()
	s.until("b is away", func() bool { return !s.connected("b") })
	a.publish("t", 1, "queued under a row that goes")
	a.publish("u", 1, "queued under a row that stays")
	member := func(string) bool { return true }
	s.router.SetGate(rows{{"a", "u", "b"}})
	s.broker.Recheck(member)
	if code := a.publish("t", 1, "after"); code != 0x87 {
		t.Errorf("code %#x", code)
	}
	b = s.connect("b", connectOptions{persist: true})
	if g := b.message(); g.topic != "u" {
		t.Errorf("got %+v", g)
	}
	b.silent()
	s.router.SetGate(rows{{"a", "t", "b"}})
	s.broker.Recheck(member)
	if code := a.publish("t", 1, "back"); code != 0 {
		t.Errorf("code %#x", code)
	}
	if g := b.message(); g.payload != "back" {
		t.Errorf("got %+v", g)
	}
	if n := s.settled(); n.Delivered != 3 || n.Dropped != 1 || n.Refused != 1 {
		t.Errorf("ledger %+v", n)
	}
	if !noted(s, "row-gone") {
		t.Error("the drop has no reason")
	}
}

func TestStrictSubscribe(t *testing.T) {
	s := start(t, rows{{"a", "t", "b"}}, func(o *broker.Options) {
		o.Config.StrictSubscribe = true
		o.Feeds = func(thing, filter string) bool { return thing == "b" && filter == "t" }
	})
	if codes := s.connect("b").subscribe(1, "t", "u", "$share/g/t", "a#", ""); !slices.Equal(codes, []byte{1, 0x80, 0x80, 0x80, 0x80}) {
		t.Errorf("SUBACK % x", codes)
	}
	if codes := s.connect("b", connectOptions{v5: true}).subscribe(2, "t", "u", "$share/g/t", "a#", ""); !slices.Equal(codes, []byte{2, 0x87, 0x9E, 0x8F, 0x8F}) {
		t.Errorf("SUBACK % x", codes)
	}
}

// The delayed will of a device that is removed is judged at once, by the table that removes
// it: it must not go out later, when a device of that name is back.
func TestWillOfARemovedDevice(t *testing.T) {
	s := start(t, rows{{"a", "will/later", "b"}})
	b := s.connect("b")
	b.subscribe(0, "#")
	later := connectOptions{v5: true, persist: true, props: []byte{0x11, 0, 0, 0, 60}}
	later.flags, later.payload = willOf("will/later", "late", 0, false, properties(0x18, 0, 0, 0, 60)...)
	dying := s.connect("a", later)
	s.until("a is there", func() bool { return s.connected("a") }) // which is after its CONNACK
	dying.conn.Close()
	s.until("a is away", func() bool { return !s.connected("a") })
	s.router.SetGate(rows{})
	s.broker.Recheck(func(thing string) bool { return thing != "a" })
	if n := s.router.Ledger(); n.Refused != 1 {
		t.Errorf("the will was not judged when its device was removed: %+v", n)
	}
	s.router.SetGate(rows{{"a", "will/later", "b"}})
	b.silent()
}
