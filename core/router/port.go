package router

import (
	"greengate/core/message"
)

// Bounds of what a port remembers, less than 2 MB in all. A source beyond them
// pays for a lookup now and then.
const (
	maxRoutes     = 1024
	maxHops       = 8192 // of all routes together
	maxRouteTopic = 512  // bytes of a topic; a longer one is looked up each time
)

// Port is where the messages of one source enter. It remembers the way of each
// topic, so that a message on a known topic costs one map lookup. It belongs to
// one goroutine.
type Port struct {
	r      *Router
	from   message.Endpoint
	seen   uint64 // the generation of the routes remembered
	routes map[string]*Route
	hops   int // of all routes
	d      Delivery
}

// Port opens a door for a source.
func (r *Router) Port(from message.Endpoint) *Port {
	return &Port{r: r, from: from}
}

// Route finds the way of a topic. The bytes must be a legal topic name when
// the route is new; check is asked then, and its error returned.
func (p *Port) Route(topic []byte, check func(string) error) (*Route, error) {
	if g := p.r.generation.Load(); g != p.seen {
		clear(p.routes)
		p.seen, p.hops = g, 0
	}
	if r, ok := p.routes[string(topic)]; ok {
		return r, nil
	}
	name := string(topic)
	if err := check(name); err != nil {
		return nil, err
	}
	r := p.r.route(p.from, name)
	p.remember(r)
	return r, nil
}

// remember keeps a route, in place of any others when it is one too many: then
// a source with a few topics too many still finds most of them.
func (p *Port) remember(r *Route) {
	if len(r.Topic) > maxRouteTopic || len(r.hops) > maxHops {
		return
	}
	for len(p.routes) >= maxRoutes || p.hops+len(r.hops) > maxHops {
		for topic, old := range p.routes {
			delete(p.routes, topic)
			p.hops -= len(old.hops)
			break
		}
	}
	if p.routes == nil {
		p.routes = make(map[string]*Route, 4)
	}
	p.routes[r.Topic] = r
	p.hops += len(r.hops)
}

// Heard tells whether anybody is there for what goes this way, a watcher at least: who
// publishes there need not write down what nobody is there for.
func (p *Port) Heard(way *Route) bool { return len(way.hops) > 0 || p.r.watch.any() }

// Publish sends m along the route. The receipt is nil when nobody holds the
// acknowledgement; otherwise the caller acknowledges when it is complete.
func (p *Port) Publish(m *message.Message, way *Route) *Receipt {
	return p.PublishKept(m, way, nil)
}

// PublishKept is Publish of a message that the caller keeps besides, as a
// retained one: keep is called first and may take the receipt.
func (p *Port) PublishKept(m *message.Message, way *Route, keep func(*Delivery)) *Receipt {
	m.Source = p.from
	if len(way.hops) == 0 {
		p.r.lone(m, way)
		if keep == nil {
			return nil
		}
	}
	return p.deliver(m, way.hops, keep)
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
	if row, ok := passage.Allows(to); ok {
		h := r.hop(t, to, row)
		h.Handle = handle
		p.deliver(m, []Hop{h}, nil)
	}
}

// PublishTo is Publish to some targets of the route only, those that wanted names: the
// others have had the message.
func (p *Port) PublishTo(m *message.Message, way *Route, wanted func(message.Endpoint) bool) *Receipt {
	m.Source = p.from
	var hops []Hop
	for _, h := range way.hops {
		if wanted(h.To) {
			hops = append(hops, h)
		}
	}
	return p.deliver(m, hops, nil)
}

// deliver hands m to the targets and counts what became of it. keep, if not
// nil, may take the receipt first.
func (p *Port) deliver(m *message.Message, hops []Hop, keep func(*Delivery)) *Receipt {
	d := &p.d
	d.Message, d.receipt, d.targets = m, nil, len(hops)
	if keep != nil {
		keep(d)
	}
	for i := range hops {
		h := &hops[i]
		v, why := Refused, h.reason
		if h.target != nil {
			v, why = h.target.Deliver(d, h)
		}
		p.r.count(h.Cell, &h.last, h.Table, v, why, m, h.To)
	}
	receipt := d.receipt
	d.Message, d.receipt, d.head = nil, nil, nil
	if receipt != nil {
		receipt.Done() // that of the port itself
	}
	return receipt
}

// Delivery gives a target's own goroutine the means to wake others at the end
// of its batch.
func (p *Port) Delivery() *Delivery { return &p.d }

// Flush ends a batch: all who asked for it are woken, those too that ask
// meanwhile.
func (p *Port) Flush() {
	for i := 0; i < len(p.d.wake); i++ {
		w := p.d.wake[i]
		p.d.wake[i] = nil
		w.Wake()
	}
	p.d.wake = p.d.wake[:0]
	if cap(p.d.wake) > 1024 {
		p.d.wake = nil
	}
}

// Delivery is one message on its way from a port to its targets.
type Delivery struct {
	*message.Message
	receipt *Receipt
	targets int
	head    *message.Message
	wake    []Waker
}

// Alone tells whether the message has one target, so that nobody shares what it keeps.
func (d *Delivery) Alone() bool { return d.targets == 1 }

// KeepHead is Message.Keep of the head: all targets that keep it share one.
func (d *Delivery) KeepHead() *message.Message {
	if d.head == nil {
		h := d.Message.Head()
		d.head = &h
	}
	return d.head
}

// Waker has something to do when a batch of messages is through, such as to
// write what was appended to a buffer.
type Waker interface{ Wake() }

// Wake asks for w.Wake at the end of the batch. The caller sees to it that w is
// not asked for twice.
func (d *Delivery) Wake(w Waker) { d.wake = append(d.wake, w) }

// Hold takes the receipt of the message: its publish is acknowledged only when
// Done was called once for each Hold. A target calls it within Deliver.
func (d *Delivery) Hold() *Receipt {
	if d.receipt == nil {
		d.receipt = &Receipt{}
		d.receipt.open.Add(1) // the port's own
	}
	d.receipt.open.Add(1)
	return d.receipt
}
