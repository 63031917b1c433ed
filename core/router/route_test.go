package router_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"greengate/core/message"
	"greengate/core/router"
)

func TestClosedBeforeTheFirstTable(t *testing.T) {
	r, _ := newRouter(nil, map[message.Kind]router.Target{message.Device: delivered()})
	publish(t, r.Port(endpoint("a")), "t", "")
	wantLedger(t, r, router.Counts{Accepted: 1, Refused: 1})
	if g := r.Generation(); g != 0 {
		t.Errorf("generation %d before the first table", g)
	}
	if g := r.SetGate(open()); g != 1 || r.Generation() != 1 {
		t.Errorf("the first table has generation %d", g)
	}
}

// What becomes of a message, by the rows and the targets that there are.
func TestVerdicts(t *testing.T) {
	d := delivered()
	d.subscribe("b", "both")
	d.subscribe("c", "both")
	d.subscribe("c", "third")
	function := &answer{verdict: router.Dropped, reason: "busy"}
	r, _ := newRouter(open(
		row{"a", "both", "*"}, row{"a", "nobody", "b"}, row{"a", "nobody", "c"}, row{"a", "third", "b"}, row{"a", "up", "cloud"},
		row{"a", "pin", "gpio:led"}, row{"a", "mixed", "b"}, row{"a", "mixed", "cloud"}, row{"a", "mixed", "function:f"},
	), map[message.Kind]router.Target{message.Device: d, message.Function: function})
	for _, c := range []struct {
		topic  string
		got    []string
		ledger router.Counts
		reason string // that is counted once more
	}{
		{"both", []string{"b both", "c both"}, router.Counts{Accepted: 2, Delivered: 2}, ""},
		{"unheard", nil, router.Counts{Accepted: 1, Refused: 1}, "refused no-row"},
		{"nobody", nil, router.Counts{Accepted: 1, Dropped: 1}, "dropped no-subscriber"},
		{"third", nil, router.Counts{Accepted: 1, Dropped: 1}, "dropped no-subscriber"}, // c is subscribed, b may
		{"up", nil, router.Counts{Accepted: 1, Refused: 1}, "refused no-cloud"},
		{"pin", nil, router.Counts{Accepted: 1, Refused: 1}, "refused not-served"},
		{"mixed", nil, router.Counts{Accepted: 2, Refused: 1, Dropped: 1}, "refused no-cloud"},
	} {
		t.Run(c.topic, func(t *testing.T) {
			before, counted := r.Ledger(), reasons(r)[c.reason]
			publish(t, r.Port(endpoint("a")), c.topic, "x")
			if got := d.take(); !slices.Equal(got, c.got) {
				t.Errorf("delivered to %q, want %q", got, c.got)
			}
			wantLedger(t, r, before.Add(c.ledger))
			if n := reasons(r)[c.reason]; c.reason != "" && n != counted+1 {
				t.Errorf("reason %q counted %d times, want once", c.reason, n-counted)
			}
		})
	}
	want := map[string]uint64{
		"refused no-row": 1, "dropped no-subscriber": 2, "refused no-cloud": 2, "refused not-served": 1, "dropped busy": 1,
	}
	if got := reasons(r); !maps.Equal(got, want) {
		t.Errorf("reasons %v, want %v", got, want)
	}
	if got := function.take(); !slices.Equal(got, []string{"function:f mixed"}) {
		t.Errorf("the function got %q", got)
	}
}

// A row that has a message without a subscriber counts it, the first one.
func TestRowsCountTheirOwn(t *testing.T) {
	g := open(row{"a", "x", "b"}, row{"a", "#", "*"}, row{"b", "never", "c"})
	d := delivered()
	r, _ := newRouter(g, map[message.Kind]router.Target{message.Device: d})
	p := r.Port(endpoint("a"))
	publish(t, p, "x", "")
	d.subscribe("b", "#")
	d.subscribe("c", "#")
	r.SubscriptionsChanged()
	publish(t, p, "x", "")
	publish(t, p, "y", "")
	want := map[string]router.Counts{
		"a|x|b": {Accepted: 2, Delivered: 1, Dropped: 1},
		"a|#|*": {Accepted: 3, Delivered: 3},
	}
	if got := rowFigures(r, g); !maps.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	if _, ok := r.Judge(endpoint("b"), "never", endpoint("c")); !ok {
		t.Error("the third row does not allow")
	}
	if got := rowFigures(r, g); len(got) != 2 {
		t.Errorf("a row that was asked only counts as used: %v", got)
	}
}

// A port finds no way of the past after a subscription has changed.
func TestSubscriptionsChanged(t *testing.T) {
	g := open(row{"a", "#", "*"})
	d := delivered()
	r, _ := newRouter(g, map[message.Kind]router.Target{message.Device: d})
	p := r.Port(endpoint("a"))
	deliveries := func(want ...string) {
		t.Helper()
		publish(t, p, "t", "")
		if got := d.take(); !slices.Equal(got, want) {
			t.Errorf("delivered to %q, want %q", got, want)
		}
	}
	deliveries()
	d.subscribe("b", "t")
	r.SubscriptionsChanged()
	deliveries("b t")
	d.subscribe("c", "t")
	r.SubscriptionsChanged()
	deliveries("b t", "c t")
	d.subs.Delete([2]string{"b", "t"})
	r.SubscriptionsChanged()
	deliveries("c t")
	before := g.lookups.Load()
	deliveries("c t")
	if n := g.lookups.Load() - before; n != 0 {
		t.Errorf("%d lookups on a known topic", n)
	}
}

// A source with more topics than its port remembers is served all the same, and
// still finds most of its routes.
func TestManyTopics(t *testing.T) {
	g := open(row{"cloud", "#", "*"})
	d := delivered()
	d.subscribe("b", "#")
	r, _ := newRouter(g, map[message.Kind]router.Target{message.Device: d})
	p := r.Port(message.Endpoint{Kind: message.Cloud})
	const topics, rounds = 1100, 3
	for range rounds {
		for i := range topics {
			publish(t, p, fmt.Sprintf("cmd/%d", i), "")
		}
	}
	wantLedger(t, r, router.Counts{Accepted: topics * rounds, Delivered: topics * rounds})
	if got := slices.Compact(d.take()); len(got) != topics {
		t.Errorf("%d topics arrived, want %d", len(got), topics)
	}
	if n := g.lookups.Load(); n > topics*rounds*2/3 {
		t.Errorf("%d lookups for %d messages: nothing is remembered", n, topics*rounds)
	}
}

func TestRouteChecksTopics(t *testing.T) {
	r, _ := newRouter(open(row{"a", "#", "*"}), nil)
	p := r.Port(endpoint("a"))
	bad := errors.New("bad topic")
	checks := 0
	check := func(topic string) error {
		checks++
		if topic == "bad" {
			return bad
		}
		return nil
	}
	for range 2 {
		if _, err := p.Route([]byte("bad"), check); err != bad {
			t.Errorf("error %v", err)
		}
	}
	if checks != 2 {
		t.Error("an illegal topic was remembered as legal")
	}
	buffer := []byte("good")
	first, err := p.Route(buffer, check)
	if err != nil {
		t.Fatal(err)
	}
	if copy(buffer, "else"); first.Topic != "good" {
		t.Errorf("the topic of the route lies in the buffer: %q", first.Topic)
	}
	again, err := p.Route([]byte("good"), check)
	if err != nil || again != first || checks != 3 {
		t.Errorf("a known topic is looked up again, %v", err)
	}
}

// The source of a message is that of its port, whatever it says.
func TestSourceIsThePort(t *testing.T) {
	d := delivered()
	d.subscribe("b", "t")
	r, _ := newRouter(open(row{"a", "t", "b"}), map[message.Kind]router.Target{message.Device: d})
	var from []string
	defer r.Watch(func(e router.Event) { from = append(from, e.From.String()) })()
	p := r.Port(endpoint("intruder"))
	way, err := p.Route([]byte("t"), message.CheckTopic)
	if err != nil {
		t.Fatal(err)
	}
	p.Publish(&message.Message{Source: endpoint("a"), Topic: "t"}, way)
	if got := d.take(); got != nil || !slices.Equal(from, []string{"intruder"}) {
		t.Errorf("delivered %q from %q", got, from)
	}
}

// Send is the way of retained messages: it obeys the gate in force.
func TestSend(t *testing.T) {
	var handle any
	d := &handled{devices: delivered(), handle: &handle}
	g := open(row{"a", "t", "b"}, row{"a", "t", "gpio:led"})
	r, _ := newRouter(g, map[message.Kind]router.Target{message.Device: d})
	p := r.Port(endpoint("b")) // the subscriber's, not the publisher's
	m := &message.Message{Source: endpoint("a"), Topic: "t"}
	p.Send(m, endpoint("b"), "handle")
	if got := d.take(); !slices.Equal(got, []string{"b t"}) || handle != "handle" {
		t.Errorf("delivered %q with %v", got, handle)
	}
	p.Send(m, endpoint("c"), nil)
	p.Send(&message.Message{Source: endpoint("a"), Topic: "u"}, endpoint("b"), nil)
	p.Send(&message.Message{Source: endpoint("b"), Topic: "t"}, endpoint("b"), nil)
	r.SetGate(open(row{"a", "u", "b"}, row{"a", "t", "gpio:led"}))
	p.Send(m, endpoint("b"), nil)
	if got := d.take(); got != nil {
		t.Errorf("delivered %q without a row", got)
	}
	wantLedger(t, r, router.Counts{Accepted: 1, Delivered: 1})
	p.Send(m, endpoint("gpio:led"), nil)
	wantLedger(t, r, router.Counts{Accepted: 2, Delivered: 1, Refused: 1})
	if n := reasons(r)["refused not-served"]; n != 1 {
		t.Errorf("a kind without target is refused %d times", n)
	}
}

// handled notes the handle of the last delivery.
type handled struct {
	*devices
	handle *any
}

func (h *handled) Deliver(d *router.Delivery, hop *router.Hop) (router.Verdict, router.Reason) {
	*h.handle = hop.Handle
	return h.devices.Deliver(d, hop)
}

func TestHandles(t *testing.T) {
	var handle any
	d := &handled{devices: delivered(), handle: &handle}
	d.subscribe("b", "t/#")
	r, _ := newRouter(open(row{"a", "#", "b"}), map[message.Kind]router.Target{message.Device: d})
	if publish(t, r.Port(endpoint("a")), "t", ""); handle != "b t/#" {
		t.Errorf("the subscriber's handle is %v", handle)
	}
}

// waker counts how often it was woken; it asks for more so many times.
type waker struct {
	d     *router.Delivery
	again int
	woken int
}

func (w *waker) Wake() {
	w.woken++
	if w.again > 0 {
		w.again--
		w.d.Wake(w)
	}
}

func TestFlushWakes(t *testing.T) {
	r, _ := newRouter(nil, nil)
	p := r.Port(endpoint("a"))
	d := p.Delivery()
	once, more := &waker{}, &waker{d: d, again: 2}
	d.Wake(more)
	d.Wake(once)
	p.Flush()
	if once.woken != 1 || more.woken != 3 {
		t.Errorf("woken %d and %d times, want 1 and 3", once.woken, more.woken)
	}
	if p.Flush(); once.woken != 1 {
		t.Error("woken by a batch that it had nothing in")
	}
}
