package cloud

import (
	"sync"
	"time"
)

// controlID is the packet id of SUBSCRIBE and UNSUBSCRIBE, of which one at a time
// waits for its answer. Publishes have all others.
const controlID = 0xFFFF

// flight is what is on its way in one connection: sent, and without PUBACK.
type flight struct {
	limit, limitBytes int

	mu       sync.Mutex
	sent     map[uint16]*sent
	order    []*sent // as sent; some may be answered already
	bytes    int
	last     uint16    // packet id
	answered time.Time // the last PUBACK
	closed   bool
	idle     chan struct{} // closed when nothing is left of a closed flight

	room chan struct{} // a token when something was answered; one waits for it
}

type sent struct {
	id    uint16
	bytes int
	done  func(error)
	at    time.Time
	// passed is when a later one was answered before this one; zero: not yet.
	passed time.Time
	over   bool
}

func newFlight(limit, limitBytes int) *flight {
	return &flight{limit: limit, limitBytes: limitBytes, sent: make(map[uint16]*sent),
		idle: make(chan struct{}), room: make(chan struct{}, 1)}
}

// fits reports whether one more of so many bytes may be sent. A large one may
// go alone.
func (f *flight) fits(bytes int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sent) == 0 || len(f.sent) < f.limit && f.bytes+bytes <= f.limitBytes
}

// add gives the next message its packet id and calls write with it, so that
// packets leave in the order of their ids. It reports false when the connection
// has ended; then done is not called, ever.
func (f *flight) add(bytes int, done func(error), write func(id uint16)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	for {
		f.last++
		if _, used := f.sent[f.last]; f.last != 0 && f.last != controlID && !used {
			break
		}
	}
	s := &sent{id: f.last, bytes: bytes, done: done, at: time.Now()}
	f.sent[s.id] = s
	f.order = append(f.order, s)
	f.bytes += bytes
	write(s.id)
	return true
}

// answer takes the message with that packet id out, and returns its done and how long
// it was on its way; nil when there is none, as after a PUBACK that comes twice.
func (f *flight) answer(id uint16) (done func(error), took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sent[id]
	if s == nil {
		return nil, 0
	}
	now := time.Now()
	delete(f.sent, id)
	f.bytes -= s.bytes
	f.answered, s.over = now, true
	if head := f.order[0]; head != s && head.passed.IsZero() {
		head.passed = now
	}
	for len(f.order) > 0 && f.order[0].over {
		f.order = f.order[1:]
	}
	if f.closed && len(f.sent) == 0 {
		close(f.idle)
	}
	select {
	case f.room <- struct{}{}:
	default:
	}
	return s.done, now.Sub(s.at)
}

// drain closes the flight to more. The channel is closed when all is answered.
func (f *flight) drain() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed && len(f.sent) == 0 {
		close(f.idle)
	}
	f.closed = true
	return f.idle
}

// stalls is when the oldest message must be called unanswered, if nothing
// comes: so long after the last sign of progress, or after a later one was
// answered in its place. ok is false when nothing is on its way. A slow link on
// which the PUBACKs drip does not stall.
func (f *flight) stalls(patience time.Duration) (at time.Time, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.order) == 0 {
		return time.Time{}, false
	}
	head := f.order[0]
	at = head.at
	if !head.passed.IsZero() {
		at = head.passed
	} else if f.answered.After(at) {
		at = f.answered
	}
	return at.Add(patience), true
}

func (f *flight) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sent)
}

// end closes the flight and tells all that is left, in the order sent.
func (f *flight) end(err error) {
	f.mu.Lock()
	f.closed = true
	left := f.order
	f.order, f.sent, f.bytes = nil, map[uint16]*sent{}, 0
	f.mu.Unlock()
	for _, s := range left {
		if !s.over {
			s.done(err)
		}
	}
}
