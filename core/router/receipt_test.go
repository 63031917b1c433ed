package router_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"greengate/core/message"
	"greengate/core/router"
)

// holder is a durable target: it takes receipts and hands them to the test.
type holder struct {
	holds     int
	taken     []*router.Receipt
	onDeliver func(*router.Receipt)
}

func (h *holder) Deliver(d *router.Delivery, _ *router.Hop) (router.Verdict, router.Reason) {
	for range h.holds {
		r := d.Hold()
		h.taken = append(h.taken, r)
		if h.onDeliver != nil {
			h.onDeliver(r)
		}
	}
	return router.Delivered, ""
}

// receipt publishes a message that is held so often, by two targets, and
// returns its receipt.
func receipt(t *testing.T, first, second int, onDeliver func(*router.Receipt)) *router.Receipt {
	t.Helper()
	f, g := &holder{holds: first, onDeliver: onDeliver}, &holder{holds: second}
	r, _ := newRouter(open(row{"a", "t", "function:f"}, row{"a", "t", "cloud"}),
		map[message.Kind]router.Target{message.Function: f, message.Cloud: g})
	got := publish(t, r.Port(endpoint("a")), "t", "")
	for _, held := range append(f.taken, g.taken...) {
		if held != got {
			t.Fatal("one message has two receipts")
		}
	}
	return got
}

func TestNobodyHolds(t *testing.T) {
	if r := receipt(t, 0, 0, nil); r != nil {
		t.Error("a receipt for a message that nobody holds")
	}
}

// Whatever the order of Done and Then, the function is called once, when the
// last target has given its receipt.
func TestReceiptOrders(t *testing.T) {
	for _, order := range []string{"TD", "DT", "TDD", "DTD", "DDT", "TDDD", "DDTD", "DDDT"} {
		t.Run(order, func(t *testing.T) {
			holds := strings.Count(order, "D")
			r := receipt(t, holds-holds/2, holds/2, nil)
			fired, done, waits := 0, 0, false
			for _, step := range order {
				if step == 'T' {
					r.Then(func() { fired++ })
					waits = true
				} else {
					done++
					r.Done()
				}
				complete := done == holds
				if r.Complete() != complete {
					t.Fatalf("complete is %t after %d of %d", r.Complete(), done, holds)
				}
				if want := complete && waits; fired != 0 != want {
					t.Fatalf("called %d times after %d of %d", fired, done, holds)
				}
			}
			if fired != 1 {
				t.Errorf("called %d times", fired)
			}
		})
	}
}

// A target that is done before the next one has the message does not complete
// the receipt.
func TestReceiptDoneAtOnce(t *testing.T) {
	var early []bool
	r := receipt(t, 2, 1, func(r *router.Receipt) {
		r.Done()
		early = append(early, r.Complete())
	})
	if early[0] || early[1] || r.Complete() {
		t.Errorf("complete while a target has yet to hold: %v, then %t", early, r.Complete())
	}
	fired := 0
	r.Then(func() { fired++ })
	if fired != 0 {
		t.Error("called before the second target is done")
	}
	if r.Done(); fired != 1 {
		t.Errorf("called %d times", fired)
	}
	r = receipt(t, 1, 0, (*router.Receipt).Done)
	if !r.Complete() {
		t.Error("not complete although its only target is done")
	}
}

// The receipts are given by other goroutines, some while the message is still on
// its way to the next target.
func TestReceiptConcurrent(t *testing.T) {
	const holds = 4
	for range 500 {
		var done, fired atomic.Int32
		var all sync.WaitGroup
		give := func(r *router.Receipt) {
			all.Go(func() {
				done.Add(1)
				r.Done()
			})
		}
		called := make(chan int32, 2)
		r := receipt(t, holds, 1, give)
		all.Go(func() {
			done.Add(1)
			r.Done()
		})
		r.Then(func() {
			fired.Add(1)
			called <- done.Load()
		})
		if n := <-called; n != holds+1 {
			t.Fatalf("called when %d of %d targets were done", n, holds+1)
		}
		all.Wait()
		if n := fired.Load(); n != 1 {
			t.Fatalf("called %d times", n)
		}
	}
}
