package telemetry

import (
	"context"
	"time"

	"greengate/core/sqlite"
)

const (
	keepEvery = 5 * time.Second
	sweepRows = 2500 // that are looked at together
)

// keep does what is due by time: it looks at the clocks, counts rates, and has the
// messages leave whose time has run out while they wait, or that do not stand any more. It
// looks for keys that are missing.
func (s *Spool) keep(ctx context.Context) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	var sweeps [lanes]sweep
	for {
		select {
		case <-ticker.C:
		case <-s.judge:
			s.drop(ctx)
			continue
		case <-ctx.Done():
			return
		}
		s.stats.tick()
		s.keys.tend(ctx)
		if s.clock.look() {
			s.log.Info("The right time has come; stamps of this boot are corrected")
			if err := s.o.DB.Update(ctx, s.clock.save); err != nil && ctx.Err() == nil {
				s.log.Error("The right time of this boot could not be kept", "err", err)
			}
		}
		for lane := range lanes {
			if err := s.sweep(ctx, lane, &sweeps[lane]); err != nil && ctx.Err() == nil {
				s.log.Error("The spool cannot be read", "err", err)
			}
		}
	}
}

// sweep is how far the look for expired rows has come in a lane.
type sweep struct {
	from  int64
	timed bool // this round has met a row with a time to live
}

// piece is what one look at a part of a lane has found.
type piece struct {
	seen, timed, expired int
	last                 int64
}

// sweep has the expired rows leave: as many as there are at the head of the lane, and
// those of a part that moves on and begins again at the end. So each row is met, soon
// where all have the same time to live, later where they have not, at the cost of a fixed
// number of rows.
func (s *Spool) sweep(ctx context.Context, lane laneID, w *sweep) error {
	s.mu.Lock()
	idle := !s.timed[lane] || s.waiting[lane].messages == 0
	if w.from == 0 && !idle {
		s.timed[lane], w.timed = false, false // until a row or a new message says otherwise
	}
	s.mu.Unlock()
	if idle {
		return nil
	}
	for head := int64(0); ; {
		p, err := s.expire(ctx, lane, head)
		if err != nil {
			return err
		}
		w.timed = w.timed || p.timed > 0
		head = p.last
		if p.seen < sweepRows || p.expired < p.seen {
			w.from = max(w.from, head)
			break
		}
	}
	p, err := s.expire(ctx, lane, w.from)
	w.from, w.timed = p.last, w.timed || p.timed > 0
	if p.seen < sweepRows {
		w.from = 0
	}
	s.mu.Lock()
	s.timed[lane] = s.timed[lane] || w.timed || w.from > 0
	s.mu.Unlock()
	return err
}

// expire looks at the rows of a lane after one.
func (s *Spool) expire(ctx context.Context, lane laneID, after int64) (p piece, err error) {
	type lapsed struct{ seq, route, size int64 }
	var expired []lapsed
	p.last = after
	err = s.view(ctx, func(tx *sqlite.Tx) (err error) {
		p.seen, err = heads(tx, lane, after, sweepRows, func(seq int64, h *head, size int64) {
			p.last = seq
			if h.ttl > 0 {
				p.timed++
			}
			if s.expired(seq, h.mono, h.wall, h.ttl, h.flags) {
				expired = append(expired, lapsed{seq, h.route, size})
			}
		})
		return err
	}, func() {
		for _, r := range expired {
			if _, held := s.held[r.seq]; held {
				continue // the uploader will see
			}
			s.held[r.seq] = taken
			s.leaving.add(leave{r.seq, lane, r.size, "", end{s.routeByID(r.route), Expired, ReasonTTL}})
		}
	})
	if p.expired = len(expired); p.expired > 0 {
		s.at(pointLapsed)
	}
	return p, err
}
