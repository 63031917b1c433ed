package router

import (
	"sync"
	"sync/atomic"
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
type Cell struct {
	refused, delivered, expired, dropped atomic.Uint64 // settled at once
	queued                               atomic.Uint64
	sent, late, lost                     atomic.Uint64 // queued, then delivered, expired, dropped
}

// Queue counts a message that waits for its target.
func (c *Cell) Queue() { c.queued.Add(1) }

// Settle counts the end of a message that Queue counted: Delivered, Expired or
// Dropped.
func (c *Cell) Settle(v Verdict) {
	switch v {
	case Delivered:
		c.sent.Add(1)
	case Expired:
		c.late.Add(1)
	case Dropped:
		c.lost.Add(1)
	}
}

// count adds n messages that were settled at once.
func (c *Cell) count(v Verdict, n uint64) {
	switch v {
	case Refused:
		c.refused.Add(n)
	case Delivered:
		c.delivered.Add(n)
	case Expired:
		c.expired.Add(n)
	case Dropped:
		c.dropped.Add(n)
	}
}

// Counts are the figures of the ledger: Accepted = Delivered + Refused +
// Expired + Dropped + Waiting, always. They count per target.
type Counts struct {
	Accepted, Delivered, Refused, Expired, Dropped, Waiting uint64
}

// Counts returns a balanced snapshot.
func (c *Cell) Counts() Counts {
	// What was queued is read last, so it covers all that was settled.
	sent, late, lost := c.sent.Load(), c.late.Load(), c.lost.Load()
	n := Counts{
		Delivered: c.delivered.Load() + sent,
		Refused:   c.refused.Load(),
		Expired:   c.expired.Load() + late,
		Dropped:   c.dropped.Load() + lost,
	}
	n.Waiting = c.queued.Load() - sent - late - lost
	n.Accepted = n.Delivered + n.Refused + n.Expired + n.Dropped + n.Waiting
	return n
}

// Add sums two snapshots.
func (n Counts) Add(m Counts) Counts {
	return Counts{
		n.Accepted + m.Accepted, n.Delivered + m.Delivered, n.Refused + m.Refused,
		n.Expired + m.Expired, n.Dropped + m.Dropped, n.Waiting + m.Waiting,
	}
}

// ledger holds the cells that belong to no row of the table in force, and the
// reasons.
type ledger struct {
	norow   Cell // messages that no row allows
	mu      sync.Mutex
	retired []*Cell // of rows that are gone, while anything waits under them
	past    Counts  // of rows that are gone for good

	reasons sync.Map // reasonKey -> *atomic.Uint64
}

type reasonKey struct {
	verdict Verdict
	reason  Reason
}

// carry gives the rows that stand in both tables their old cells, and retires
// the others'.
func (l *ledger) carry(old, next *table) {
	used := map[string]*Cell{}
	for row := range old.cells {
		if c := old.cells[row].Load(); c != nil {
			used[old.gate.Key(row)] = c
		}
	}
	for row := range next.cells {
		if len(used) == 0 {
			break
		}
		key := next.gate.Key(row)
		if c := used[key]; c != nil {
			next.cells[row].Store(c)
			delete(used, key)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// A cell that was retired by an earlier reload is used no more once nothing
	// waits under it: ports renew their routes with every reload.
	kept := l.retired[:0]
	for _, c := range l.retired {
		if n := c.Counts(); n.Waiting == 0 {
			l.past = l.past.Add(n)
		} else {
			kept = append(kept, c)
		}
	}
	l.retired = kept
	for _, c := range used {
		l.retired = append(l.retired, c)
	}
}

// note counts a reason.
func (l *ledger) note(v Verdict, why Reason, n uint64) {
	key := reasonKey{v, why}
	c, ok := l.reasons.Load(key)
	if !ok {
		c, _ = l.reasons.LoadOrStore(key, new(atomic.Uint64))
	}
	c.(*atomic.Uint64).Add(n)
}

// Ledger returns the sum over all rows, living and gone.
func (r *Router) Ledger() Counts {
	l := &r.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := l.past.Add(l.norow.Counts())
	for _, c := range l.retired {
		sum = sum.Add(c.Counts())
	}
	t := r.table.Load()
	for row := range t.cells {
		if c := t.cells[row].Load(); c != nil {
			sum = sum.Add(c.Counts())
		}
	}
	return sum
}

// Rows yields the figures of each row of the table in force that was used.
func (r *Router) Rows(yield func(row int, n Counts)) {
	t := r.table.Load()
	for row := range t.cells {
		if c := t.cells[row].Load(); c != nil {
			yield(row, c.Counts())
		}
	}
}

// Reasons yields how often a message was refused or dropped, by reason.
func (r *Router) Reasons(yield func(v Verdict, why Reason, n uint64)) {
	r.ledger.reasons.Range(func(k, n any) bool {
		key := k.(reasonKey)
		yield(key.verdict, key.reason, n.(*atomic.Uint64).Load())
		return true
	})
}
