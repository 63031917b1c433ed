package gpio

import (
	"fmt"
	"time"
)

// What an input makes of too many edges.
const (
	// stormEdges is how many in a second are a storm: a wire without a resistor, a
	// broken contact. 1,000 are not.
	stormEdges = 1500
	// stormCalm is for how long there must not be so many until it is over.
	stormCalm = 5 * time.Second
)

// storm watches how many edges an input has. In a storm it says nothing.
type storm struct {
	limit int // edges in a second; 0: any number, as long as none is lost

	window time.Time // a second that begins then
	edges  int       // in it

	on    bool
	since time.Time
	last  time.Time // when there were too many last
	held  uint64    // changes that were not told, in all
	lost  uint64    // edges that the queue did not keep, in all
}

// edge counts an edge, and tells whether a storm begins with it.
func (s *storm) edge(e edge) (begins bool) {
	if since := e.at.Sub(s.window); since >= time.Second || since < 0 {
		s.window, s.edges = e.at, 0
	}
	s.edges += 1 + int(e.missed)
	s.lost += uint64(e.missed)
	if e.missed == 0 && (s.limit == 0 || s.edges <= s.limit) {
		return false
	}
	s.last = e.at
	if s.on {
		return false
	}
	s.on, s.since = true, e.at
	return true
}

// over tells whether a storm ends now.
func (s *storm) over(now time.Time) bool {
	if !s.on || now.Sub(s.last) < stormCalm {
		return false
	}
	s.on = false
	return true
}

func (s *storm) fault(name, pin string) (Fault, bool) {
	if !s.on {
		return Fault{}, false
	}
	problem := fmt.Sprintf("edges come faster than they are read; the kernel did not keep %d of them (look at its resistor and wires)", s.lost)
	if s.limit > 0 {
		problem = fmt.Sprintf("a storm of edges, more than %d a second: it says nothing until %v without; %d changes so far were not told (look at its resistor and wires, or write a longer debounce)", s.limit, stormCalm, s.held)
	}
	return Fault{Name: name, Pin: pin, Problem: problem, Since: s.since}, true
}
