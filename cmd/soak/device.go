package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// device is a thing with its present connection, if it has one. Any goroutine
// may use it.
type device struct {
	s       *soak
	o       linkOptions
	filters []string
	qos     byte // of its subscriptions

	mu sync.Mutex
	l  *link // guarded by mu; nil while it is away
}

// device makes the device of a thing with a clean session, which is not
// connected yet.
func (s *soak) device(name string, qos byte, hear func(heard), filters ...string) *device {
	return &device{s: s, qos: qos, filters: filters, o: linkOptions{
		Address: s.site.broker, TLS: s.site.credentials[name], Thing: name, Clean: true, Hear: hear,
	}}
}

// connect connects and subscribes. A connection from before is left as it is:
// the gateway cuts it.
func (d *device) connect(ctx context.Context) error {
	l, err := dial(ctx, d.o)
	if err != nil {
		return err
	}
	// A session that was kept still has its subscriptions.
	if len(d.filters) > 0 && !l.present {
		if err := l.subscribe(d.qos, d.filters...); err != nil {
			l.cut()
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.l = l
	return nil
}

// link is the present connection; nil while there is none.
func (d *device) link() *link {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.l
}

// away ends the connection, with DISCONNECT if it leaves politely.
func (d *device) away(politely bool) {
	d.mu.Lock()
	l := d.l
	d.l = nil
	d.mu.Unlock()
	switch {
	case l == nil:
	case politely:
		l.leave()
	default:
		l.cut()
	}
}

// keep is a device that stays connected until the end. If its connection is
// lost, that is a fault of the run, and it comes back.
func (s *soak) keep(d *device) error {
	if err := d.connect(s.life); err != nil {
		return err
	}
	s.atEnd(func() { d.away(true) })
	s.background(func() {
		for {
			l := d.link()
			if l == nil {
				return
			}
			select {
			case <-l.done:
			case <-s.life.Done():
				return
			}
			if d.link() != l { // it was sent away
				return
			}
			s.fault("%s lost its connection: %v", d.o.Thing, l.err)
			for d.connect(s.life) != nil {
				if !s.wait(s.life, time.Second) {
					return
				}
			}
		}
	})
	return nil
}

// pour is how a flow is published.
type pour struct {
	flow   *flow
	from   *device
	rate   float64 // messages a second
	burst  int     // so many at a time
	qos    byte
	retain bool
	topic  func(n int) string
	body   func(n int) []byte // nil: the payload of the flow
	lossy  bool               // its connections come and go
}

// start publishes until the traffic is to end, and then waits until all that is
// under way is acknowledged.
func (s *soak) start(p pour) {
	if p.body == nil {
		p.body = p.flow.payload
	}
	p.burst = max(1, p.burst)
	s.publishers.Go(func() {
		s.paced(p.rate, p.burst, func() { s.send(p) })
		s.finish(p)
	})
}

// paced does something so many times a second, burst times at once, until the
// traffic ends. A busy machine swallows ticks; what they stood for is done at the next.
func (s *soak) paced(rate float64, burst int, do func()) {
	tick := time.NewTicker(time.Duration(float64(burst) / rate * float64(time.Second)))
	defer tick.Stop()
	last, due, most := time.Now(), 0.0, rate*maxBehind.Seconds()+float64(burst)
	for {
		select {
		case <-tick.C:
		case <-s.traffic.Done():
			return
		}
		now := time.Now()
		due = min(due+rate*now.Sub(last).Seconds(), most)
		last = now
		// Half a message is the jitter of the clock.
		for ; due >= float64(burst)-0.5; due -= float64(burst) {
			for range burst {
				do()
			}
		}
	}
}

// maxBehind is how far a publisher may fall behind and still make up for it.
const maxBehind = 5 * time.Second

// send publishes one message, if the device has a connection.
func (s *soak) send(p pour) {
	l := p.from.link()
	if l == nil {
		return
	}
	n := p.flow.next()
	body := p.body(n)
	p.flow.weigh(len(body))
	err := l.publish(p.topic(n), body, p.qos, p.retain, func() { p.flow.ack(n) })
	switch {
	case errors.Is(err, errNotSent):
		p.flow.withdraw(n)
	case err != nil && !p.lossy:
		s.fault("message %d of %s: %v", n, p.flow.name, err)
	}
}

func (s *soak) finish(p pour) {
	l := p.from.link()
	if l == nil || p.qos == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(s.life, patience)
	defer cancel()
	if err := l.settle(ctx); err != nil && !p.lossy {
		s.fault("%v", err)
	}
}

// fixed is a topic that is always the same.
func fixed(topic string) func(int) string { return func(int) string { return topic } }

// fault notes something that must not happen. The first of them are printed.
func (s *soak) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults++; len(s.faultTexts) < 50 {
		s.faultTexts = append(s.faultTexts, text)
		s.log.Error("Something went wrong", "err", text)
	}
}
