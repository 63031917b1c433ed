package discovery

import (
	"errors"
	"net"
	"sync"
)

var errTooMany = errors.New("too many connections of this address have not asked for anything yet")

// newcomers counts, by address, the connections that have not asked for anything
// yet. They cost a place and say nothing of who they are, so one address has few:
// a device that opens connection after connection and is silent on each (a fault
// in its program, a scan) must not keep the others waiting. Safe for concurrent
// use.
type newcomers struct {
	mu sync.Mutex
	of map[string]int // by IP address; none is 0
}

func newNewcomers() *newcomers { return &newcomers{of: make(map[string]int)} }

// enter counts a connection from addr until leave is called, for the first time,
// by any goroutine. It reports false when that address has so many already.
func (n *newcomers) enter(addr net.Addr, most int) (leave func(), ok bool) {
	host, _, _ := net.SplitHostPort(addr.String())
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of[host] >= most {
		return nil, false
	}
	n.of[host]++
	return sync.OnceFunc(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.of[host]--; n.of[host] == 0 {
			delete(n.of, host)
		}
	}), true
}
