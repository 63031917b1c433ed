package gpio

import "time"

// listener is what makes something of an input. It is called by the one goroutine
// that reads it.
type listener interface {
	// begin is told that reading begins.
	begin(level bool)
	// edge is told every edge of a raw contact.
	edge(edge)
	// change is told every level that counts.
	change(change)
	// due tells when rest is to be called at the latest; zero: whenever.
	due() time.Time
	// rest is called when all edges that came until then have been told.
	rest(until time.Time)
}

// silent is a listener to nothing.
type silent struct{}

func (silent) begin(bool)     {}
func (silent) edge(edge)      {}
func (silent) change(change)  {}
func (silent) due() time.Time { return time.Time{} }
func (silent) rest(time.Time) {}
