package telemetry

import (
	"context"
	"errors"
	"slices"
	"time"

	"greengate/core/sqlite"
)

// leave is a row that is to leave the disk.
type leave struct {
	seq   int64
	lane  laneID
	size  int64
	cause string // of a quarantine
	end
}

// leaving removes rows, many in a group: at once when removeMany have gathered, else
// after a moment, since each commit costs the flash a write.
type leaving struct {
	s     *Spool
	rows  []leave // guarded by Spool.mu
	waits bool    // a function waits for its turn; guarded by Spool.mu
	timer *time.Timer
}

const (
	removeMany  = 100
	removeAfter = 100 * time.Millisecond
	retryRemove = time.Second // after a disk that failed
)

// add has rows leave. They are in hand, and stay so until they have left. The caller
// holds s.mu.
func (l *leaving) add(rows ...leave) {
	l.s.up.unsettled += len(rows)
	l.rows = append(l.rows, rows...)
	if len(l.rows) >= removeMany || slices.ContainsFunc(rows, func(r leave) bool { return r.verdict == Quarantined }) {
		l.schedule()
	} else {
		l.later(removeAfter)
	}
}

func (l *leaving) later(d time.Duration) {
	if l.timer != nil {
		return
	}
	l.timer = time.AfterFunc(d, func() {
		l.s.mu.Lock()
		defer l.s.mu.Unlock()
		l.timer = nil
		l.schedule()
	})
}

// schedule sees to it that a function waits for its turn. The caller holds s.mu.
func (l *leaving) schedule() {
	if l.waits || len(l.rows) == 0 {
		return
	}
	r := &removal{l: l}
	switch err := l.s.o.DB.TryWrite(r.run, r.done); {
	case err == nil:
		l.waits = true
	case !errors.Is(err, sqlite.ErrClosed):
		l.later(retryRemove)
	}
}

// flush waits until all has left, for a while.
func (l *leaving) flush(patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l.s.mu.Lock()
	l.schedule()
	l.s.mu.Unlock()
	// What was accepted before is done when this is. Its error is nothing to us:
	// what has not left is sent again.
	_ = l.s.o.DB.Update(ctx, func(*sqlite.Tx) error { return nil })
}

// removal is a function of the database that removes rows. See write for what that
// asks of it.
type removal struct {
	l    *leaving
	ran  bool
	rows []leave

	changes    [lanes]map[*route]count
	quarantine count // what is there afterwards
}

func (r *removal) run(tx *sqlite.Tx) (err error) {
	s := r.l.s
	tally := &s.intake.tally
	defer func() {
		if err != nil {
			tally.forget()
		}
	}()
	if r.ran {
		tally.forget()
	} else {
		s.mu.Lock()
		r.ran = true
		r.rows, r.l.rows = r.l.rows, nil
		r.l.waits = false
		s.mu.Unlock()
	}
	var gone [lanes][]int64
	for lane := range lanes {
		r.changes[lane] = map[*route]count{}
	}
	s.at(pointRemoving)
	if err := tally.begin(s, tx); err != nil {
		return err
	}
	isolated := false
	for i := range r.rows {
		row := &r.rows[i]
		if row.verdict == Quarantined {
			isolated = true
			if err := r.isolate(tx, row); err != nil {
				return err
			}
			s.at(pointIsolated)
		}
		n := r.changes[row.lane][row.route]
		n.add(count{-1, -row.size})
		r.changes[row.lane][row.route] = n
		gone[row.lane] = append(gone[row.lane], row.seq)
	}
	for lane := range lanes {
		if err := remove(tx, lane, gone[lane]); err != nil {
			return err
		}
	}
	if isolated {
		if err := r.bound(tx); err != nil {
			return err
		}
	}
	for lane := range lanes {
		for route, n := range r.changes[lane] {
			tally.add(lane, route, n)
		}
	}
	if err := tally.flush(tx); err != nil {
		return err
	}
	s.at(pointRemoved)
	return nil
}

// isolate puts a row into quarantine.
func (r *removal) isolate(tx *sqlite.Tx, row *leave) error {
	var head, body []byte
	if err := tx.QueryRow(row.lane.sql().one, row.seq).Scan(&head, &body); err != nil {
		if errors.Is(err, sqlite.ErrNoRows) {
			return nil
		}
		return err
	}
	it := newItem(row.seq, row.lane, head, body)
	reason, cause := row.cause, []byte(nil)
	if it.sealed != nil {
		it.payload = it.sealed
		if seal := r.l.s.keys.seal.Load(); seal != nil {
			cause, reason = seal.box(nil, boundCause(row.seq), []byte(reason)), "" // it may name the topic
		}
	}
	wall, _ := r.l.s.clock.now()
	return tx.Exec(`INSERT OR REPLACE INTO quarantine
		(seq, lane, route, reason, at, source, topic, mono, wall, ttl, flags, properties, payload, head, cause)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		it.seq, int(it.lane), row.route.key, reason, wall.UnixNano(), it.source, it.topic,
		it.mono, it.wall, it.ttl, it.flags, it.properties, it.payload, it.front, cause)
}

// bound gives up the oldest rows in quarantine beyond the bounds.
func (r *removal) bound(tx *sqlite.Tx) error {
	o := &r.l.s.o
	for {
		if err := tx.QueryRow(sqlQuarantined).Scan(&r.quarantine.messages, &r.quarantine.bytes); err != nil {
			return err
		}
		if r.quarantine.messages <= int64(o.Bounds.Quarantined) && r.quarantine.bytes <= o.MaxSize/8 {
			return nil
		}
		if err := tx.Exec("DELETE FROM quarantine WHERE seq = (SELECT seq FROM quarantine ORDER BY at, seq LIMIT 1)"); err != nil {
			return err
		}
	}
}

func (r *removal) done(err error) {
	s := r.l.s
	if err != nil { // the rows are there, and in hand: try again, or the next start does
		s.intake.tally.forget()
		s.mu.Lock()
		r.l.rows = append(r.rows, r.l.rows...)
		if !errors.Is(err, sqlite.ErrClosed) {
			r.l.later(retryRemove)
		}
		s.mu.Unlock()
		return
	}
	s.at(pointLeft)
	told := ends{}
	seqs := make([]int64, len(r.rows))
	for i := range r.rows {
		row := &r.rows[i]
		seqs[i] = row.seq
		told[row.end]++
		if row.verdict == Quarantined {
			cause := row.cause
			if s.keys.seal.Load() != nil {
				cause = "`greengate spool list` tells it" // the log is on the card, too
			}
			s.log.Warn("The cloud can never take a message; it is in quarantine", "seq", row.seq, "err", cause)
			s.stats.isolated(row.cause, r.quarantine)
		}
	}
	s.mu.Lock()
	s.up.unsettled -= len(r.rows)
	for lane := range lanes {
		for route, n := range r.changes[lane] {
			route.waiting[lane].add(n)
			s.waiting[lane].add(n)
		}
	}
	s.mu.Unlock()
	s.release(seqs)
	s.keys.left(seqs)
	told.tell(s)
	s.at(pointSettled)
	s.wake()
}
