package broker

import (
	"sync"
	"time"

	"greengate/core/message"
	"greengate/core/router"
)

// Reasons that the broker gives for what it does not keep.
const (
	retainedFull router.Reason = "retained-full"
)

// retained are the messages that wait for those who subscribe later. Each was
// allowed by a row when it came; whether it may go to a subscriber is judged
// when that one subscribes.
type retained struct {
	most  int    // bytes
	store *store // nil: memory only, or they are being read from there

	// mu is held while a change is handed to the store, so that the disk gets the changes in
	// the order of the memory; nobody waits for the disk under it.
	mu    sync.RWMutex
	tree  tree[kept]
	bytes int // without the tree
	// No message expires before soonest, as far as is known; zero: none does.
	soonest time.Time
	sought  time.Time // when expired ones were last looked for, to make room
}

// kept is one retained message and when it came, by the clock of the machine;
// zero: not known.
type kept struct {
	*message.Message
	stored time.Time
}

// keep stores m for its topic in place of the one before; an empty payload
// takes it out [MQTT-3.3.1-6, -7]. It tells whether there was room; when there was not,
// the one before is gone too, for it is no more the last. done, if not nil, is called when
// the change is on disk.
func (r *retained) keep(m *message.Message, stored time.Time, done func()) (ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	empty := len(m.Payload) == 0
	if !empty && (r.put(m, stored) || r.expire(stored) && r.put(m, stored)) {
		r.store.retain(m.Keep(), stored, done)
		return true
	}
	r.remove(m.Topic)
	r.store.unretain(m.Topic, m.Source, done)
	return empty
}

// put stores m in place of the one before, if there is room. The caller holds mu.
func (r *retained) put(m *message.Message, stored time.Time) (ok bool) {
	growth := sizeOf(m)
	old, existed := r.tree.get(m.Topic, "")
	if existed {
		growth -= sizeOf(old.Message)
	}
	if !existed && r.tree.count >= maxRetained || r.tree.bytes+r.bytes+growth > r.most {
		return false
	}
	k := m.Keep()
	r.tree.put(k.Topic, "", kept{k, stored})
	if r.bytes += growth; r.tree.bytes+r.bytes > r.most { // by its levels
		r.remove(k.Topic)
		return false
	}
	if e := m.Expires; !e.IsZero() && (r.soonest.IsZero() || e.Before(r.soonest)) {
		r.soonest = e
	}
	return true
}

// remove takes out the message of a topic, if there is one. The caller holds mu.
func (r *retained) remove(topic string) {
	if old, ok := r.tree.get(topic, ""); ok {
		r.tree.remove(topic, "")
		r.bytes -= sizeOf(old.Message)
	}
}

// has tells whether m is still the last message of its topic.
func (r *retained) has(m *message.Message) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.tree.get(m.Topic, "")
	return ok && k.Message == m
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
		r.mu.Lock()
		defer r.mu.Unlock()
		r.sought = time.Time{}
		r.expire(now)
	}
	return found
}

// soughtAgain is how often a full store is searched for messages whose time has run out.
const soughtAgain = time.Second

// expire takes out the messages whose time has run out, on disk too, and tells whether
// there were any. It searches all of them, but not when there can be none. The caller
// holds mu.
func (r *retained) expire(now time.Time) (found bool) {
	if r.soonest.IsZero() || now.Before(r.soonest) || now.Sub(r.sought) < soughtAgain {
		return false
	}
	r.sought, r.soonest = now, time.Time{}
	var gone []*message.Message
	r.tree.matching("#", func(k kept) {
		switch {
		case k.Expired(now):
			gone = append(gone, k.Message)
		case !k.Expires.IsZero() && (r.soonest.IsZero() || k.Expires.Before(r.soonest)):
			r.soonest = k.Expires
		}
	})
	for _, m := range gone {
		r.remove(m.Topic)
		r.store.unretain(m.Topic, m.Source, nil)
	}
	return len(gone) > 0
}
