package router_test

import (
	"fmt"
	"log/slog"
	"testing"

	"greengate/core/message"
	"greengate/core/router"
	"greengate/subscriptions"
)

// table lets the router ask the real subscription table, as the gateway does.
type table struct{ *subscriptions.Table }

func (t table) Lookup(from message.Endpoint, topic string) router.Passage {
	if m := t.Table.Lookup(from, topic); m != nil {
		return m
	}
	return nil
}

// plant is a group of machines with ten rows each, after so many other rows.
func plant(tb testing.TB, before, rows int) table {
	tb.Helper()
	var site subscriptions.Site
	var all []subscriptions.Row
	add := func(from, topic, to string) {
		all = append(all, subscriptions.Row{From: subscriptions.Ends{from}, Topic: topic, To: subscriptions.Ends{to}, Line: len(all) + 1})
	}
	for i := range before {
		add("function:f", fmt.Sprint("before/", i), "cloud")
	}
	for i := range rows {
		machine, peer := fmt.Sprintf("machine-%05d", i/10), fmt.Sprintf("machine-%05d", (i/10+1)%((rows+9)/10))
		if i%10 == 0 {
			site.Devices = append(site.Devices, subscriptions.Device{Thing: machine})
		}
		add(machine, fmt.Sprintf("plant/%s/signal/%d", machine, i%10), peer)
	}
	t, err := subscriptions.Compile(all, site)
	if err != nil {
		tb.Fatal(err)
	}
	return table{t}
}

// taker is a target that does nothing, for one subscriber or none.
type taker struct{ subscriber message.Endpoint }

func (taker) Deliver(*router.Delivery, *router.Hop) (router.Verdict, router.Reason) {
	return router.Delivered, ""
}

func (t taker) Subscribers(_ message.Endpoint, _ string, yield func(message.Endpoint, any)) {
	if t.subscriber.Name != "" {
		yield(t.subscriber, nil)
	}
}

func benchRouter(g router.Gate) *router.Router {
	r := router.New(slog.New(slog.DiscardHandler))
	r.Register(message.Device, taker{endpoint("machine-00000")})
	r.SetGate(g)
	return r
}

// A route that a port knows costs the same whatever the table holds: 50 ns and
// no allocation at most.
func BenchmarkCachedRoute(b *testing.B) {
	for _, rows := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			p := benchRouter(plant(b, 0, rows)).Port(endpoint("machine-00000"))
			var topics [10][]byte
			for i := range topics {
				topics[i] = fmt.Appendf(nil, "plant/machine-00000/signal/%d", i)
				route(b, p, topics[i])
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				route(b, p, topics[i%len(topics)])
				i++
			}
		})
	}
}

func route(b *testing.B, p *router.Port, topic []byte) *router.Route {
	way, err := p.Route(topic, message.CheckTopic)
	if err != nil {
		b.Fatal(err)
	}
	return way
}

// A route that a port does not know, with all that is between its topic and its
// targets.
func BenchmarkNewRoute(b *testing.B) {
	for _, rows := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			r := benchRouter(plant(b, 0, rows))
			p := r.Port(endpoint("machine-00000"))
			topic := []byte("plant/machine-00000/signal/1")
			b.ReportAllocs()
			for b.Loop() {
				r.SubscriptionsChanged()
				route(b, p, topic)
			}
		})
	}
}

// A message on a known topic, to one target that does nothing, to none, and
// without a row: what the router itself costs.
func BenchmarkPublishCached(b *testing.B) {
	for _, c := range []struct{ name, from, topic string }{
		{"delivered", "machine-00999", "plant/machine-00999/signal/1"},
		{"nobody", "machine-00001", "plant/machine-00001/signal/1"},
		{"refused", "machine-00999", "plant/machine-00001/signal/1"},
	} {
		r := benchRouter(plant(b, 0, 10_000))
		once := func(p *router.Port, topic []byte, m *message.Message) {
			p.Publish(m, route(b, p, topic))
		}
		b.Run(c.name, func(b *testing.B) {
			p, topic, m := r.Port(endpoint(c.from)), []byte(c.topic), &message.Message{Topic: c.topic}
			b.ReportAllocs()
			for b.Loop() {
				once(p, topic, m)
			}
		})
		b.Run(c.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				p, topic, m := r.Port(endpoint(c.from)), []byte(c.topic), &message.Message{Topic: c.topic}
				for pb.Next() {
					once(p, topic, m)
				}
			})
		})
		if n := r.Ledger(); n.Accepted != n.Delivered+n.Refused+n.Dropped || n.Accepted == 0 {
			b.Errorf("ledger %+v", n)
		}
	}
}

// A reload swaps the table and carries the figures of the rows that were used.
func BenchmarkSetGate(b *testing.B) {
	const rows = 100_000
	same, shifted, other := plant(b, 0, rows), plant(b, 1, rows), plant(b, 0, rows/2)
	for _, c := range []struct {
		name    string
		used    int
		a, next table
	}{
		{"used=100/same", 100, same, same},
		{"used=100/shifted", 100, same, shifted},
		{"used=100/gone", 100, same, other},
		{"used=100000/same", rows, same, same},
		{"used=100000/shifted", rows, same, shifted},
		{"used=100000/half", rows, same, other},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				r := benchRouter(c.a)
				for i := 0; i < rows; i += rows / c.used {
					machine := fmt.Sprintf("machine-%05d", i/10)
					peer := fmt.Sprintf("machine-%05d", (i/10+1)%(rows/10))
					if _, ok := r.Judge(endpoint(machine), fmt.Sprintf("plant/%s/signal/%d", machine, i%10), endpoint(peer)); !ok {
						b.Fatal("the row does not allow")
					}
				}
				b.StartTimer()
				r.SetGate(c.next)
			}
		})
	}
}

// The sum over a large table, for `greengate status` and /metrics.
func BenchmarkLedger(b *testing.B) {
	r := benchRouter(plant(b, 0, 100_000))
	for b.Loop() {
		r.Ledger()
	}
}
