package broker

import (
	"net"
	"sync"
)

// Bounds of the connections that have not sent their CONNECT: of all, and of one
// address, so that who opens connection after connection and is silent on each does
// not keep the others out.
const (
	maxPending   = 1024
	maxPendingOf = 256
)

// arrivals counts the connections that have not sent their CONNECT.
type arrivals struct {
	mu  sync.Mutex
	all int
	of  map[string]int // by IP address; none is 0
}

// enter takes a place for a connection from addr, until leave. It reports whether
// there was one, and if not why.
func (a *arrivals) enter(addr net.Addr) (why string, ok bool) {
	host, _, _ := net.SplitHostPort(addr.String())
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.of[host] >= maxPendingOf:
		return "too many connections of this address without CONNECT", false
	case a.all >= maxPending:
		return "too many connections without CONNECT", false
	}
	a.all++
	a.of[host]++
	return "", true
}

func (a *arrivals) leave(addr net.Addr) {
	host, _, _ := net.SplitHostPort(addr.String())
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all--
	if a.of[host]--; a.of[host] == 0 {
		delete(a.of, host)
	}
}
