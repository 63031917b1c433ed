package router

import (
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"greengate/core/message"
)

// wide is a gate without bounds: every message may go to all its devices.
type wide struct{}

func (wide) Len() int                                  { return 1 }
func (wide) Key(int) string                            { return "wide" }
func (w wide) Lookup(message.Endpoint, string) Passage { return w }
func (wide) First() int                                { return 0 }
func (wide) Allows(message.Endpoint) (int, bool)       { return 0, true }
func (wide) Services(func(message.Endpoint, int))      {}

// crowd are so many devices that want every message.
type crowd int

func (c crowd) Deliver(*Delivery, *Hop) (Verdict, Reason) { return Delivered, "" }
func (c crowd) Subscribers(_ message.Endpoint, _ string, yield func(message.Endpoint, any)) {
	for i := range int(c) {
		yield(message.DeviceEndpoint(strconv.Itoa(i)), nil)
	}
}

func newWide(subscribers int) *Router {
	r := New(slog.New(slog.DiscardHandler))
	r.Register(message.Device, crowd(subscribers))
	r.SetGate(wide{})
	return r
}

func remembered(t *testing.T, p *Port, topic string) {
	t.Helper()
	if _, err := p.Route([]byte(topic), message.CheckTopic); err != nil {
		t.Fatal(err)
	}
	hops := 0
	for _, way := range p.routes {
		hops += len(way.hops)
	}
	if len(p.routes) > maxRoutes || hops > maxHops || hops != p.hops {
		t.Fatalf("a port remembers %d routes with %d hops (counted %d)", len(p.routes), hops, p.hops)
	}
}

// What a port remembers is bounded by the topics, their targets and their
// lengths.
func TestPortIsBounded(t *testing.T) {
	for _, c := range []struct {
		name        string
		subscribers int
		length      int // of the topics
		want        int // routes in the end
	}{
		{"many topics", 1, 10, maxRoutes},
		{"many targets", 100, 10, maxHops / 100},
		{"more targets than a port remembers", maxHops + 1, 10, 0},
		{"long topics", 1, maxRouteTopic, maxRoutes},
		{"topics too long", 1, maxRouteTopic + 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newWide(c.subscribers).Port(message.DeviceEndpoint("a"))
			for i := range max(c.want, 10) + 20 {
				remembered(t, p, fmt.Sprintf("%0*d", c.length, i))
			}
			if len(p.routes) != c.want {
				t.Errorf("%d routes remembered, want %d", len(p.routes), c.want)
			}
			p.r.SubscriptionsChanged()
			remembered(t, p, strings.Repeat("x", c.length))
			if len(p.routes) > 1 {
				t.Errorf("%d routes of the past remembered", len(p.routes))
			}
		})
	}
}

// The cells of rows that are gone do not pile up with the reloads.
func TestRetiredIsBounded(t *testing.T) {
	r := newWide(1)
	p := r.Port(message.DeviceEndpoint("a"))
	const reloads = 20
	for range reloads {
		way, err := p.Route([]byte("t"), message.CheckTopic)
		if err != nil {
			t.Fatal(err)
		}
		p.Publish(&message.Message{Topic: "t"}, way)
		r.SetGate(closed{})
		r.SetGate(wide{})
		runtime.GC()
	}
	if n := len(r.ledger.retired); n > 3 {
		t.Errorf("%d retired cells after %d reloads", n, reloads)
	}
	if n := r.Ledger(); n != (Counts{Accepted: reloads, Delivered: reloads}) {
		t.Errorf("ledger %+v", n)
	}
}

// The message path neither allocates nor keeps what it has handed over.
func TestPublishAllocates(t *testing.T) {
	r := newWide(3)
	p := r.Port(message.DeviceEndpoint("a"))
	topic, m := []byte("t"), &message.Message{Topic: "t"}
	once := func() {
		way, err := p.Route(topic, message.CheckTopic)
		if err != nil {
			t.Fatal(err)
		}
		p.Publish(m, way)
	}
	once()
	if n := testing.AllocsPerRun(100, once); n != 0 {
		t.Errorf("%g allocations for a message that is delivered", n)
	}
	if p.d.Message != nil {
		t.Error("the port holds on to its last message")
	}
	r.SetGate(closed{})
	once()
	if n := testing.AllocsPerRun(100, once); n != 0 {
		t.Errorf("%g allocations for a message that is refused", n)
	}
}
