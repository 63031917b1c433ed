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

// post is a target whose devices "now" and "later" get their messages at once
// and after waiting; nobody else is subscribed.
type post struct{ letters chan letter }

type letter struct {
	cell *router.Cell
	msg  *message.Message
	to   message.Endpoint
}

func (p *post) Subscribers(_ message.Endpoint, _ string, yield func(message.Endpoint, any)) {
	yield(message.DeviceEndpoint("now"), nil)
	yield(message.DeviceEndpoint("later"), nil)
}

func (p *post) Deliver(d *router.Delivery, h *router.Hop) (router.Verdict, router.Reason) {
	if h.To.Name == "now" {
		return router.Delivered, ""
	}
	h.Cell.Queue()
	select {
	case p.letters <- letter{h.Cell, d.Keep(), h.To}:
		return router.Queued, ""
	default:
		// A target that has counted a message as waiting settles it, whatever
		// comes.
		h.Cell.Settle(router.Dropped)
		return router.Queued, ""
	}
}

func (p *post) work(r *router.Router) {
	verdicts := []router.Verdict{router.Delivered, router.Expired, router.Dropped}
	n := 0
	for l := range p.letters {
		r.Settle(l.cell, verdicts[n%3], "", l.msg, l.to)
		n++
	}
}

// snapshots takes snapshots of the books and looks whether they are in order.
type snapshots struct {
	t    *testing.T
	r    *router.Router
	last router.Counts
}

func balanced(n router.Counts) bool {
	return n.Accepted == n.Delivered+n.Refused+n.Expired+n.Dropped+n.Waiting && n.Waiting < 1<<40
}

func (s *snapshots) take() {
	var rows router.Counts
	s.r.Rows(func(row int, n router.Counts) {
		if !balanced(n) {
			s.t.Errorf("row %d does not balance: %+v", row, n)
		}
		rows = rows.Add(n)
	})
	sum := s.r.Ledger()
	switch {
	case !balanced(sum):
		s.t.Errorf("the ledger does not balance: %+v", sum)
	case sum.Accepted < s.last.Accepted || sum.Delivered < s.last.Delivered || sum.Refused < s.last.Refused ||
		sum.Expired < s.last.Expired || sum.Dropped < s.last.Dropped:
		s.t.Errorf("the ledger went back from %+v to %+v", s.last, sum)
	case rows.Accepted > sum.Accepted:
		s.t.Errorf("the rows have %d, all together %d", rows.Accepted, sum.Accepted)
	}
	s.last = sum
}

// A snapshot that is taken while messages are queued and settled has not settled
// more than was queued.
func TestRowInMotion(t *testing.T) {
	g := open(row{"a", "t", "cloud"})
	r, _ := newRouter(g, nil)
	cell, ok := r.Judge(endpoint("a"), "t", endpoint("cloud"))
	if !ok {
		t.Fatal("the row does not allow")
	}
	var stop atomic.Bool
	var all sync.WaitGroup
	all.Go(func() {
		for !stop.Load() {
			cell.Queue()
			cell.Settle(router.Delivered)
		}
	})
	books := snapshots{t: t, r: r}
	for range 50_000 {
		if books.take(); t.Failed() {
			break
		}
	}
	stop.Store(true)
	all.Wait()
	if n := r.Ledger(); n.Waiting != 0 || n.Delivered == 0 {
		t.Errorf("in the end %+v", n)
	}
}

// The books balance in every snapshot while messages are published, wait, are
// settled, and tables come and go; and in the end every message is in them once.
func TestLedgerUnderLoad(t *testing.T) {
	const publishers, each = 4, 2000
	topics := []string{"now", "later", "up", "idle", "some", "never"}
	standing := []row{{"*", "now", "now"}, {"*", "later", "later"}, {"*", "up", "cloud"}, {"*", "idle", "idle"}}
	back := slices.Clone(standing)
	slices.Reverse(back)
	tables := []*gate{
		open(append([]row{{"*", "some", "later"}}, standing...)...),
		open(append(back, row{"*", "some", "now"})...),
		open(standing...),
	}
	p := &post{make(chan letter, 100)}
	r, _ := newRouter(tables[0], map[message.Kind]router.Target{message.Device: p})
	for _, topic := range topics[:4] {
		publish(t, r.Port(endpoint("first")), topic, "")
	}

	var sources, others sync.WaitGroup
	var stop atomic.Bool
	for range 2 {
		others.Go(func() { p.work(r) })
	}
	others.Go(func() {
		for i := 1; !stop.Load(); i++ {
			r.SetGate(tables[i%len(tables)])
			r.SubscriptionsChanged()
			if i%16 == 0 {
				runtime.GC() // so that retired cells go for good
			}
		}
	})
	books := &snapshots{t: t, r: r}
	others.Go(func() {
		for !stop.Load() {
			books.take()
		}
	})
	for range publishers {
		port := r.Port(endpoint("a"))
		sources.Go(func() {
			for i := range each * len(topics) {
				publish(t, port, topics[i%len(topics)], "")
			}
		})
	}
	sources.Wait()
	stop.Store(true)
	close(p.letters)
	others.Wait()
	books.take()

	total := r.Ledger()
	if want := uint64(publishers*each*len(topics) + 4); total.Accepted != want || total.Waiting != 0 {
		t.Errorf("the ledger is %+v, want %d accepted and none waiting", total, want)
	}
	last := tables[2]
	r.SetGate(last)
	for key, n := range rowFigures(r, last) {
		if want := uint64(publishers*each + 1); n.Accepted != want {
			t.Errorf("row %s has %d, want %d", key, n.Accepted, want)
		}
	}
}
