package telemetry

import (
	"encoding/json"
	"slices"
	"time"
)

// choice is one search for what to send.
type choice struct {
	u       *uploader
	blocked map[streamKey]bool // a message of it has to go before
	due     time.Duration      // when to look again; 0: no time is known
}

// next takes what is to be sent now out of the queues. When there is nothing, due says
// when to look again.
func (u *uploader) next() (f *flight, due time.Duration) {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	if u.again || u.alone != nil {
		return nil, 0
	}
	c := choice{u: u}
	suspect := u.suspect()
	if suspect == nil {
		return c.any(), c.due
	}
	others := 1
	if u.cuts[suspect.seq].blame > 0 {
		others = otherMessages
	}
	if u.acked+len(u.flights) < others {
		c.blockSuspects()
		if f := c.any(); f != nil {
			return f, 0
		}
	}
	if len(u.flights) > 0 {
		return nil, 0
	}
	for _, q := range u.queues {
		if i := slices.Index(q.items, suspect); i >= 0 {
			q.items = slices.Delete(q.items, i, i+1)
		}
	}
	if u.s.expired(suspect.seq, suspect.mono, suspect.wall, suspect.ttl, suspect.flags) {
		u.give(suspect, Expired, ReasonTTL, "")
		return nil, time.Millisecond // there may be others
	}
	if u.fallen(suspect) {
		return nil, time.Millisecond
	}
	f = &flight{items: []*item{suspect}, array: u.batchable(suspect)}
	u.alone = f
	return f, 0
}

func (c *choice) block(it *item) {
	if c.blocked == nil {
		c.blocked = map[streamKey]bool{}
	}
	c.blocked[it.stream()] = true
}

func (c *choice) blockSuspects() {
	for _, q := range c.u.queues {
		for _, it := range q.items {
			if cut := c.u.cuts[it.seq]; cut != nil && cut.n >= suspectAfter {
				c.block(it)
			}
		}
	}
}

// The lanes in the order in which they are asked. A lane that waits gets one message
// of 8, or of 32, however much the ones before it have.
var (
	inOrder     = [lanes]laneID{0, 1, 2}
	normalFirst = [lanes]laneID{1, 0, 2}
	lowFirst    = [lanes]laneID{2, 0, 1}
)

func (u *uploader) order() [lanes]laneID {
	switch {
	case u.turn%32 == 31:
		return lowFirst
	case u.turn%8 == 7:
		return normalFirst
	}
	return inOrder
}

// any takes the next of all lanes.
func (c *choice) any() *flight {
	for _, lane := range c.u.order() {
		q := c.u.queues[lane]
		if len(q.items) == 0 && len(q.live.items) == 0 {
			continue
		}
		from := q.source()
		f := c.take(from, q)
		if f == nil && from == &q.live.items {
			f = c.take(&q.items, q)
		} else if f == nil {
			f = c.take(&q.live.items, q)
		}
		if f != nil {
			c.u.turn++
			return f
		}
	}
	return nil
}

// take takes the first of a read-ahead that may go.
func (c *choice) take(from *[]*item, q *queue) *flight {
	u := c.u
	full := filled(*from, u.s.o.Bounds.ReadAhead) // the others wait behind those that wait
	for i := 0; i < len(*from); i++ {
		it := (*from)[i]
		if u.s.expired(it.seq, it.mono, it.wall, it.ttl, it.flags) {
			*from = slices.Delete(*from, i, i+1)
			i--
			u.give(it, Expired, ReasonTTL, "")
			continue
		}
		if c.blocked[it.stream()] {
			continue
		}
		if u.fallen(it) {
			*from = slices.Delete(*from, i, i+1)
			i--
			continue
		}
		if !u.batchable(it) {
			*from = without(*from, i)
			return &flight{items: []*item{it}}
		}
		items, due := u.batch((*from)[i:], full)
		if due > 0 {
			c.block(it)
			if c.due == 0 || due < c.due {
				c.due = due
			}
			continue
		}
		gone := items
		*from = slices.DeleteFunc(*from, func(it *item) bool {
			if len(gone) > 0 && it == gone[0] {
				gone = gone[1:]
				return true
			}
			return false
		})
		return &flight{items: items, array: true}
	}
	return nil
}

// without is slices.Delete that does not move the rest for the first.
func without(items []*item, i int) []*item {
	if i == 0 {
		items[0] = nil
		return items[1:]
	}
	return slices.Delete(items, i, i+1)
}

// batchable reports whether a message may be in an array.
func (u *uploader) batchable(it *item) bool {
	return it.route.settings.Load().Batch.MaxSize > 0 && it.flags&flagRetain == 0 && it.properties == nil && json.Valid(it.payload)
}

// maxBatch bounds the messages of a batch: more would be more to send again.
const maxBatch = 100

// batch returns the first of items with those that can go together with it, or the
// time after which it goes with what there is.
func (u *uploader) batch(items []*item, now bool) (batch []*item, due time.Duration) {
	first := items[0]
	limits := first.route.settings.Load().Batch
	single := func(it *item) bool { c := u.cuts[it.seq]; return c != nil && (c.single || c.n > 0) }
	if single(first) {
		return []*item{first}, 0
	}
	size := 2 + len(first.payload)
	batch = append(batch, first)
	for _, it := range items[1:] {
		if it.source != first.source || it.topic != first.topic {
			continue
		}
		size += 1 + len(it.payload)
		if size > limits.MaxSize || len(batch) == maxBatch || it.route != first.route || single(it) || !u.batchable(it) {
			return batch, 0 // it is full, or must end here for the order
		}
		batch = append(batch, it)
	}
	age := u.s.clock.age(first.seq, first.mono, first.wall, first.flags)
	if age >= limits.MaxAge || now || size >= limits.MaxSize {
		return batch, 0
	}
	return batch, limits.MaxAge - age
}
