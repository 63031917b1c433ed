// Package router is the gate and the fan-out: everything that enters the
// gateway (a publish, a will, a function's answer, a pin, the cloud) enters
// here, is judged by the subscription table, and is handed to the targets of
// the rows that allow it. The ledger counts what became of each.
//
// It knows no subsystem: those that take messages register as the Target of
// their kind, those that bring messages open a Port. It may be imported by the
// rooms of core; capabilities use it through an interface of their own.
//
// Concurrency: a Router is safe for concurrent use. A Port belongs to one
// goroutine. The table is swapped whole, by one atomic store.
package router

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"greengate/core/message"
)

// Gate is the subscription table as the router asks it. It never changes; a
// reload brings another one.
type Gate interface {
	// Lookup finds the rows that let from publish on topic; nil when none does.
	Lookup(from message.Endpoint, topic string) Passage
	// Len is the number of rows, Key the text that names a row in any table.
	Len() int
	Key(row int) string
}

// Passage is what the rows of one lookup allow.
type Passage interface {
	// First is the first of the rows, in the order of the file.
	First() (row int)
	// Allows tells whether the message may go to that endpoint, and by which row.
	Allows(to message.Endpoint) (row int, ok bool)
	// Services yields every allowed endpoint that is not a device, once.
	Services(yield func(to message.Endpoint, row int))
}

// Target takes the messages for all endpoints of one kind.
type Target interface {
	// Deliver enqueues d's message for h.To. It waits neither for the far end
	// nor for the disk. What it keeps it takes by d.Message.Keep. A durable
	// target takes a receipt (d.Hold) and gives it when the message is on disk.
	//
	// When it answers Queued or Sent it has called h.Cell.Queue before the
	// message could leave, and calls h.Cell.Settle once, later.
	Deliver(d *Delivery, h *Hop) (Verdict, Reason)
}

// Subscribers is a Target whose endpoints choose what they want to have. Of
// the endpoints that the gate allows, only those that it yields are targets.
type Subscribers interface {
	Target
	// Subscribers yields each endpoint that wants messages of from on that
	// topic, once, with a handle that comes back in Hop.Handle.
	Subscribers(from message.Endpoint, topic string, yield func(to message.Endpoint, handle any))
}

// Router routes messages through the gate to the targets.
type Router struct {
	log     *slog.Logger
	targets [message.Cloud + 1]Target // set before the first Port, read-only after

	// generation rises with every change that can make a cached route stale: a
	// new table or another subscription.
	generation atomic.Uint64
	table      atomic.Pointer[table]
	swap       sync.Mutex // one SetGate at a time

	ledger ledger
	watch  watchers
	told   told
}

// table is a gate in force with the cells of its rows.
type table struct {
	gate       Gate
	generation uint64 // counts the tables; 1 is the first
	cells      []atomic.Pointer[Cell]
	gone       bool // another table is in force; guarded by ledger.mu
}

// New returns a router whose table is empty: it refuses everything.
func New(log *slog.Logger) *Router {
	r := &Router{log: log.With("component", "router")}
	r.ledger.norow = newCell()
	r.table.Store(&table{gate: closed{}})
	return r
}

// Register makes t the target of all endpoints of a kind. It must be called
// before messages flow.
func (r *Router) Register(kind message.Kind, t Target) { r.targets[kind] = t }

// SetGate puts a table in force, whole and at once, and returns its
// generation. A message that is enqueued after SetGate has returned was judged
// by the new table; what was queued before is the targets' to judge again.
// Rows that stand in both tables keep their figures.
func (r *Router) SetGate(g Gate) (generation uint64) {
	r.swap.Lock()
	defer r.swap.Unlock()
	old := r.table.Load()
	next := &table{gate: g, generation: old.generation + 1, cells: make([]atomic.Pointer[Cell], g.Len())}
	r.replace(old, next)
	r.generation.Add(1)
	return next.generation
}

// SubscriptionsChanged tells that a Subscribers target would answer otherwise
// than before, so that no port uses a route of the past.
func (r *Router) SubscriptionsChanged() { r.generation.Add(1) }

// Changes rises with every new table and with every change of subscriptions: what
// was asked of them before may have another answer now.
func (r *Router) Changes() uint64 { return r.generation.Load() }

// Generation counts the tables that were put in force.
func (r *Router) Generation() uint64 { return r.table.Load().generation }

// Judge tells whether the table in force lets a message of from on topic go to
// that endpoint, and the cell that counts it.
func (r *Router) Judge(from message.Endpoint, topic string, to message.Endpoint) (*Cell, bool) {
	t := r.table.Load()
	p := t.gate.Lookup(from, topic)
	if p == nil {
		return nil, false
	}
	row, ok := p.Allows(to)
	if !ok {
		return nil, false
	}
	return r.cell(t, row), true
}

// Stands is the rule for all that waits, in whatever queue: it may go on as long as the
// table in force lets its source send it on its topic to where it waits, by whatever row.
// Who keeps messages asks it of all that waits when a reload has put another table in
// force, and of each message that goes on: what does not stand is dropped, as `row-gone`.
func (r *Router) Stands(from message.Endpoint, topic string, to message.Endpoint) bool {
	p := r.table.Load().gate.Lookup(from, topic)
	if p == nil {
		return false
	}
	_, ok := p.Allows(to)
	return ok
}

// closed is the gate without rows.
type closed struct{}

func (closed) Lookup(message.Endpoint, string) Passage { return nil }
func (closed) Len() int                                { return 0 }
func (closed) Key(int) string                          { return "" }
