package router

import (
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/cpu"
)

// Verdict is what became of a message for one target.
type Verdict uint8

// The verdicts. Sent and Queued are not final: the message counts as waiting
// until its target settles it.
const (
	Refused   Verdict = iota + 1 // no row allows it, or the row's target cannot take it
	Delivered                    // handed over
	Sent                         // on its way, not yet acknowledged
	Queued                       // waits for its target
	Expired                      // its time ran out
	Dropped                      // given up, by a bound or because nobody is there
)

var verdictNames = [...]string{Refused: "refused", Delivered: "delivered", Sent: "delivered", Queued: "queued", Expired: "expired", Dropped: "dropped"}

// String returns the word that `greengate watch` shows.
func (v Verdict) String() string { return verdictNames[v] }

// Reason says in one stable word why a message was refused or dropped.
type Reason string

// The reasons of the router itself; targets have their own beside them.
const (
	NoRow        Reason = "no-row"        // no row allows it
	NotServed    Reason = "not-served"    // the row's target is not part of this gateway
	NoCloud      Reason = "no-cloud"      // a row to the cloud, but no cloud section
	NoSubscriber Reason = "no-subscriber" // a row allows it, but nobody is subscribed
)

// Cell counts what became of the messages of one row. It counts transitions,
// each by one atomic addition, and derives the states from them: so the ledger
// balances in every snapshot, without a lock.
//
// It stands apart from its figures, so that the ledger can keep the figures and
// see when nobody holds the cell any more: only then are they final.
type Cell struct{ f *figures }

type figures struct {
	refused, delivered, expired, dropped atomic.Uint64 // settled at once
	queued                               atomic.Uint64

	// Who settles later is mostly on another CPU than who publishes: a cache line of its
	// own spares both to fetch it from the other for each message.
	_                cpu.CacheLinePad
	sent, late, lost atomic.Uint64 // queued, then delivered, expired, dropped
}

func newCell() *Cell { return &Cell{&figures{}} }

// Queue counts a message that waits for its target.
func (c *Cell) Queue() {
	c.f.queued.Add(1)
	runtime.KeepAlive(c)
}

// Settle counts the end of a message that Queue counted: Delivered, Expired or
// Dropped.
func (c *Cell) Settle(v Verdict) { c.settle(v, 1) }

func (c *Cell) settle(v Verdict, n uint64) {
	switch v {
	case Delivered:
		c.f.sent.Add(n)
	case Expired:
		c.f.late.Add(n)
	case Dropped:
		c.f.lost.Add(n)
	}
	runtime.KeepAlive(c)
}

// count adds a message that was settled at once.
func (c *Cell) count(v Verdict) {
	switch v {
	case Refused:
		c.f.refused.Add(1)
	case Delivered:
		c.f.delivered.Add(1)
	case Expired:
		c.f.expired.Add(1)
	case Dropped:
		c.f.dropped.Add(1)
	}
	// Until here the cell is held: its figures are not final.
	runtime.KeepAlive(c)
}

// Counts returns a balanced snapshot.
func (c *Cell) Counts() Counts { return c.f.counts() }

func (f *figures) counts() Counts {
	// What was queued is read last, so it covers all that was settled.
	sent, late, lost := f.sent.Load(), f.late.Load(), f.lost.Load()
	n := Counts{
		Delivered: f.delivered.Load() + sent,
		Refused:   f.refused.Load(),
		Expired:   f.expired.Load() + late,
		Dropped:   f.dropped.Load() + lost,
	}
	n.Waiting = f.queued.Load() - sent - late - lost
	n.Accepted = n.Delivered + n.Refused + n.Expired + n.Dropped + n.Waiting
	return n
}

// Counts are the figures of the ledger: Accepted = Delivered + Refused +
// Expired + Dropped + Waiting, always. They count per target.
type Counts struct {
	Accepted, Delivered, Refused, Expired, Dropped, Waiting uint64
}

// Add sums two snapshots.
func (n Counts) Add(m Counts) Counts {
	return Counts{
		n.Accepted + m.Accepted, n.Delivered + m.Delivered, n.Refused + m.Refused,
		n.Expired + m.Expired, n.Dropped + m.Dropped, n.Waiting + m.Waiting,
	}
}
