package router_test

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"greengate/core/message"
	"greengate/core/router"
)

// strict is a target that judges again what was judged by a table of the past,
// as a target must, and knows when nothing may be delivered.
type strict struct {
	t *testing.T
	r *router.Router

	mu        sync.Mutex
	queue     []letter
	forbidden bool
	delivered int
}

func (s *strict) Deliver(d *router.Delivery, h *router.Hop) (router.Verdict, router.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cell := h.Cell
	if h.Table != s.r.Generation() {
		var ok bool
		if cell, ok = s.r.Judge(d.Source, d.Topic, h.To); !ok {
			return router.Refused, router.NoRow
		}
	}
	if len(s.queue) < 8 {
		cell.Queue()
		s.queue = append(s.queue, letter{cell, d.Keep(), h.To})
		return router.Queued, ""
	}
	s.deliver("at once")
	return router.Delivered, ""
}

func (s *strict) deliver(how string) {
	if s.forbidden {
		s.t.Errorf("delivered %s although its row is gone", how)
	}
	s.delivered++
}

// work hands on what waits.
func (s *strict) work() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.queue {
		s.deliver("from the queue")
		s.r.Settle(l.cell, router.Delivered, "", l.msg, l.to)
	}
	s.queue = s.queue[:0]
}

// rejudge drops what waits under rows that are gone.
func (s *strict) rejudge(forbidden bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = slices.DeleteFunc(s.queue, func(l letter) bool {
		_, ok := s.r.Judge(l.msg.Source, l.msg.Topic, l.to)
		if !ok {
			s.r.Settle(l.cell, router.Dropped, "row-gone", l.msg, l.to)
		}
		return !ok
	})
	s.forbidden = forbidden
}

// From the moment that SetGate has returned and the target has judged again
// what waits there, nothing is delivered under a row that is gone.
func TestSwapWhilePublishing(t *testing.T) {
	s := &strict{t: t}
	granted, taken := open(row{"a", "t", "function:f"}), open(row{"a", "u", "function:f"})
	r, _ := newRouter(granted, map[message.Kind]router.Target{message.Function: s})
	s.r = r
	const ports = 3
	published := make(chan struct{}) // nobody waits to send there
	traffic := func() {
		for range 5 * ports {
			<-published
		}
	}
	var all sync.WaitGroup
	var stop atomic.Bool
	for range ports {
		p := r.Port(endpoint("a"))
		all.Go(func() {
			for n := 0; !stop.Load(); n++ {
				publish(t, p, "t", "")
				if n%5 == 0 {
					s.work()
				}
				select {
				case published <- struct{}{}:
				default:
				}
				runtime.Gosched() // or the tables would change rarely
			}
		})
	}
	for range 100 {
		traffic()
		r.SetGate(taken)
		s.rejudge(true)
		traffic()
		s.rejudge(false)
		r.SetGate(granted)
	}
	stop.Store(true)
	all.Wait()
	s.work()
	if s.delivered == 0 {
		t.Error("nothing was delivered while the row was there")
	}
	if n := r.Ledger(); n.Waiting != 0 || n.Refused == 0 || n.Delivered != uint64(s.delivered) {
		t.Errorf("the ledger is %+v with %d deliveries", n, s.delivered)
	}
}

// A port that is in the middle of a publish when the table is swapped shows it
// to its targets: the hop names the table that allowed it.
func TestHopNamesItsTable(t *testing.T) {
	s := &strict{t: t}
	r, _ := newRouter(open(row{"a", "t", "function:f"}), map[message.Kind]router.Target{message.Function: s})
	s.r = r
	p := r.Port(endpoint("a"))
	way, err := p.Route([]byte("t"), message.CheckTopic)
	if err != nil {
		t.Fatal(err)
	}
	r.SetGate(open(row{"a", "u", "function:f"}))
	s.forbidden = true
	p.Publish(&message.Message{Topic: "t"}, way)
	wantLedger(t, r, router.Counts{Accepted: 1, Refused: 1})
	// The next message finds the new table by itself.
	if way, err = p.Route([]byte("t"), message.CheckTopic); err != nil || way.Allowed {
		t.Errorf("the way of the old table is still used, %v", err)
	}
}
