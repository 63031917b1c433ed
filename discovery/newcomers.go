package discovery

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"greengate/core/pki"
)

var errTooOften = errors.New("too many handshakes of this address led to nothing")

var errTooMany = errors.New("too many connections of this address have not asked for anything yet")

// newcomers are the connections that have not asked for anything yet. They cost a place
// and say nothing of who they are, so one address has few: a device that opens connection
// after connection and is silent on each (a fault in its program, a scan) must not keep
// the others waiting. Nor must many addresses: when there is no place left, those that
// have had their time go, see oust. Safe for concurrent use.
type newcomers struct {
	mu sync.Mutex
	of map[string]map[*newcomer]struct{} // by IP address; none is empty
}

// newcomer is one such connection.
type newcomer struct {
	conn   net.Conn
	since  time.Time
	places chan struct{}  // of its listener
	shake  *pki.Handshake // belongs to the goroutine that serves it
	ousted atomic.Bool    // it was closed to make room
	leave  func()         // makes it a newcomer no more; any goroutine may call it, more than once
}

func newNewcomers() *newcomers {
	return &newcomers{of: make(map[string]map[*newcomer]struct{})}
}

// enter takes up a connection that has a place, until its leave is called. It reports
// false when its address has so many already.
func (n *newcomers) enter(conn net.Conn, places chan struct{}, most int) (one *newcomer, ok bool) {
	host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.of[host]) >= most {
		return nil, false
	}
	one = &newcomer{conn: conn, since: time.Now(), places: places}
	one.leave = func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if delete(n.of[host], one); len(n.of[host]) == 0 {
			delete(n.of, host)
		}
	}
	if n.of[host] == nil {
		n.of[host] = make(map[*newcomer]struct{})
	}
	n.of[host][one] = struct{}{}
	return one, true
}

// oneOfSeveral is the part of the time of a newcomer that it has when its address has
// others: else each address that an attacker has would hold a place as long as one device.
const oneOfSeveral = 20

// oust takes the place of one newcomer among those that have had their time: of the
// address that has the most of them, the oldest. It returns nil when there is none.
func (n *newcomers) oust(places chan struct{}, now time.Time, crowded time.Duration) *newcomer {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out *newcomer
	var host string
	for h, all := range n.of {
		then := now.Add(-crowded)
		if len(all) > 1 {
			then = now.Add(-crowded / oneOfSeveral)
		}
		for one := range all {
			if one.places != places || one.since.After(then) {
				continue
			}
			if out == nil || len(all) > len(n.of[host]) || len(all) == len(n.of[host]) && one.since.Before(out.since) {
				out, host = one, h
			}
		}
	}
	if out == nil {
		return nil
	}
	out.ousted.Store(true)
	if delete(n.of[host], out); len(n.of[host]) == 0 {
		delete(n.of, host)
	}
	return out
}
