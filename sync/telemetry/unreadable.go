package telemetry

import (
	"context"
	"fmt"

	"greengate/core/sqlite"
)

// DiscardUnreadable deletes what cannot be read for want of a key, both what waits and what
// is in quarantine, and returns how many that were: for when the key is lost. What has
// waited is settled as dropped, ReasonUnreadable.
func (s *Spool) DiscardUnreadable(ctx context.Context) (n int, err error) {
	for lane := range lanes {
		for after, more := int64(0), true; more; {
			gone, last, err := s.discardAfter(ctx, lane, after)
			if err != nil {
				return n, fmt.Errorf("delete what cannot be read: %w", err)
			}
			more, after = last > after, last
			if n += gone; gone > 0 {
				s.leaving.flush(patience) // before there are more: all of them stand in one commit
			}
		}
	}
	more, err := s.Discard(ctx, func(r Record) bool { return r.Locked != "" })
	if err == nil {
		err = s.o.DB.View(ctx, s.keys.count)
	}
	return n + more, err
}

// discardAfter looks at some rows of a lane after one. last is the last of them.
func (s *Spool) discardAfter(ctx context.Context, lane laneID, after int64) (gone int, last int64, err error) {
	last = after
	var items []*item
	err = s.view(ctx, func(tx *sqlite.Tx) (err error) {
		items, err = s.items(tx, lane, after, listRows)
		return err
	}, func() {
		for _, it := range items {
			last = it.seq
			if _, held := s.held[it.seq]; held || it.locked == "" {
				continue
			}
			s.held[it.seq] = taken
			s.leaving.add(leave{it.seq, lane, it.size(), "", end{s.routeByID(it.routeID), Dropped, ReasonUnreadable}})
			gone++
		}
	})
	return gone, last, err
}
