package cloud

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// answerTime is after which a shadow request counts as answered when the answer
// was not seen, for nobody need have subscribed to it. AWS takes some 50 ms.
const answerTime = time.Second

// shadows keeps AWS's limits on the shadow requests of one thing: how many are
// in flight (HTTP 429 beyond) and how many a second.
type shadows struct {
	flight, rate int
	waited       *atomic.Uint64 // counts the requests that did

	mu     sync.Mutex
	things map[string]*requests
}

type requests struct {
	rate bucket
	open []time.Time // when each was sent, oldest first
	free chan struct{}
}

func newShadows(flight, rate int, waited *atomic.Uint64) *shadows {
	return &shadows{flight: flight, rate: rate, waited: waited, things: make(map[string]*requests)}
}

// admit waits until a publish on that topic keeps the limits. Topics that are no
// shadow requests do not wait.
func (s *shadows) admit(ctx context.Context, dead <-chan struct{}, topic string) error {
	if thing, ok := shadowRequest(topic); ok {
		return s.admitThing(ctx, dead, thing)
	}
	return nil
}

// admitThing waits until one more request of a thing keeps the limits.
func (s *shadows) admitThing(ctx context.Context, dead <-chan struct{}, thing string) error {
	for first := true; ; first = false {
		wait, free := s.take(thing)
		if wait == 0 {
			return nil
		}
		if first {
			s.waited.Add(1)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-free:
		case <-dead:
			t.Stop()
			return ErrOffline
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		t.Stop()
	}
}

// take enters a request, or says how long to wait at most before asking again.
func (s *shadows) take(thing string) (time.Duration, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	r := s.things[thing]
	if r == nil {
		s.forget(now)
		r = &requests{rate: newBucket(float64(s.rate)), free: make(chan struct{}, 1)}
		s.things[thing] = r
	}
	r.expire(now)
	if len(r.open) >= s.flight {
		return max(r.open[0].Add(answerTime).Sub(now), time.Microsecond), r.free
	}
	if wait := r.rate.wait(now, 1); wait > 0 {
		return wait, nil
	}
	r.rate.level--
	r.open = append(r.open, now)
	return 0, nil
}

func (r *requests) expire(now time.Time) {
	for len(r.open) > 0 && now.Sub(r.open[0]) >= answerTime {
		r.open = r.open[1:]
	}
}

// forget drops the things without recent requests, so that the map does not
// grow with all that ever asked.
func (s *shadows) forget(now time.Time) {
	for thing, r := range s.things {
		if r.expire(now); len(r.open) == 0 && r.rate.wait(now, r.rate.size) == 0 {
			delete(s.things, thing)
		}
	}
}

// heard takes account of a message of the cloud, and reports whether it is taken
// for the answer to a request.
func (s *shadows) heard(topic string) bool {
	request, ok := strings.CutSuffix(topic, "/accepted")
	if !ok {
		request, ok = strings.CutSuffix(topic, "/rejected")
	}
	if !ok {
		return false
	}
	thing, ok := shadowRequest(request)
	return ok && s.answered(thing)
}

// answered ends the oldest request of a thing, and reports whether there was one.
func (s *shadows) answered(thing string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.things[thing]
	if r == nil {
		return false
	}
	if r.expire(time.Now()); len(r.open) == 0 {
		return false
	}
	r.open = r.open[1:]
	select {
	case r.free <- struct{}{}:
	default:
	}
	return true
}

// shadowRequest returns the thing of `$aws/things/THING/shadow/OP` and
// `$aws/things/THING/shadow/name/NAME/OP`.
func shadowRequest(topic string) (thing string, ok bool) {
	rest, ok := strings.CutPrefix(topic, "$aws/things/")
	if !ok {
		return "", false
	}
	thing, rest, _ = strings.Cut(rest, "/")
	rest, ok = strings.CutPrefix(rest, "shadow/")
	if !ok {
		return "", false
	}
	if name, found := strings.CutPrefix(rest, "name/"); found {
		_, rest, _ = strings.Cut(name, "/")
	}
	return thing, rest == "get" || rest == "update" || rest == "delete"
}
