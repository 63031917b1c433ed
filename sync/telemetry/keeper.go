package telemetry

import (
	"context"
	"time"

	"greengate/core/sqlite"
)

const (
	keepEvery  = time.Second
	sweepEvery = 5 // ticks
	sweepRows  = 2500
)

// keep does what is due by time: it looks at the clocks, counts rates, and has the
// messages leave whose time has run out while they wait.
func (s *Spool) keep(ctx context.Context) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	var swept [lanes]int64
	for n := 1; ; n++ {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		s.stats.tick()
		if s.clock.look() {
			s.log.Info("The right time has come; stamps of this boot are corrected")
			if err := s.o.DB.Update(ctx, s.clock.save); err != nil && ctx.Err() == nil {
				s.log.Error("The right time of this boot could not be kept", "err", err)
			}
		}
		if n%sweepEvery != 0 {
			continue
		}
		for lane := range lanes {
			if err := s.sweep(ctx, lane, &swept[lane]); err != nil && ctx.Err() == nil {
				s.log.Error("The spool cannot be read", "err", err)
			}
		}
	}
}

// sweep has the expired rows leave: as many as there are at the head of the lane, and
// those of the part that comes after *from, which moves on and begins again at the end.
// So each row is met, soon where all have the same time, later where they have not, at
// the cost of a fixed number of rows.
func (s *Spool) sweep(ctx context.Context, lane laneID, from *int64) error {
	for head := int64(0); ; {
		seen, gone, last, err := s.expire(ctx, lane, head)
		if err != nil {
			return err
		}
		if head = last; seen < sweepRows || gone < seen {
			*from = max(*from, head)
			break
		}
	}
	seen, _, last, err := s.expire(ctx, lane, *from)
	if *from = last; seen < sweepRows {
		*from = 0
	}
	return err
}

// expire looks at one piece of a lane.
func (s *Spool) expire(ctx context.Context, lane laneID, after int64) (seen, gone int, last int64, err error) {
	type row struct {
		seq, route, size int64
	}
	var expired []row
	last = after
	err = s.view(ctx, func(tx *sqlite.Tx) error {
		rows, err := tx.Query(lane.sql().ages, after, sweepRows)
		if err != nil {
			return err
		}
		for rows.Next() {
			var r row
			var mono, wall, ttl int64
			var flags int
			if err := rows.Scan(&r.seq, &r.route, &mono, &wall, &ttl, &flags, &r.size); err != nil {
				return err
			}
			seen, last = seen+1, r.seq
			if s.expired(r.seq, mono, wall, ttl, flags) {
				expired = append(expired, r)
			}
		}
		return rows.Err()
	}, func() {
		for _, r := range expired {
			if _, held := s.held[r.seq]; held {
				continue // the uploader will see
			}
			s.held[r.seq] = taken
			s.leaving.add(leave{r.seq, lane, r.size, "", end{s.routeByID(r.route), Expired, ReasonTTL}})
		}
	})
	return seen, len(expired), last, err
}
