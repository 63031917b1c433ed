package discovery

import (
	"errors"
	"net"
	"sync"
	"time"
)

var errShare = errors.New("there are too many connections of this thing, or of its address")

// A thing may ask so often in a second, and so many times at once after a pause. It is
// more than the data plane answers, and than discovery is for; what comes faster waits, so
// that one device does not take the processor from the others.
const (
	requestRate  = 200
	requestBurst = 200
)

// shares count the connections that have asked for something. Who may ask may be slow: in
// its requests, in taking the answers, or idle between two. So no thing has more than its
// share of the places, and no address with several things. A thing that has none always
// gets one: the others behind its address are not its fault. Safe for concurrent use.
type shares struct {
	mu        sync.Mutex
	things    map[string]*guest // none without connections and with an old due
	addresses map[string]int    // connections by IP; none is 0
}

// guest is one thing.
type guest struct {
	conns int
	due   time.Time // when all its requests so far would have come at the rate
}

func newShares() *shares {
	return &shares{things: map[string]*guest{}, addresses: map[string]int{}}
}

// take counts a connection of thing, until give is called. It reports false when there
// are enough of them.
func (s *shares) take(thing string, remote net.Addr, l limits) (give func(), ok bool) {
	host, _, _ := net.SplitHostPort(remote.String())
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.things[thing]
	if g == nil {
		g = &guest{}
		s.things[thing] = g
	}
	if g.conns >= l.ofThing || g.conns > 0 && s.addresses[host] >= l.ofAddress {
		return nil, false
	}
	g.conns++
	s.addresses[host]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if g.conns--; g.conns == 0 && time.Now().After(g.due) {
			delete(s.things, thing)
		}
		if s.addresses[host]--; s.addresses[host] == 0 {
			delete(s.addresses, host)
		}
	}, true
}

// pace returns how long a request of a thing that has a connection has to wait.
func (s *shares) pace(thing string, now time.Time) time.Duration {
	const each = time.Second / requestRate
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.things[thing]
	if oldest := now.Add(-requestBurst * each); g.due.Before(oldest) {
		g.due = oldest
	}
	g.due = g.due.Add(each)
	return max(0, g.due.Sub(now))
}
