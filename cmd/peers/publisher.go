package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// maxBatch is how many messages a publisher writes at once, at most.
	maxBatch = 16
	// stamp is what each payload begins with: the index of its publisher (4
	// bytes), its number, and when it was sent in ns (8 each).
	stamp = 20
	// settling is how long the last messages may take when a load ends.
	settling = 5 * time.Second
)

// publisher is one that publishes. Its goroutine owns it, but for acked and room.
type publisher struct {
	*client
	index   int
	topic   string
	streams []*stream // to each subscriber that hears it
	acked   atomic.Uint64
	room    chan struct{} // holds a token when something has arrived or was acknowledged
	sent    uint64
}

// arrived is up to which message all subscribers have got there, and the server
// has acknowledged.
func (p *publisher) arrived(qos byte) uint64 {
	n := p.sent
	for _, s := range p.streams {
		n = min(n, s.reached.Load())
	}
	if qos > 0 {
		n = min(n, p.acked.Load())
	}
	return n
}

// risen tells the publisher that there may be room.
func (p *publisher) risen() {
	select {
	case p.room <- struct{}{}:
	default:
	}
}

// publish sends until the load stops, and then waits until all has arrived. What
// does not is no error: it is counted.
func (r *loadRun) publish(ctx context.Context, p *publisher) {
	payload := make([]byte, r.size)
	for i := range payload {
		payload[i] = 'a' + byte(i%26)
	}
	binary.BigEndian.PutUint32(payload, uint32(p.index))
	b := make([]byte, 0, maxBatch*(r.size+64))
	due := r.windowed
	if r.rate > 0 {
		due = r.paced(p)
	}
	for {
		n := due(ctx, p)
		if n == 0 {
			break
		}
		binary.BigEndian.PutUint64(payload[12:], uint64(time.Since(r.began)))
		b = b[:0]
		for range n {
			binary.BigEndian.PutUint64(payload[4:], p.sent)
			b = appendPublish(b, p.topic, r.qos, uint16(p.sent%65535+1), payload)
			p.sent++
		}
		if _, err := p.Write(b); err != nil {
			r.fail(fmt.Errorf("publish on %s: %w", p.topic, err))
			return
		}
	}
	settled, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	for p.arrived(r.qos) < p.sent && settled.Err() == nil {
		select {
		case <-p.room:
		case <-settled.Done():
		}
	}
}

// windowed waits until the window has room and returns for how many messages; 0
// when the load stops.
func (r *loadRun) windowed(ctx context.Context, p *publisher) int {
	for {
		select {
		case <-r.stop:
			return 0
		case <-ctx.Done():
			return 0
		default:
		}
		if room := r.window - (p.sent - p.arrived(r.qos)); room > 0 {
			return int(min(room, maxBatch))
		}
		select {
		case <-p.room:
		case <-r.stop:
		case <-ctx.Done():
		}
	}
}

// paced waits until p has a message to send by the clock, and returns how many
// are due: more than one when it was woken late. The publishers take turns.
func (r *loadRun) paced(p *publisher) func(context.Context, *publisher) int {
	each := time.Duration(float64(r.publishers) / r.rate * float64(time.Second))
	began := time.Now().Add(each * time.Duration(p.index) / time.Duration(r.publishers))
	timer := time.NewTimer(0)
	return func(ctx context.Context, _ *publisher) int {
		for {
			wait := time.Until(began.Add(time.Duration(p.sent) * each))
			if wait <= 0 {
				select {
				case <-r.stop:
					return 0
				default:
				}
				return int(min(-wait/each+1, maxBatch))
			}
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-r.stop:
				return 0
			case <-ctx.Done():
				return 0
			}
		}
	}
}

// takeAcks counts the PUBACKs of p until its connection ends.
func (r *loadRun) takeAcks(ctx context.Context, p *publisher) {
	var acked uint64
	for {
		first, _, err := p.next()
		if err != nil {
			if ctx.Err() == nil {
				r.fail(fmt.Errorf("read the acknowledgements on %s: %w", p.topic, err))
			}
			return
		}
		if first == puback {
			acked++
		}
		if p.r.Buffered() == 0 {
			p.acked.Store(acked)
			p.risen()
		}
	}
}
