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

// clientShare is the part of the bytes of all answers that those to one client may have:
// one of so many.
const clientShare = 4

// clients bounds what each source, and all together, may ask for. Safe for
// concurrent use.
type clients struct {
	limits Limits
	now    func() time.Time

	mu    sync.Mutex // guards all below
	all   map[message.Endpoint]*client
	busy  int // requests at work
	bytes int // of answers on their way
}

// client is one source: a bucket of requests that fills again with time, and
// what is at work.
type client struct {
	left  float64
	last  time.Time // when left was right
	busy  int
	bytes int // of answers on their way
}

// place is what one request takes up until its answer has gone.
type place struct {
	of    *clients
	c     *client
	bytes int // of its answer
}

func newClients(l Limits, now func() time.Time) *clients {
	return &clients{limits: l, now: now, all: map[message.Endpoint]*client{}}
}

// enter takes up a request that counts for cost.
func (s *clients) enter(from message.Endpoint, cost int) (*place, error) {
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
		return nil, crowded("too many requests of all clients are at work")
	}
	c.left -= float64(cost)
	c.busy++
	s.busy++
	return &place{of: s, c: c}, nil
}

// leave ends the request.
func (p *place) leave() {
	s := p.of
	s.mu.Lock()
	defer s.mu.Unlock()
	p.c.busy--
	s.busy--
	p.c.bytes -= p.bytes
	s.bytes -= p.bytes
}

// hold takes room for so many bytes of an answer. Who does not take its answers gets no
// more of them before they have filled the memory.
func (p *place) hold(bytes int) error {
	s := p.of
	s.mu.Lock()
	defer s.mu.Unlock()
	switch one := s.limits.Answers / clientShare; {
	case p.c.bytes+bytes > one:
		return throttled("more than %d bytes of answers are on their way", one, true)
	case s.bytes+bytes > s.limits.Answers:
		return crowded("too many bytes of answers to all clients are on their way")
	}
	p.bytes += bytes
	p.c.bytes += bytes
	s.bytes += bytes
	return nil
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

func crowded(message string) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Type: "ServiceUnavailableException", Message: message, reason: reasonThrottled, closes: true}
}

func throttled(format string, n int, closes bool) *Error {
	e := invalid(format, n)
	e.Status, e.Type, e.reason, e.closes = http.StatusTooManyRequests, typeThrottled, reasonThrottled, closes
	return e
}
