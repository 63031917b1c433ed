package broker

import (
	"context"
	"time"

	"greengate/core/router"
)

// sweepEvery is how often messages are looked for that nobody may get any more: they take
// room from those that come, for other devices too.
const sweepEvery = time.Second

// sweep drops what expires in the queues of sessions, until ctx is cancelled.
func (b *Broker) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if b.expiring.Swap(false) {
				b.dropExpired(now)
			}
		}
	}
}

func (b *Broker) dropExpired(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sessions {
		s.mu.Lock()
		s.dropExpired(now)
		s.mu.Unlock()
	}
}

// expires notes when a message of the queue expires; zero: never. The caller holds mu.
func (s *session) expires(at time.Time) {
	if at.IsZero() {
		return
	}
	if s.soonest.IsZero() || at.Before(s.soonest) {
		s.soonest = at
	}
	if !s.b.expiring.Load() {
		s.b.expiring.Store(true)
	}
}

// dropExpired drops the messages of the queue that have expired by now [MQTT-3.3.2-5]. The
// caller holds mu.
func (s *session) dropExpired(now time.Time) {
	soonest := s.soonest
	s.soonest = time.Time{}
	if now.Before(soonest) {
		s.expires(soonest)
		return
	}
	if soonest.IsZero() {
		return
	}
	s.queue.filter(func(p *pending) bool {
		if p.msg.Expired(now) {
			s.lose(p, router.Expired, expired)
			return false
		}
		s.expires(p.msg.Expires)
		return true
	})
}

// lapse takes a session off the disk that is to end with its connection: after a crash it
// must not be there again [MQTT5 4.1.0-2]. What is written later for one of its messages
// would be there without it, and come to a later session. The caller holds mu.
func (s *session) lapse() {
	if s.stored == 0 {
		return
	}
	s.b.forgetSession(s)
	for _, p := range s.queue.items[s.queue.head:] {
		p.unkept()
	}
	s.window.each(func(_ uint16, p *pending) { p.unkept() })
}

// unkept ends what hold began, for a message that still waits: nobody is promised any more
// that it is on disk. The caller holds s.mu.
func (p *pending) unkept() {
	p.disk = notKept
	if r := p.receipt; r != nil {
		p.receipt = nil
		r.Done()
	}
}
