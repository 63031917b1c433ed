package telemetry

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// flight is one publish on its way: a message, or a batch of one stream.
type flight struct {
	items  []*item
	array  bool // the payload is a JSON array, also of one
	at     time.Time
	proven bool // the connection had taken something before
}

// cut is what is known of a message that was in flight when the connection ended.
type cut struct {
	n      int // connections that ended so
	blame  int
	single bool // not in a batch any more: the batch that it was in was refused
}

// A message that the cloud answers by closing the connection must not keep the others
// from it. One that was in flight at suspectAfter ends of the connection is sent alone
// from then on, so that the blame is its own. It counts only if the connection ends
// soon, which a dead link does not, and little if this connection has not proven that
// it takes other messages.
const (
	suspectAfter  = 2
	soon          = 5 * time.Second
	blameProven   = 10
	blameUnproven = 1
	blameLimit    = 50  // 5 proven ends
	otherMessages = 100 // before one that has been blamed is tried again
	maxCuts       = 10000
)

// takeOff notes that f is sent now, and returns the context for that.
func (u *uploader) takeOff(f *flight) context.Context {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	f.at, f.proven = time.Now(), u.acked > 0
	u.flights[f] = struct{}{}
	u.unsettled += len(f.items)
	return u.calls
}

// firstFlight returns when the first of those in flight was sent; zero: none is. The
// caller holds s.mu.
func (u *uploader) firstFlight() (first time.Time) {
	for f := range u.flights {
		if first.IsZero() || f.at.Before(first) {
			first = f.at
		}
	}
	return first
}

// landed notes that f is not in flight any more. The caller holds s.mu.
func (u *uploader) landed(f *flight) {
	delete(u.flights, f)
	u.unsettled -= len(f.items)
	if u.alone == f {
		u.alone = nil
	}
}

// finish is told by the link how a flight ended.
func (u *uploader) finish(f *flight, err error) {
	var never *Never
	switch {
	case err == nil:
		u.s.at(pointAcknowledged)
		u.acknowledge(f)
		u.s.intake.spare()
	case errors.As(err, &never):
		u.s.mu.Lock()
		u.landed(f)
		u.s.mu.Unlock()
		u.refuse(f, never.Error())
	case errors.Is(err, ErrLost):
		u.lose(f)
	default:
		u.rewind(f)
		u.backOff(err)
	}
	u.s.wake()
}

func (u *uploader) acknowledge(f *flight) {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	u.landed(f)
	u.s.intake.took(time.Since(f.at))
	u.acked += len(f.items)
	if !time.Now().Before(u.until) {
		u.pause, u.refusal = 0, nil
	}
	rewound, ok := u.rewound[f.items[0].stream()]
	for _, it := range f.items {
		if ok && it.seq > rewound {
			u.s.stats.resent.Add(1)
			continue // one before it is still to come, and this one after it
		}
		u.give(it, Sent, "", "")
	}
}

// refuse has a message go to quarantine, or a batch be taken apart.
func (u *uploader) refuse(f *flight, cause string) {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	if u.alone == f {
		u.alone = nil
	}
	if len(f.items) == 1 {
		u.give(f.items[0], Quarantined, ReasonQuarantine, cause)
		return
	}
	for _, it := range f.items {
		u.cut(it).single = true
	}
	u.again = true
}

// lose takes back what may or may not have arrived.
func (u *uploader) lose(f *flight) {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	alone := u.alone == f
	u.landed(f)
	u.comesBack()
	u.s.stats.resent.Add(uint64(len(f.items)))
	for _, it := range f.items {
		c := u.cut(it)
		c.n++
		if !alone || len(f.items) > 1 || time.Since(f.at) > soon {
			continue
		}
		if f.proven {
			c.blame += blameProven
		} else {
			c.blame += blameUnproven
		}
		if c.blame >= blameLimit {
			u.give(it, Quarantined, ReasonQuarantine,
				fmt.Sprintf("the cloud closed the connection each time it was sent alone, and %d times in all", c.n))
		}
	}
}

// rewind takes back what the cloud refused for now, and what of the same stream is in
// flight behind it, whatever becomes of that.
func (u *uploader) rewind(f *flight) {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	u.landed(f)
	u.comesBack()
	u.s.stats.throttled.Add(uint64(len(f.items)))
	first, stream := f.items[0].seq, f.items[0].stream()
	if r, ok := u.rewound[stream]; !ok || first < r {
		u.rewound[stream] = first
	}
}

// cut returns the record of a message. The caller holds s.mu.
func (u *uploader) cut(it *item) *cut {
	c := u.cuts[it.seq]
	if c == nil {
		c = &cut{}
		u.cuts[it.seq] = c
	}
	return c
}

// suspect returns the message that is to be sent alone next: the first one, but after
// those that have not been blamed yet. The caller holds s.mu.
func (u *uploader) suspect() (blamed *item) {
	if len(u.cuts) == 0 {
		return nil
	}
	var behind map[streamKey]bool // one that has been blamed
	for _, q := range u.queues {
		for _, it := range q.items {
			c := u.cuts[it.seq]
			switch {
			case c == nil || c.n < suspectAfter || behind[it.stream()]:
			case c.blame == 0:
				return it
			default:
				if blamed == nil {
					blamed, behind = it, map[streamKey]bool{}
				}
				behind[it.stream()] = true
			}
		}
	}
	return blamed
}
