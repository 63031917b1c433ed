package dataplane

import (
	"net/http"
	"sync"
	"time"

	"greengate/core/message"
)

// maxIdleClients is from how many clients on those are forgotten that have not
// asked for a while.
const maxIdleClients = 1024

// clients bounds what each source, and all together, may ask for. Safe for
// concurrent use.
type clients struct {
	limits Limits
	now    func() time.Time

	mu   sync.Mutex // guards all below
	all  map[message.Endpoint]*client
	busy int // requests at work
}

// client is one source: a bucket of requests that fills again with time, and
// what is at work.
type client struct {
	left float64
	last time.Time // when left was right
	busy int
}

func newClients(l Limits, now func() time.Time) *clients {
	return &clients{limits: l, now: now, all: map[message.Endpoint]*client{}}
}

// enter takes up a request that counts for cost; leave ends it.
func (s *clients) enter(from message.Endpoint, cost int) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, rate := s.now(), float64(s.limits.Rate)
	c := s.all[from]
	if c == nil {
		s.forget(now)
		c = &client{left: rate, last: now}
		s.all[from] = c
	}
	c.left = min(rate, c.left+now.Sub(c.last).Seconds()*rate)
	c.last = now
	switch {
	case c.left < float64(min(cost, s.limits.Rate)):
		return nil, throttled("more than %d requests in a second", s.limits.Rate, false)
	case c.busy >= s.limits.AtOnce:
		return nil, throttled("more than %d requests at once", s.limits.AtOnce, true)
	case s.busy >= s.limits.InAll:
		return nil, &Error{Status: http.StatusServiceUnavailable, Type: "ServiceUnavailableException",
			Message: "too many requests of all clients are at work", reason: reasonThrottled, closes: true}
	}
	c.left -= float64(cost)
	c.busy++
	s.busy++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.busy--
		s.busy--
	}, nil
}

// forget drops the clients whose bucket is full again. The caller holds s.mu.
func (s *clients) forget(now time.Time) {
	if len(s.all) < maxIdleClients {
		return
	}
	for from, c := range s.all {
		if c.busy == 0 && now.Sub(c.last) >= time.Second {
			delete(s.all, from)
		}
	}
}

func throttled(format string, n int, closes bool) *Error {
	e := invalid(format, n)
	e.Status, e.Type, e.reason, e.closes = http.StatusTooManyRequests, typeThrottled, reasonThrottled, closes
	return e
}
