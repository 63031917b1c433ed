package router_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"greengate/core/message"
	"greengate/core/router"
)

// row lets from send to to on a filter; "*" stands for every device.
type row struct{ from, filter, to string }

func (r row) key() string { return r.from + "|" + r.filter + "|" + r.to }

// gate is a plain loop over rows that counts what it is asked.
type gate struct {
	rows          []row
	lookups, keys atomic.Int64
}

func open(rows ...row) *gate { return &gate{rows: rows} }

func (g *gate) Len() int { return len(g.rows) }

func (g *gate) Key(i int) string {
	g.keys.Add(1)
	return g.rows[i].key()
}

func (g *gate) Lookup(from message.Endpoint, topic string) router.Passage {
	g.lookups.Add(1)
	var hits []int
	for i, r := range g.rows {
		if (r.from == "*" && from.Kind == message.Device || r.from == from.String()) && message.Match(r.filter, topic) {
			hits = append(hits, i)
		}
	}
	if hits == nil {
		return nil
	}
	return passage{g, hits}
}

type passage struct {
	gate *gate
	hits []int
}

func (p passage) First() int { return p.hits[0] }

func (p passage) Allows(to message.Endpoint) (int, bool) {
	for _, i := range p.hits {
		if t := p.gate.rows[i].to; t == "*" && to.Kind == message.Device || t == to.String() {
			return i, true
		}
	}
	return 0, false
}

func (p passage) Services(yield func(message.Endpoint, int)) {
	var seen []message.Endpoint
	for _, i := range p.hits {
		if p.gate.rows[i].to == "*" {
			continue
		}
		to := endpoint(p.gate.rows[i].to)
		if to.Kind != message.Device && !slices.Contains(seen, to) {
			seen = append(seen, to)
			yield(to, i)
		}
	}
}

func endpoint(text string) message.Endpoint {
	e, err := message.ParseEndpoint(text)
	if err != nil {
		panic(err)
	}
	return e
}

// newRouter makes a router with that table. The records are its log.
func newRouter(g router.Gate, targets map[message.Kind]router.Target) (*router.Router, *records) {
	log := &records{}
	r := router.New(slog.New(log))
	for kind, t := range targets {
		r.Register(kind, t)
	}
	if g != nil {
		r.SetGate(g)
	}
	return r, log
}

// publish sends a message through p as a source does.
func publish(t testing.TB, p *router.Port, topic, payload string) *router.Receipt {
	t.Helper()
	way, err := p.Route([]byte(topic), message.CheckTopic)
	if err != nil {
		t.Fatalf("route %q: %v", topic, err)
	}
	return p.Publish(&message.Message{Topic: way.Topic, Payload: []byte(payload), QoS: 1}, way)
}

// answer is a target that gives the same verdict always and notes what it got.
type answer struct {
	verdict router.Verdict
	reason  router.Reason

	mu  sync.Mutex
	got []string // to and topic
}

func (a *answer) Deliver(d *router.Delivery, h *router.Hop) (router.Verdict, router.Reason) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, h.To.String()+" "+d.Topic)
	return a.verdict, a.reason
}

func (a *answer) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	got := a.got
	a.got = nil
	slices.Sort(got)
	return got
}

// devices is an answer that is chosen by subscriptions: device and filter.
type devices struct {
	answer
	subs sync.Map // [2]string -> handle
}

func (d *devices) subscribe(device, filter string) {
	d.subs.Store([2]string{device, filter}, device+" "+filter)
}

func (d *devices) Subscribers(_ message.Endpoint, topic string, yield func(message.Endpoint, any)) {
	d.subs.Range(func(key, handle any) bool {
		if k := key.([2]string); message.Match(k[1], topic) {
			yield(endpoint(k[0]), handle)
		}
		return true
	})
}

func delivered() *devices { return &devices{answer: answer{verdict: router.Delivered}} }

// reasons returns the counters by verdict and reason.
func reasons(r *router.Router) map[string]uint64 {
	all := map[string]uint64{}
	r.Reasons(func(v router.Verdict, why router.Reason, n uint64) { all[v.String()+" "+string(why)] = n })
	return all
}

// rowFigures returns the figures of the used rows by their keys.
func rowFigures(r *router.Router, g *gate) map[string]router.Counts {
	all := map[string]router.Counts{}
	r.Rows(func(i int, n router.Counts) { all[g.rows[i].key()] = n })
	return all
}

func wantLedger(t testing.TB, r *router.Router, want router.Counts) {
	t.Helper()
	if got := r.Ledger(); got != want {
		t.Errorf("ledger %+v, want %+v", got, want)
	}
}

// records is a log that is read by tests.
type records struct {
	mu  sync.Mutex
	all []record
}

type record struct {
	level slog.Level
	text  string
	attrs map[string]string
}

func (r *records) Enabled(context.Context, slog.Level) bool { return true }
func (r *records) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *records) WithGroup(string) slog.Handler            { return r }

func (r *records) Handle(_ context.Context, in slog.Record) error {
	out := record{level: in.Level, text: in.Message, attrs: map[string]string{}}
	in.Attrs(func(a slog.Attr) bool { out.attrs[a.Key] = a.Value.String(); return true })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, out)
	return nil
}

// take returns what was logged since the last take.
func (r *records) take() []record {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}
