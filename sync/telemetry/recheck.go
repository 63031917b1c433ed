package telemetry

import (
	"context"
	"slices"

	"greengate/core/sqlite"
)

// What waits goes up only while it stands: see Options.Stands. The uploader asks of each
// message before it is sent, whatever has happened meanwhile. Besides, all that waits is
// looked at after a start and after each Recheck, so that what does not stand leaves,
// counted, while there is no cloud, and takes no room from others.

// recheckRows is how many rows are looked at together.
const recheckRows = 1024

// Recheck has all that waits looked at, since a reload may have taken its row. It does not
// wait for that. What does not stand is dropped: ReasonNoRow.
func (s *Spool) Recheck() {
	s.mu.Lock()
	s.up.recheck = true
	s.mu.Unlock()
	select {
	case s.judge <- struct{}{}:
	default:
	}
	s.wake()
}

// drop has those rows leave that do not stand and that nobody has in hand.
func (s *Spool) drop(ctx context.Context) {
	// What was staged under the old table is to be there. What a disk that fails takes
	// later is judged when it is to be sent.
	s.intake.hurry()
	if s.o.DB.Update(ctx, func(*sqlite.Tx) error { return nil }) != nil {
		return
	}
	n := 0
	for lane := range lanes {
		for after, more := int64(0), true; more; {
			dropped, last, err := s.dropAfter(ctx, lane, after)
			if err != nil {
				if ctx.Err() == nil {
					s.log.Error("The spool cannot be read", "err", err)
				}
				return
			}
			more, after = last > after, last
			if n += dropped; dropped > 0 {
				s.leaving.flush(patience) // before there are more: all of them stand in one commit
			}
		}
	}
	s.dropped(n)
}

// dropAfter looks at some rows of a lane after one. last is the last of them.
func (s *Spool) dropAfter(ctx context.Context, lane laneID, after int64) (dropped int, last int64, err error) {
	last = after
	var fallen []*item
	err = s.view(ctx, func(tx *sqlite.Tx) error {
		items, err := s.items(tx, lane, after, recheckRows)
		for _, it := range items {
			if last = it.seq; it.readable() && !s.o.Stands(it.source, it.topic) {
				fallen = append(fallen, it)
			}
		}
		return err
	}, func() {
		for _, it := range fallen {
			if _, held := s.held[it.seq]; held {
				continue // the uploader sees to it
			}
			s.held[it.seq] = taken
			s.leaving.add(leave{it.seq, lane, it.size(), "", end{s.routeByID(it.routeID), Dropped, ReasonNoRow}})
			dropped++
		}
	})
	return dropped, last, err
}

// dropped says so.
func (s *Spool) dropped(n int) {
	if n > 0 {
		s.log.Warn("Messages are dropped that no row leads to the cloud any more", "reason", string(ReasonNoRow), "messages", n)
	}
}

// recheckQueues drops what was read ahead and does not stand any more.
func (u *uploader) recheckQueues() {
	s := u.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !u.recheck {
		return
	}
	u.recheck = false
	n := 0
	fallen := func(it *item) bool {
		over := u.fallen(it)
		if over {
			n++
		}
		return over
	}
	for _, q := range u.queues {
		q.items, q.live.items = slices.DeleteFunc(q.items, fallen), slices.DeleteFunc(q.live.items, fallen)
	}
	s.dropped(n)
}

// fallen tells whether an item does not stand any more, and has it leave then. The caller
// holds s.mu.
func (u *uploader) fallen(it *item) bool {
	if u.s.o.Stands(it.source, it.topic) {
		return false
	}
	u.give(it, Dropped, ReasonNoRow, "")
	return true
}
