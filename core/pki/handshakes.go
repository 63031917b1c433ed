package pki

import (
	"net"
	"sync"
	"time"
)

// What one address may cost in handshakes. A handshake takes about a millisecond of a
// processor (P-256, on a Pi several), and whoever asks for one need not be anybody. A
// device that comes in costs its address nothing, so a thousand behind one address may
// come back at once; what counts is who fails, gives up, is refused, or comes again and
// again.
const (
	addressBurst = 2560 // twice what may be under way at the broker
	addressRate  = 10.0 // a second
	thingBurst   = 600
	thingRate    = 10.0 // a second
	maxAddresses = 4096
)

// Handshakes bounds the TLS handshakes of each address, at all doors together. A nil one
// bounds nothing. It is safe for concurrent use.
type Handshakes struct {
	mu        sync.Mutex
	addresses allowances // by IP address
	things    allowances
}

// NewHandshakes returns one that has seen nobody.
func NewHandshakes() *Handshakes {
	return &Handshakes{
		addresses: allowances{of: map[string]*allowance{}, most: addressBurst, rate: addressRate},
		things:    allowances{of: map[string]*allowance{}, most: thingBurst, rate: thingRate},
	}
}

// Handshake is one that has begun. A nil one is not counted.
type Handshake struct {
	of   *Handshakes
	host string
}

// Begin counts a handshake before it costs anything, and reports false when its address
// has had too many: then it must not be begun. A connection from an address to itself is
// of this machine, which needs no gateway to burn its processor, and whose heartbeat must
// get in.
func (h *Handshakes) Begin(conn net.Conn) (*Handshake, bool) {
	host := hostOf(conn.RemoteAddr())
	if h == nil || host == hostOf(conn.LocalAddr()) {
		return nil, true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.addresses.find(host).take() {
		return nil, false
	}
	return &Handshake{h, host}, true
}

// Known says that the client is a device of the group: then the handshake does not count,
// unless this device comes too often. It is called once at most.
func (s *Handshake) Known(thing string) {
	if s == nil {
		return
	}
	s.of.mu.Lock()
	often := !s.of.things.find(thing).take()
	s.of.mu.Unlock()
	if !often {
		s.Void()
	}
}

// Void says that nothing was done, or that it is counted elsewhere.
func (s *Handshake) Void() {
	if s == nil {
		return
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if a := s.of.addresses.of[s.host]; a != nil {
		a.left = min(a.left+1, addressBurst)
	}
}

// allowances are buckets of tokens, by name.
type allowances struct {
	of         map[string]*allowance
	most, rate float64   // tokens, and tokens a second
	swept      time.Time // when those were looked for that are full
}

type allowance struct {
	left float64
	at   time.Time // of left
}

// find returns the allowance of a name. When there are too many names those go that have
// all of theirs, or else any: who has thousands of addresses is not bounded by this.
func (t *allowances) find(name string) *allowance {
	now := time.Now()
	a := t.of[name]
	if a == nil {
		if len(t.of) >= maxAddresses {
			t.makeRoom(now)
		}
		a = &allowance{left: t.most, at: now}
		t.of[name] = a
	}
	t.fill(a, now)
	return a
}

func (t *allowances) makeRoom(now time.Time) {
	if now.Sub(t.swept) >= time.Second {
		t.swept = now
		for name, a := range t.of {
			if t.fill(a, now) {
				delete(t.of, name)
			}
		}
	}
	for name := range t.of {
		if len(t.of) < maxAddresses {
			return
		}
		delete(t.of, name)
	}
}

// fill adds what has come since, and reports whether it is full.
func (t *allowances) fill(a *allowance, now time.Time) (full bool) {
	a.left = min(t.most, a.left+t.rate*max(0, now.Sub(a.at).Seconds()))
	a.at = now
	return a.left == t.most
}

func (a *allowance) take() bool {
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

// hostOf is an address without its port.
func hostOf(addr net.Addr) string {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	return host
}
