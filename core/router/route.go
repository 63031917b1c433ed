package router

import "greengate/core/message"

// Route is the way of one topic from one source: who gets it, by which rows.
type Route struct {
	Topic   string
	Allowed bool  // false: no row allows it
	hops    []Hop // in no order
	idle    *Cell // counts a message without hop; nil when there are hops
	table   uint64
	last    *tally
}

// Hop is one target of a route.
type Hop struct {
	To     message.Endpoint
	Handle any // what Subscribers gave for this target
	Cell   *Cell
	Table  uint64 // the generation of the table that allowed it

	target Target
	reason Reason // why it is refused, when there is no target
	last   *tally // of the refusal or loss that it has met last
}

// route asks the gate and the subscribers.
func (r *Router) route(from message.Endpoint, topic string) *Route {
	t := r.table.Load()
	way := &Route{Topic: topic, idle: r.ledger.norow, table: t.generation}
	p := t.gate.Lookup(from, topic)
	if p == nil {
		return way
	}
	way.Allowed, way.idle = true, nil
	for _, target := range r.targets {
		s, ok := target.(Subscribers)
		if !ok {
			continue
		}
		s.Subscribers(from, topic, func(to message.Endpoint, handle any) {
			if row, ok := p.Allows(to); ok {
				h := r.hop(t, to, row)
				h.Handle = handle
				way.hops = append(way.hops, h)
			}
		})
	}
	p.Services(func(to message.Endpoint, row int) { way.hops = append(way.hops, r.hop(t, to, row)) })
	if len(way.hops) == 0 {
		way.idle = r.cell(t, p.First())
	}
	return way
}

// hop makes the hop to an endpoint that a row of t allows.
func (r *Router) hop(t *table, to message.Endpoint, row int) Hop {
	h := Hop{To: to, Cell: r.cell(t, row), Table: t.generation, target: r.targets[to.Kind], reason: NotServed}
	if to.Kind == message.Cloud {
		h.reason = NoCloud
	}
	return h
}

// lone counts a message without a target.
func (r *Router) lone(m *message.Message, way *Route) {
	v, why := Refused, NoRow
	if way.Allowed {
		v, why = Dropped, NoSubscriber
	}
	r.count(way.idle, &way.last, way.table, v, why, m, message.Endpoint{})
}

// count enters a verdict in the ledger and tells those who watch. last is what
// the hop has met last: what it meets again needs no lock to be counted, and was
// told already.
func (r *Router) count(c *Cell, last **tally, table uint64, v Verdict, why Reason, m *message.Message, to message.Endpoint) {
	if v != Sent && v != Queued {
		c.count(v)
	}
	if why != "" {
		if n := *last; n == nil || n.verdict != v || n.reason != why {
			*last = r.ledger.tally(v, why)
			r.tell(table, v, why, m.Source, m.Topic, to)
		}
		(*last).n.Add(1)
	}
	if r.watch.any() {
		r.watch.emit(Event{Verdict: v, Reason: why, From: m.Source, Topic: m.Topic, To: to, Bytes: m.Size(), Message: m})
	}
}

// Settle ends a message that waited: it counts the verdict in its cell, and
// notes and tells the reason when there is one.
func (r *Router) Settle(c *Cell, v Verdict, why Reason, m *message.Message, to message.Endpoint) {
	c.Settle(v)
	if why != "" {
		r.Note(v, why)
		r.tell(r.Generation(), v, why, m.Source, m.Topic, to)
	}
	if v != Delivered && r.watch.any() {
		r.watch.emit(Event{Verdict: v, Reason: why, From: m.Source, Topic: m.Topic, To: to, Bytes: m.Size(), Message: m})
	}
}

// Restore enters a message that a former process has left waiting for a target:
// it counts as accepted and waiting, in the cell that is returned. When no row
// of the table in force allows it any more, it counts as dropped, for that
// reason.
func (r *Router) Restore(m *message.Message, to message.Endpoint, gone Reason) (*Cell, bool) {
	if c, ok := r.Judge(m.Source, m.Topic, to); ok {
		c.Queue()
		return c, true
	}
	var last *tally
	r.count(r.ledger.norow, &last, r.Generation(), Dropped, gone, m, to)
	return nil, false
}

// RestoreRow enters n messages that a former process has left waiting under the
// row with that key, and returns the cell that counts them: that of the row, or,
// when the table has it no more, one of its own.
func (r *Router) RestoreRow(key string, n int) *Cell {
	c := r.cellOf(key)
	c.f.queued.Add(uint64(n))
	return c
}

// finder is a gate that finds the first row with a key without asking each.
type finder interface {
	Find(key string) (row int, ok bool)
}

func (r *Router) cellOf(key string) *Cell {
	t := r.table.Load()
	if f, ok := t.gate.(finder); ok {
		if row, ok := f.Find(key); ok {
			return r.cell(t, row)
		}
	} else {
		for row := range t.cells {
			if t.gate.Key(row) == key {
				return r.cell(t, row)
			}
		}
	}
	c := newCell()
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	r.ledger.retire(c)
	return c
}

// SettleMany ends n messages that waited in a cell, as Settle does one.
func (r *Router) SettleMany(c *Cell, v Verdict, why Reason, n int) {
	c.settle(v, uint64(n))
	if why != "" {
		r.ledger.tally(v, why).n.Add(uint64(n))
	}
}

// Watched tells those who watch that a queued message went out.
func (r *Router) Watched(v Verdict, m *message.Message, to message.Endpoint) {
	if r.watch.any() {
		r.watch.emit(Event{Verdict: v, From: m.Source, Topic: m.Topic, To: to, Bytes: m.Size(), Message: m})
	}
}

// Note counts a refusal or loss that concerns no message of the ledger.
func (r *Router) Note(v Verdict, why Reason) { r.ledger.tally(v, why).n.Add(1) }
