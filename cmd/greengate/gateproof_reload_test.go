package main

import (
	"sync"
	"time"

	"greengate/core/message"
	"greengate/core/router"
)

// proofGate is the table in force before a reload, which has some lookups end when it is in
// force no more: the messages that these are for are enqueued when the reload has returned.
type proofGate struct {
	router.Gate
	returned chan struct{} // the reload

	mu   sync.Mutex
	wait map[string]int       // by source: how many lookups go before the one that waits
	late map[proofLookup]bool // that ended late
}

type proofLookup struct{ from, topic string }

// longest is how long a lookup waits for a reload, which may have to wait for it, too.
const longest = 100 * time.Millisecond

// lingering puts the table in force once more, so that it lingers.
func (p *proof) lingering(returned chan struct{}) *proofGate {
	g := &proofGate{Gate: gate{p.g.current().table}, returned: returned, wait: map[string]int{}, late: map[proofLookup]bool{}}
	for _, c := range p.order {
		g.wait[c.thing] = p.IntN(4)
	}
	p.g.router.SetGate(g)
	return g
}

// Lookup asks the table, and keeps the answer of one lookup of each device for a while.
func (g *proofGate) Lookup(from message.Endpoint, topic string) router.Passage {
	found := g.Gate.Lookup(from, topic)
	g.mu.Lock()
	n, waits := g.wait[from.Name]
	waits = waits && from.Kind == message.Device
	if g.wait[from.Name]--; waits && n == 0 {
		delete(g.wait, from.Name)
	}
	g.mu.Unlock()
	if !waits || n > 0 {
		return found
	}
	select {
	case <-g.returned:
		g.mu.Lock()
		g.late[proofLookup{"device:" + from.Name, topic}] = true
		g.mu.Unlock()
	case <-time.After(longest):
	}
	return found
}

// mark marks the messages whose lookups ended late. Of two on one topic it is not known
// which one it was, and the answer of the shadow service is to none of them.
func (g *proofGate) mark(probes []*proofProbe) {
	g.mu.Lock()
	defer g.mu.Unlock()
	of := map[proofLookup][]*proofProbe{}
	for _, probe := range probes {
		l := proofLookup{probe.from, probe.topic}
		of[l] = append(of[l], probe)
	}
	for l := range g.late {
		if _, _, request := proofRequest(l.topic); len(of[l]) == 1 && of[l][0].door == "mqtt" && !request {
			of[l][0].lingered = true
		}
	}
}
