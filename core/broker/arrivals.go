package broker

import (
	"net"
	"slices"
	"sync"
)

// maxPending bounds the connections that have not sent their CONNECT: a silent one holds
// 8 KiB, one in the middle of its handshake 44. A thousand devices that come back at once,
// from whatever addresses, are below it.
const maxPending = 1280

// arrivals are the connections that have not sent their CONNECT. When there are too
// many, the address that has the most makes room for the others, so that who opens
// connection after connection and is silent on each keeps nobody out but itself.
type arrivals struct {
	max int

	mu  sync.Mutex
	all int
	of  map[string][]*conn // by IP address, the oldest first; none is empty
}

// pendingOf leaves half of the connections that a broker may have, if that is bounded, to
// those who have sent their CONNECT.
func pendingOf(maxConns int) int {
	if maxConns == 0 {
		return maxPending
	}
	return min(maxPending, max(1, maxConns/2))
}

// enter takes a place for c, until leave. Of another connection that gave up its place
// for it, ousted tells which. It reports false when c itself is of the address that has
// the most, and there is no place.
func (a *arrivals) enter(c *conn) (ousted *conn, ok bool) {
	host := hostOf(c.RemoteAddr())
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all >= a.max {
		most := host
		for h, conns := range a.of {
			if len(conns) > len(a.of[most]) {
				most = h
			}
		}
		if most == host {
			return nil, false
		}
		ousted = a.of[most][0]
		a.remove(most, 0)
	}
	a.all++
	a.of[host] = append(a.of[host], c)
	return ousted, true
}

// leave gives the place of c back, if it has one.
func (a *arrivals) leave(c *conn) {
	host := hostOf(c.RemoteAddr())
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.of[host], c); i >= 0 {
		a.remove(host, i)
	}
}

// remove gives back the i-th place of an address. The caller holds mu.
func (a *arrivals) remove(host string, i int) {
	a.all--
	if a.of[host] = slices.Delete(a.of[host], i, i+1); len(a.of[host]) == 0 {
		delete(a.of, host)
	}
}

// hostOf is an address without its port.
func hostOf(addr net.Addr) string {
	host, _, _ := net.SplitHostPort(addr.String())
	return host
}
