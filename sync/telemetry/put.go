package telemetry

import (
	"encoding/json"
	"time"

	"greengate/core/message"
)

// entry is a message on its way to the disk.
type entry struct {
	row        row
	route      *route
	stream     int64  // the hash of its source and topic
	want, lane laneID // by its route, and where its stream is
	seq        int64
	size       int64 // what it counts as in the statistics: bytes of topic and payload
	timed      bool  // it has a time to live
	stored     func(error)

	due  time.Time // when it is to be on the disk
	item *item     // in the uploader's hand before it was there; nil: it is not
	done bool      // the cloud had it when a function took it: it needs no row
	lost bool      // it found no room
}

// Put spools m, and returns without waiting for the disk. stored is called once, in
// the order of the calls of Put, when the message is on the disk, or the cloud has it
// (of which it may be told 100 ms later than the disk would take). A disk that fails is
// tried again until it works, and stored waits; it gets an error only when the gateway
// ends before. A message that a bound gives up has been dealt with: its stored gets nil.
// Options.Settled is told once what became of the message, in this run or a later one.
//
// Neither stored nor Settled may block or call Put. An error of Put means that
// nothing was taken: ErrBehind, ErrStopped, ErrNoKey, or what is wrong with the route.
func (s *Spool) Put(m *message.Message, r Route, stored func(error)) error {
	if s.keys.lacking.Load() {
		return ErrNoKey
	}
	s.mu.Lock()
	route, err := s.route(&r)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	h := head{route: route.id, ttl: ttl(r.TTL, m.Expires)}
	if m.Retain {
		h.flags |= flagRetain
	}
	var properties []byte
	if m.Properties != nil {
		if properties, err = json.Marshal(m.Properties); err != nil {
			return err
		}
	}
	source := m.Source.String()
	var synced bool
	if h.mono, h.wall, synced = s.clock.stamp(); synced {
		h.flags |= flagSynced
	}
	return s.intake.put(entry{
		row: newRow(source, m.Topic, properties, m.Payload, h), route: route, stream: s.keys.stream(source, m.Topic),
		want: laneOf[r.Priority], size: int64(len(m.Topic) + len(m.Payload)), timed: h.ttl > 0, stored: stored,
	})
}

// ttl is the shorter of both, in ms from now; 0 when there is none.
func ttl(ofRoute time.Duration, expires time.Time) int64 {
	ms := ofRoute.Milliseconds()
	if ofRoute > 0 {
		ms = max(1, ms)
	}
	if !expires.IsZero() {
		left := max(1, time.Until(expires).Milliseconds())
		if ms == 0 || left < ms {
			ms = left
		}
	}
	return ms
}

// weight is what a message takes in memory, and about what on the disk: size with all that
// the statistics leave out, the properties first of all.
func (e *entry) weight() int64 { return int64(len(e.row.bytes)) }

func (in *intake) put(e entry) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	b := &in.s.o.Bounds
	switch {
	case in.stopped:
		return ErrStopped
	case in.count >= b.Staged || in.bytes+e.weight() > b.StagedBytes && in.count > 0:
		in.s.stats.behind.Add(1)
		return ErrBehind
	}
	in.seq++
	e.seq = in.seq
	if in.waiting {
		e.due = time.Now().Add(hold)
	}
	in.staged = append(in.staged, e)
	in.count++
	in.bytes += e.weight()
	in.s.at(pointStaged)
	in.schedule()
	if in.waiting {
		in.s.wake()
	}
	return nil
}
