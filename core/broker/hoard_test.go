package broker_test

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"greengate/core/broker"
	"greengate/core/sqlite"
)

// subscribeTo sends a SUBSCRIBE of MQTT 5, and returns the codes of SUBACK.
func (c *client) subscribeTo(qos byte, filters ...string) []byte {
	c.t.Helper()
	body := append(c.id(), 0)
	for _, f := range filters {
		body = append(append(body, text(f)...), qos)
	}
	c.write(packet(0x82, body))
	return c.expect(0x90)[3:]
}

// A filter that stands in a SUBSCRIBE again and again brings the retained messages once,
// and those beyond the bound are refused.
func TestFilterManyTimes(t *testing.T) {
	s := start(t, everything)
	a, b := s.connect("a", v5), s.connect("b", v5)
	for i := range 3 {
		a.publish(fmt.Sprint("t/", i), 1, "kept", true)
	}
	const n = 100_000
	codes := b.subscribeTo(1, slices.Repeat([]string{"t/#"}, n)...)
	granted := slices.Index(codes, 0x97)
	if len(codes) != n || granted != 1000 || slices.Contains(codes[granted:], 1) {
		t.Fatalf("%d codes, the first %d granted", len(codes), granted)
	}
	for range 3 {
		b.message()
	}
	b.silent()
	if got := reasons(s, "filter-limit"); got != n-1000 {
		t.Errorf("%d are counted, want %d", got, n-1000)
	}
}

// Retained messages go out as their client reads them: none is dropped, none is older than
// what came meanwhile, and a gateway that ends does not wait for the rest.
func TestRetainedAtTheReadersPace(t *testing.T) {
	s := start(t, everything)
	a, b := s.connect("a", v5), s.connect("b", v5)
	const n, size = 500, 40 << 10 // 20 MB, more than a socket and the out buffer have room for
	old, late := strings.Repeat("o", size), strings.Repeat("n", 100)
	for i := range n {
		a.publish(fmt.Sprintf("t/%03d", i), 1, old, true)
	}
	b.write(packet(0x82, b.id(), []byte{0}, text("t/#"), []byte{0}))
	b.expect(0x90)
	b.write([]byte{0xC0, 0})
	// While b does not read, each tenth topic has a new message.
	for i := 0; i < n; i += 10 {
		a.publish(fmt.Sprintf("t/%03d", i), 1, late, true)
	}
	last := map[string]string{}
	for fresh := 0; len(last) < n || fresh < n/10; {
		first, body, err := b.read()
		if err != nil {
			t.Fatalf("after %d topics: %v", len(last), err)
		}
		if first == 0xD0 {
			if len(last) > n/2 {
				t.Errorf("the answer to a PINGREQ comes after %d messages", len(last))
			}
			continue
		}
		g := b.decode(first, body)
		if last[g.topic] = g.payload; g.payload == late {
			fresh++
		}
	}
	for i := 0; i < n; i += 10 {
		if topic := fmt.Sprintf("t/%03d", i); last[topic] != late {
			t.Errorf("the last message on %s is an old one", topic)
		}
	}
	if noted(s, "slow-reader") {
		t.Error("retained messages were dropped")
	}
	b.silent()
	// Now it never reads, and the test ends with the gateway.
	b.write(packet(0x82, b.id(), []byte{0}, text("t/#"), []byte{0}, text("+/+"), []byte{0}, text("#"), []byte{0}))
	b.expect(0x90)
}

// Levels are what deep topics and filters cost, and they count.
func TestLevelsCount(t *testing.T) {
	s := start(t, everything)
	a := s.connect("a", v5)
	deep := strings.Repeat("/a", 250)
	for i := range 1000 {
		a.publish(fmt.Sprint("t/", i, deep), 0, "x", true)
	}
	a.silent()
	kept := strings.Count(seen(s.broker, ""), ",")
	if n := reasons(s, "retained-full"); kept < 300 || kept > 600 || int(n) != 1000-kept {
		t.Errorf("%d messages of 252 levels are retained, and %d refusals counted", kept, n)
	}
	for i := range 1000 {
		a.publish(fmt.Sprint("t/", i, deep), 0, "", true)
	}
	a.publish("t/1000"+deep, 1, "x", true)
	if seen(s.broker, "") != "t/1000"+deep+" x, " {
		t.Error("what was taken out has not made room")
	}
	filter := func(i int) string { return fmt.Sprint(i, strings.Repeat("/"+strings.Repeat("y", 200), 255)) }
	granted := 0
	for i := range 100 {
		if a.subscribeTo(1, filter(i))[0] == 1 {
			granted++
		}
	}
	if n := reasons(s, "filter-limit"); granted < 15 || granted > 40 || int(n) != 100-granted {
		t.Errorf("%d filters of 51 KB are granted, and %d refusals counted", granted, n)
	}
	a.write(packet(0xA2, a.id(), []byte{0}, text(filter(0)))) // which makes room
	a.expect(0xB0)
	if codes := a.subscribeTo(1, filter(100), filter(1)); codes[0] != 1 || codes[1] != 1 {
		t.Errorf("SUBACK % .40x", codes)
	}
}

// All sessions together have a bound too, and one that ends makes room.
func TestFiltersOfAll(t *testing.T) {
	s := start(t, everything, func(o *broker.Options) { o.Memory = 8 << 20 }) // 1 MiB
	filters := make([]string, 300)
	for i := range filters {
		filters[i] = fmt.Sprint(i, "/a/b/c/d")
	}
	a := s.connect("a", v5)
	if codes := a.subscribeTo(1, filters...); slices.Contains(codes, 0x97) {
		t.Fatalf("SUBACK % .40x", codes)
	}
	for i := range filters {
		filters[i] = "of b/" + filters[i]
	}
	if codes := s.connect("b", v5).subscribeTo(1, filters...); !slices.Contains(codes, 0x97) || codes[0] != 1 {
		t.Errorf("SUBACK % .40x", codes)
	}
	a.write([]byte{0xE0, 0})
	a.closed()
	s.until("a is gone", func() bool { return len(s.broker.Devices()) == 1 })
	if codes := s.connect("c", v5).subscribeTo(1, filters[:200]...); slices.Contains(codes, 0x97) {
		t.Errorf("SUBACK % .40x", codes)
	}
}

// Retained messages whose time has run out make room for others, also on disk, and a start
// does not count them.
func TestExpiredMakeRoom(t *testing.T) {
	d := newDisk(t)
	rows := func(db *sqlite.DB) (n int64) {
		if err := db.View(t.Context(), func(tx *sqlite.Tx) error {
			return tx.QueryRow("SELECT count(*) FROM retained").Scan(&n)
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	short := properties(2, 0, 0, 0, 1) // a second
	expires := func(s *site, c *client, tag string, n int) {
		var batch []byte
		for i := range n {
			batch = append(batch, packet(0x31, text(fmt.Sprint(tag, i)), short, []byte("x"))...)
		}
		c.write(batch)
		c.silent()
		s.until("the last has expired", func() bool {
			_, _, ok := s.broker.RetainedOn(fmt.Sprint(tag, n-1))
			return !ok
		})
	}
	var db *sqlite.DB
	capture := func(o *broker.Options) { db = o.DB }
	t.Run("full", func(t *testing.T) {
		on := d.open()
		t.Cleanup(d.stop)
		s := start(t, everything, on, capture)
		a := s.connect("a", v5)
		expires(s, a, "dead/", 10_000)
		a.publish("live/1", 1, "x", true)
		if seen(s.broker, "") != "live/1 x, " || noted(s, "retained-full") {
			t.Errorf("retained are %q", seen(s.broker, ""))
		}
		s.until("the rows are gone", func() bool { return rows(db) == 1 })
		expires(s, a, "again/", 100)
		s.until("the rows are there", func() bool { return rows(db) == 101 })
	})
	t.Run("start", func(t *testing.T) {
		on := d.open()
		t.Cleanup(d.stop)
		s := start(t, everything, on, capture)
		if seen(s.broker, "") != "live/1 x, " || noted(s, "retained-full") {
			t.Errorf("retained are %q", seen(s.broker, ""))
		}
		s.until("the rows are gone", func() bool { return rows(db) == 1 })
		b := s.connect("b")
		b.subscribe(1, "#")
		b.message()
		b.silent()
	})
}

// prying identifies as slowly as a disk is: it asks the broker for its lock meanwhile.
type prying struct {
	*authority
	broker atomic.Pointer[broker.Broker]
}

func (p *prying) Identify(peer []*x509.Certificate) (string, error) {
	if b := p.broker.Load(); b != nil {
		b.Devices()
	}
	return p.authority.Identify(peer)
}

// Who is who is asked without the lock of the broker: it may have to read a file.
func TestIdentifiedWithoutALock(t *testing.T) {
	p := &prying{}
	s := start(t, everything, func(o *broker.Options) {
		p.authority = o.Identities.(*authority)
		o.Identities = p
	})
	p.broker.Store(s.broker)
	a, b := s.connect("a", v5), s.connect("b", v5)
	s.ca.remove("a")
	s.broker.Recheck(func(string) bool { return true })
	if code := a.closed(); code != 0x87 {
		t.Errorf("closed with %#x, want 0x87", code)
	}
	b.silent()
}
