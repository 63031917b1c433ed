package endpoint

import (
	"context"
	"sync"
	"time"
)

// pacer makes those wait who ask for more than MaxRate in a second, so that an
// instance that floods its door costs the gateway little. Safe for concurrent
// use.
type pacer struct {
	mu   sync.Mutex
	free time.Time // when the next request is due; as much as a second ago after a pause
}

// wait waits until a request is due or the context ends, and tells whether it
// had to.
func (p *pacer) wait(ctx context.Context) (waited bool) {
	p.mu.Lock()
	now := time.Now()
	if burst := now.Add(-time.Second); p.free.Before(burst) {
		p.free = burst
	}
	p.free = p.free.Add(time.Second / MaxRate)
	delay := p.free.Sub(now)
	p.mu.Unlock()
	if delay <= 0 {
		return false
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return true
}
