package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"greengate/core/message"
	"greengate/sync/telemetry"
)

// fate is what the cloud does with a publish.
type fate struct {
	lose   bool          // neither it nor what is sent after it on this connection arrives
	cut    bool          // the connection ends
	hold   bool          // no PUBACK while the connection lives
	late   time.Duration // the PUBACK comes so much later
	refuse error         // the PUBACK says no
}

// link is a strict stand-in for the connection and the cloud: it refuses what breaks
// the window, acknowledges after a round trip, and ends as the test says.
type link struct {
	t      testing.TB
	window int
	rtt    time.Duration
	redial time.Duration // until it connects again by itself; 0: not
	fate   func(p *telemetry.Publish, n int) fate
	check  func(topic string, payload int) error

	line     sync.Mutex // held while a connection ends or begins
	mu       sync.Mutex
	free     *sync.Cond
	up, dead bool
	changed  chan struct{}
	epoch    int
	unacked  map[int]func(error)
	sent     int
	most     int // unacknowledged at a time
	received []*telemetry.Publish
	acked    []int // which of those sent the cloud has acknowledged, by what fate was told of them
	cuts     int
}

func newLink(t testing.TB) *link {
	l := &link{t: t, window: 100, rtt: 20 * time.Millisecond, changed: make(chan struct{}), unacked: map[int]func(error){}}
	l.free = sync.NewCond(&l.mu)
	return l
}

func (l *link) Check(topic string, payload int) error {
	if l.check != nil {
		return l.check(topic, payload)
	}
	if payload > 128<<10 {
		return fmt.Errorf("a payload of %d bytes is more than the cloud takes", payload)
	}
	return nil
}

func (l *link) Connected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

func (l *link) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *link) set(up bool) {
	if l.up == up {
		return
	}
	l.up, l.dead = up, false
	l.epoch++
	close(l.changed)
	l.changed = make(chan struct{})
	l.free.Broadcast()
}

func (l *link) connect() {
	l.line.Lock()
	defer l.line.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set(true)
}

// die has nothing of what is sent from now on arrive on this connection.
func (l *link) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
}

// cut ends the connection: what is not acknowledged is lost, in any order.
func (l *link) cut() {
	l.line.Lock()
	defer l.line.Unlock()
	l.mu.Lock()
	if !l.up {
		l.mu.Unlock()
		return
	}
	l.cuts++
	l.set(false)
	lost := l.unacked
	l.unacked = map[int]func(error){}
	l.mu.Unlock()
	for _, done := range lost {
		done(fmt.Errorf("%w: reset by peer", telemetry.ErrLost))
	}
	if l.redial > 0 {
		time.AfterFunc(l.redial, l.connect)
	}
}

func (l *link) Send(ctx context.Context, p *telemetry.Publish, done func(error)) error {
	defer context.AfterFunc(ctx, func() { l.mu.Lock(); l.free.Broadcast(); l.mu.Unlock() })()
	l.mu.Lock()
	for l.up && len(l.unacked) >= l.window && ctx.Err() == nil {
		l.free.Wait()
	}
	if ctx.Err() != nil {
		l.mu.Unlock()
		return ctx.Err()
	}
	if !l.up {
		l.mu.Unlock()
		return telemetry.ErrOffline
	}
	l.sent++
	id, epoch := l.sent, l.epoch
	var f fate
	if l.fate != nil {
		f = l.fate(p, id)
	}
	l.dead = l.dead || f.lose
	if !l.dead && f.refuse == nil {
		l.received = append(l.received, p)
	}
	l.unacked[id] = done
	l.most = max(l.most, len(l.unacked))
	answers := !f.hold && !l.dead
	l.mu.Unlock()
	if f.cut {
		go l.cut()
		return nil
	}
	if answers {
		// PUBACKs come in order, unless they are late.
		time.AfterFunc(l.rtt+f.late+time.Duration(id)*time.Microsecond, func() { l.ack(id, epoch, f.refuse) })
	}
	return nil
}

func (l *link) ack(id, epoch int, err error) {
	l.mu.Lock()
	done := l.unacked[id]
	if epoch != l.epoch {
		done = nil // the connection of that PUBACK is gone
	}
	if done != nil {
		delete(l.unacked, id)
		l.free.Broadcast()
		if err == nil {
			l.acked = append(l.acked, id)
		}
	}
	l.mu.Unlock()
	if done != nil {
		done(err)
	}
}

// got returns what has arrived.
func (l *link) got() []*telemetry.Publish {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.received)
}

func (l *link) payloads() (texts []string) {
	for _, p := range l.got() {
		texts = append(texts, string(p.Payload))
	}
	return texts
}

// property returns a user property of a publish.
func property(p *telemetry.Publish, name string) string {
	if p.Properties == nil {
		return ""
	}
	i := slices.IndexFunc(p.Properties.User, func(u message.UserProperty) bool { return u.Name == name })
	if i < 0 {
		return ""
	}
	return p.Properties.User[i].Value
}

var errQuota = errors.New("quota exceeded (0x97)")
