package functions

import (
	"encoding/json"
	"time"
)

// fits tells whether the payload can be an event of f. An empty one is the event {}, as in
// AWS Lambda.
func (f *function) fits(payload []byte) bool {
	return f.binary.Load() || len(payload) == 0 || json.Valid(payload)
}

// enqueue takes a call, which may end at once. An error says that it was not taken.
func (f *function) enqueue(c *call) error {
	c.unfit = !f.fits(c.payload)
	f.mu.Lock()
	defer f.unlock()
	switch f.phase {
	case leaving:
		return ErrNoFunction
	case stopping:
		return ErrStopped
	}
	if f.full(len(c.payload)) && f.c.Queue.WhenFull == DropNewest {
		f.close(c, end{verdict: Dropped, reason: ReasonNewest})
		return nil
	}
	if c.durable {
		if err := f.m.store.stage(c); err != nil {
			return err
		}
	}
	f.makeRoom(len(c.payload))
	f.waiting.pushBack(c)
	f.dispatch(time.Now())
	if c.list != nil {
		f.wakeBy(c.expires)
	}
	return nil
}

// full tells whether a call with a payload of n bytes finds no room. One alone always
// does. The caller holds f.mu.
func (f *function) full(n int) bool {
	calls, bytes := f.waiting.n+f.later.n, f.waiting.bytes+f.later.bytes
	return calls > 0 && (calls >= f.c.Queue.Max || bytes+int64(n) > f.c.Queue.MaxSize)
}

// makeRoom gives up the oldest calls: one for the number, so that a bound that a reload
// has lowered does not empty the queue at once. The caller holds f.mu.
func (f *function) makeRoom(n int) {
	for first := true; f.full(n); first = false {
		within := f.waiting.bytes+f.later.bytes+int64(n) <= f.c.Queue.MaxSize
		if !first && within {
			return
		}
		oldest := f.later.first
		if oldest == nil {
			oldest = f.waiting.first
		}
		f.close(oldest, end{verdict: Dropped, reason: ReasonOldest})
	}
}

// close ends a call. What is durable leaves the disk first. The caller holds f.mu.
func (f *function) close(c *call, e end) {
	if c.ended {
		return
	}
	c.remove()
	c.ended, c.end = true, e
	f.count(c)
	switch {
	case !c.durable || !c.stored && c.seq == 0: // no write has it
		f.told = append(f.told, c)
	case c.stored:
		f.m.store.remove(c)
	}
	// Of a durable one that is not stored yet the write that has it takes care.
}

// take returns the next call to be made; nil: none can be now. The caller holds f.mu.
func (f *function) take(now time.Time) *call {
	if f.c.Pinned && f.later.n > 0 {
		return nil // the order holds for what is tried again
	}
	for c := f.waiting.first; c != nil; {
		next := c.next
		switch {
		case c.expired(now):
			f.close(c, end{verdict: Expired, reason: ReasonTTL})
		case c.durable && !c.stored:
			// A disk that fails must not keep the other calls of a pinned function.
			if f.c.Pinned && !f.m.store.failing.Load() {
				return nil
			}
		case c.damaged:
			f.close(c, damaged)
		case !c.stands(): // it was being tried, or on its way here, when the table changed
			f.close(c, rowGone)
		case c.unfit:
			f.close(c, f.giveUp(c, ReasonNotJSON, Failure{Type: "Runtime.MarshalError", Message: "the payload is not JSON (encoding: binary passes it as it is)"}))
		default:
			c.remove()
			return c
		}
		c = next
	}
	return nil
}

// rowGone is the end of a call that no row lets pass any more.
var rowGone = end{verdict: Dropped, reason: ReasonNoRow}

// damaged is the end of a call that is not as it was written.
var damaged = end{verdict: Quarantined, reason: reasonDamaged, failure: Failure{Message: "the disk has damaged it: its checksum is wrong"}}

func (c *call) expired(now time.Time) bool { return !c.expires.IsZero() && !now.Before(c.expires) }

// giveUp is the end of a call that is not tried again.
func (f *function) giveUp(c *call, reason string, failure Failure) end {
	verdict := Failed
	if c.durable {
		verdict = Quarantined
	}
	return end{verdict: verdict, reason: reason, failure: failure}
}
