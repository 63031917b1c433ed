package broker

import (
	"sync"
	"time"

	"greengate/core/message"
	"greengate/core/router"
)

// Bounds of the retained messages.
const (
	maxRetained      = 10_000
	maxRetainedBytes = 32 << 20
)

// share is a bound in bytes, of a process that may have so many times more of memory, if
// that is limited: else the kernel would end it before it meets the bound, and again when
// it has read from the disk what waited.
func share(bound, ofMemory int64) int64 {
	if ofMemory > 0 {
		return min(bound, ofMemory)
	}
	return bound
}

// Reasons that the broker gives for what it does not keep.
const (
	retainedFull router.Reason = "retained-full"
)

// retained are the messages that wait for those who subscribe later. Each was
// allowed by a row when it came; whether it may go to a subscriber is judged
// when that one subscribes.
type retained struct {
	mu    sync.RWMutex
	tree  tree[kept]
	bytes int
	most  int // bytes; 0: no bound, while those of a former process are read
}

// kept is one retained message and when it came, by the clock of the machine;
// zero: not known.
type kept struct {
	*message.Message
	stored time.Time
}

// keep stores m for its topic in place of the one before; an empty payload
// takes it out [MQTT-3.3.1-6, -7]. It tells whether there was room; when there was not,
// the one before is gone too, for it is no more the last.
func (r *retained) keep(m *message.Message, stored time.Time) (ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, existed := r.tree.get(m.Topic, "")
	size := 0
	if existed {
		size = sizeOf(old.Message)
	}
	if len(m.Payload) == 0 {
		r.tree.remove(m.Topic, "")
		r.bytes -= size
		return true
	}
	if !existed && r.tree.count >= maxRetained || r.most > 0 && r.bytes-size+sizeOf(m) > r.most {
		if r.tree.remove(m.Topic, "") {
			r.bytes -= size
		}
		return false
	}
	k := m.Keep()
	r.tree.put(k.Topic, "", kept{k, stored})
	r.bytes += sizeOf(k) - size
	return true
}

// matching returns the messages for a new subscription, without those whose
// time has run out, which go for good.
func (r *retained) matching(filter string) (found []*message.Message) {
	now := time.Now()
	stale := false
	r.mu.RLock()
	r.tree.matching(filter, func(k kept) {
		if k.Expired(now) {
			stale = true
			return
		}
		found = append(found, k.Message)
	})
	r.mu.RUnlock()
	if stale {
		r.expire(now)
	}
	return found
}

func (r *retained) expire(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var gone []*message.Message
	r.tree.matching("#", func(k kept) {
		if k.Expired(now) {
			gone = append(gone, k.Message)
		}
	})
	for _, m := range gone {
		r.tree.remove(m.Topic, "")
		r.bytes -= sizeOf(m)
	}
}

// sizeOf is what a kept message costs, in bytes, near enough for a bound.
func sizeOf(m *message.Message) int { return len(m.Topic) + len(m.Payload) + 200 }
