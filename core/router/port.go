package router

import (
	"greengate/core/message"
)

// maxRoutes bounds the routes that a port remembers. A source that publishes on
// more topics than this pays for a lookup now and then.
const maxRoutes = 1024

// Port is where the messages of one source enter. It remembers the way of each
// topic, so that a message on a known topic costs one map lookup. It belongs to
// one goroutine.
type Port struct {
	r      *Router
	from   message.Endpoint
	seen   uint64 // the generation of the routes remembered
	routes map[string]*Route
	d      Delivery
}

// Port opens a door for a source.
func (r *Router) Port(from message.Endpoint) *Port {
	return &Port{r: r, from: from}
}

// Route is the way of one topic from one source: who gets it, by which rows.
type Route struct {
	Topic   string
	Allowed bool  // false: no row allows it
	hops    []Hop // in no order
	idle    *Cell // counts a message that is allowed and has no hop
}

// Hop is one target of a route.
type Hop struct {
	To     message.Endpoint
	Handle any // what Subscribers gave for this target
	Cell   *Cell
	Table  uint64 // the generation of the table that allowed it

	target Target
	reason Reason // why it is refused, when there is no target
}

// Route finds the way of a topic. The bytes must be a legal topic name when
// the route is new; check is asked then, and its error returned.
func (p *Port) Route(topic []byte, check func(string) error) (*Route, error) {
	if g := p.r.generation.Load(); g != p.seen {
		clear(p.routes)
		p.seen = g
	}
	if r, ok := p.routes[string(topic)]; ok {
		return r, nil
	}
	name := string(topic)
	if err := check(name); err != nil {
		return nil, err
	}
	if p.routes == nil || len(p.routes) >= maxRoutes {
		p.routes = make(map[string]*Route, 4)
	}
	r := p.r.route(p.from, name)
	p.routes[name] = r
	return r, nil
}

// route asks the gate and the subscribers.
func (r *Router) route(from message.Endpoint, topic string) *Route {
	t := r.table.Load()
	way := &Route{Topic: topic, idle: &r.ledger.norow}
	p := t.gate.Lookup(from, topic)
	if p == nil {
		return way
	}
	way.Allowed = true
	way.idle = t.cell(p.First())
	for _, target := range r.targets {
		s, ok := target.(Subscribers)
		if !ok {
			continue
		}
		s.Subscribers(from, topic, func(to message.Endpoint, handle any) {
			if row, ok := p.Allows(to); ok {
				way.hops = append(way.hops, Hop{To: to, Handle: handle, Cell: t.cell(row), Table: t.generation, target: target})
			}
		})
	}
	p.Services(func(to message.Endpoint, row int) {
		h := Hop{To: to, Cell: t.cell(row), Table: t.generation, target: r.targets[to.Kind], reason: NotServed}
		if to.Kind == message.Cloud {
			h.reason = NoCloud
		}
		way.hops = append(way.hops, h)
	})
	return way
}

// Delivery is one message on its way from a port to its targets.
type Delivery struct {
	*message.Message
	receipt *Receipt
	wake    []Waker
}

// Waker has something to do when a batch of messages is through, such as to
// write what was appended to a buffer.
type Waker interface{ Wake() }

// Wake asks for w.Wake at the end of the batch. The caller sees to it that w is
// not asked for twice.
func (d *Delivery) Wake(w Waker) { d.wake = append(d.wake, w) }

// Hold takes the receipt of the message: its publish is acknowledged only when
// Done was called once for each Hold.
func (d *Delivery) Hold() *Receipt {
	if d.receipt == nil {
		d.receipt = &Receipt{}
	}
	d.receipt.open.Add(1)
	return d.receipt
}

// Publish sends m along the route. The receipt is nil when nobody holds the
// acknowledgement; otherwise the caller acknowledges when it is complete.
func (p *Port) Publish(m *message.Message, way *Route) *Receipt {
	m.Source = p.from
	d := &p.d
	d.Message, d.receipt = m, nil
	if len(way.hops) == 0 {
		p.r.lone(m, way)
		return nil
	}
	for i := range way.hops {
		h := &way.hops[i]
		v, why := Refused, h.reason
		if h.target != nil {
			v, why = h.target.Deliver(d, h)
		}
		p.r.count(h.Cell, v, why, m, h.To)
	}
	d.Message = nil
	return d.receipt
}

// Send delivers one message to one target outside a route (a retained message
// to a new subscriber), if the table in force allows it.
func (p *Port) Send(m *message.Message, to message.Endpoint, handle any) {
	r := p.r
	t := r.table.Load()
	passage := t.gate.Lookup(m.Source, m.Topic)
	if passage == nil {
		return
	}
	row, ok := passage.Allows(to)
	if !ok {
		return
	}
	d := &p.d
	d.Message, d.receipt = m, nil
	h := Hop{To: to, Handle: handle, Cell: t.cell(row), Table: t.generation, target: r.targets[to.Kind]}
	v, why := h.target.Deliver(d, &h)
	r.count(h.Cell, v, why, m, to)
	d.Message = nil
}

// Delivery gives a target's own goroutine the means to wake others at the end
// of its batch.
func (p *Port) Delivery() *Delivery { return &p.d }

// Flush ends a batch: all who asked for it are woken.
func (p *Port) Flush() {
	for i, w := range p.d.wake {
		w.Wake()
		p.d.wake[i] = nil
	}
	p.d.wake = p.d.wake[:0]
	if cap(p.d.wake) > 1024 {
		p.d.wake = nil
	}
}

// lone counts a message without a target.
func (r *Router) lone(m *message.Message, way *Route) {
	v, why := Refused, NoRow
	if way.Allowed {
		v, why = Dropped, NoSubscriber
	}
	r.count(way.idle, v, why, m, message.Endpoint{})
}

// count enters a verdict in the ledger and tells those who watch.
func (r *Router) count(c *Cell, v Verdict, why Reason, m *message.Message, to message.Endpoint) {
	if v != Sent && v != Queued {
		c.count(v, 1)
	}
	if why != "" {
		r.ledger.note(v, why, 1)
		r.tell(v, why, m.Source, m.Topic, to)
	}
	if r.watch.any() {
		r.watch.emit(Event{Verdict: v, Reason: why, From: m.Source, Topic: m.Topic, To: to, Bytes: len(m.Payload)})
	}
}

// Settle ends a message that waited: it counts the verdict in its cell, and
// notes and tells the reason when there is one.
func (r *Router) Settle(c *Cell, v Verdict, why Reason, m *message.Message, to message.Endpoint) {
	c.Settle(v)
	if why != "" {
		r.ledger.note(v, why, 1)
		r.tell(v, why, m.Source, m.Topic, to)
	}
	if v != Delivered && r.watch.any() {
		r.watch.emit(Event{Verdict: v, Reason: why, From: m.Source, Topic: m.Topic, To: to, Bytes: len(m.Payload)})
	}
}

// Watched tells those who watch that a queued message went out.
func (r *Router) Watched(v Verdict, m *message.Message, to message.Endpoint) {
	if r.watch.any() {
		r.watch.emit(Event{Verdict: v, From: m.Source, Topic: m.Topic, To: to, Bytes: len(m.Payload)})
	}
}

// Note counts a refusal or loss that concerns no message of the ledger.
func (r *Router) Note(v Verdict, why Reason) { r.ledger.note(v, why, 1) }
