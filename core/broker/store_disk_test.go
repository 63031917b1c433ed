package broker_test

import (
	"fmt"
	"strings"
	"testing"
)

// While the disk is full, nothing is acknowledged that is not safe, and nobody else
// suffers: devices come and go and talk. When there is room again, all is well.
func TestDiskFull(t *testing.T) {
	const n = 100 // of 8 KiB: more than fits
	d := newDisk(t)
	d.maxBytes = 256 << 10
	payload := strings.Repeat("x", 8<<10)
	d.startOn(everything, func(s *site) {
		b := s.connect("b", keep)
		b.subscribe(1, "t/#")
		b.conn.Close()
		s.until("b is away", func() bool { return !s.connected("b") })
		a := s.connect("a")
		go func() {
			for i := range n {
				a.send("t", 1, fmt.Sprint(i, " ", payload))
			}
		}()
		acked := make(chan struct{}, n)
		go func() {
			for range n {
				if first, _, err := a.read(); err != nil || first != 0x40 {
					t.Errorf("%#x, %v", first, err)
					return
				}
				acked <- struct{}{}
			}
		}()
		s.until("the disk is full", func() bool { return len(s.broker.Faults()) > 0 })
		s.until("all have come", func() bool { return s.router.Ledger().Accepted >= n })
		// Those that fit are acknowledged, whatever group they came in, and no others.
		s.until("what fits is acknowledged", func() bool { return len(acked) >= n/10 })
		if got := len(acked); got >= n/2 {
			t.Errorf("%d of %d publishes are acknowledged, more than fit", got, n)
		}
		// What needs less room than is left is not stopped by what needs more.
		f := s.connect("f")
		f.publish("t/small", 1, "word")

		// Others: a session that is kept, a subscription, and messages to who is there.
		c, e := s.connect("c", keep), s.connect("e")
		c.subscribe(1, "u")
		for i := range 50 {
			e.send("u", 1, fmt.Sprint(i))
			if g := c.message(); g.payload != fmt.Sprint(i) {
				t.Fatalf("got %q", g.payload)
			}
			e.expect(0x40) // c has it, which is as good as the disk
		}
		if got := len(acked); got >= n/2 {
			t.Errorf("%d publishes are acknowledged without room", got)
		}

		// b takes what waits, which makes room.
		b = s.connect("b", keep)
		for i := range n {
			if g := b.message(); !strings.HasPrefix(g.payload, fmt.Sprint(i, " ")) {
				t.Fatalf("message %d is %.10q", i, g.payload)
			}
		}
		if g := b.message(); g.payload != "word" {
			t.Errorf("the small message is %.10q", g.payload)
		}
		s.until("all is acknowledged", func() bool { return len(acked) == n })
		s.until("the fault is gone", func() bool { return len(s.broker.Faults()) == 0 })
		s.settled()
	})
	d.maxBytes = 0
	d.startOn(everything, func(s *site) {
		// What was subscribed while the disk was full is there.
		s.connect("a").publish("u", 1, "later")
		c, present := s.connectSession("c", keep)
		if !present {
			t.Fatal("the session of c is gone")
		}
		if g := c.message(); g.payload != "later" {
			t.Errorf("got %q", g.payload)
		}
		b, _ := s.connectSession("b", keep)
		b.silent()
	})
}
