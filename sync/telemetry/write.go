package telemetry

import (
	"errors"
	"fmt"

	"greengate/core/sqlite"
)

// write is a function of the database that puts messages on the disk. It may run more
// than once: what it remembers outside the database it sets anew each time, or has
// forgotten by undo.
type write struct {
	in    *intake
	back  *back // nil: it writes what was staged
	ran   bool
	batch []entry
	args  []any

	reserved int64 // intake.reserved, once it is on the disk
	room     room
	pending  [lanes][]*entry         // have room, and are not inserted yet
	changes  [lanes]map[*route]count // of what waits
	taken    []int64                 // rows given up, held until it is done
	ends     ends                    // of these, and of the messages that found no room
}

// end is what messages that end together have in common.
type end struct {
	route   *route
	verdict Verdict
	reason  string
}

// ends are what became of messages.
type ends map[end]int

func (e ends) tell(s *Spool) {
	for end, n := range e {
		s.stats.count(end, n)
		s.o.Settled(Settlement{Route: end.route.key, Verdict: end.verdict, Reason: end.reason, N: n})
	}
}

// run writes the batch.
func (w *write) run(tx *sqlite.Tx) (err error) {
	s := w.in.s
	defer func() {
		if err != nil {
			w.in.tally.forget()
		}
	}()
	if w.ran {
		w.undo()
	}
	if err := w.gather(tx); err != nil {
		return err
	}
	w.ends = ends{}
	for lane := range lanes {
		w.changes[lane] = map[*route]count{}
		w.pending[lane] = w.pending[lane][:0]
	}
	if len(w.batch) == 0 {
		return nil
	}
	s.at(pointTaken)
	if err := w.in.tally.begin(s, tx); err != nil {
		return fmt.Errorf("count what the spool holds: %w", err)
	}
	s.streams.floor = w.batch[0].seq
	if err := w.room.measure(s, tx); err != nil {
		return err
	}
	for i := range w.batch {
		w.batch[i].lost = false
		if w.batch[i].done {
			w.ends[end{w.batch[i].route, Sent, ""}]++
			continue
		}
		if err := w.admit(tx, &w.batch[i]); err != nil {
			return fmt.Errorf("make room in the spool: %w", err)
		}
	}
	if err := w.insert(tx); err != nil {
		return fmt.Errorf("write to the spool: %w", err)
	}
	s.at(pointInserted)
	if w.back != nil {
		if err := w.back.remove(tx); err != nil {
			return fmt.Errorf("take out of quarantine: %w", err)
		}
	}
	if err := w.account(tx); err != nil {
		return fmt.Errorf("count what the spool holds: %w", err)
	}
	last := w.batch[len(w.batch)-1].seq
	if last > w.in.reserved {
		w.in.reserved = last + maxTaken
		if err := tx.Exec("UPDATE state SET reserved = ?", w.in.reserved); err != nil {
			return err
		}
	}
	w.reserved = w.in.reserved
	s.at(pointCounted)
	return nil
}

// gather takes what the function is to write: what was staged stays the same however
// often it runs.
func (w *write) gather(tx *sqlite.Tx) (err error) {
	switch {
	case w.back != nil:
		w.in.settle(w.batch)
		if w.batch, err = w.back.take(tx); err != nil {
			w.batch = nil
			return fmt.Errorf("read the quarantine: %w", err)
		}
		w.in.number(w.batch)
	case !w.ran:
		w.batch = w.in.take()
	}
	w.ran = true
	return nil
}

// admit finds room for a message, or gives it up.
func (w *write) admit(tx *sqlite.Tx, e *entry) error {
	s := w.in.s
	if err := e.route.save(tx); err != nil {
		return err
	}
	s.at(pointSaved)
	var err error
	var prev int64
	if e.lane, prev, err = s.streams.place(tx, e); err != nil {
		return err
	}
	e.row.setPrev(prev)
	s.at(pointPlaced)
	fits, err := w.find(tx, e)
	if err != nil {
		return err
	}
	if !fits && w.back != nil {
		return ErrNoRoom
	}
	if !fits {
		reason := ReasonNewest
		if e.route.settings.Load().WhenFull == Thin {
			reason = ReasonThinned
		}
		w.ends[end{e.route, Dropped, reason}]++
		e.lost = true
		return nil
	}
	w.pending[e.lane] = append(w.pending[e.lane], e)
	w.note(e.lane, e.route, count{1, e.size})
	return nil
}

// note counts a change of what waits.
func (w *write) note(lane laneID, r *route, change count) {
	n := w.changes[lane][r]
	n.add(change)
	w.changes[lane][r] = n
}

// insert writes what is pending, many rows to a statement.
func (w *write) insert(tx *sqlite.Tx) error {
	for lane := range lanes {
		rows := w.pending[lane]
		for i, n := range stepRows {
			for len(rows) >= n {
				w.args, w.in.sealed = w.args[:0], w.in.sealed[:0]
				for _, e := range rows[:n] {
					head, body := w.in.written(e, lane)
					w.args = append(w.args, e.seq, head, body)
				}
				if err := tx.Exec(lane.sql().insert[i], w.args...); err != nil {
					return err
				}
				rows = rows[n:]
			}
		}
		w.pending[lane] = w.pending[lane][:0]
	}
	clear(w.args[:cap(w.args)])
	if cap(w.in.sealed) > maxTakenBytes {
		w.in.sealed = nil
	}
	return nil
}

// account counts what waits, and writes it when rows have left, or many have come.
func (w *write) account(tx *sqlite.Tx) error {
	t := &w.in.tally
	for lane := range lanes {
		for r, n := range w.changes[lane] {
			t.add(lane, r, n)
		}
	}
	t.n += len(w.batch)
	t.last = w.batch[len(w.batch)-1].seq
	if len(w.taken) == 0 && t.n < maxUncounted {
		return nil
	}
	return t.flush(tx)
}

// undo forgets what an earlier run left outside the database.
func (w *write) undo() {
	s := w.in.s
	w.in.reserved = 0
	w.in.tally.forget()
	s.streams.forget(w.in)
	for i := range w.batch {
		w.batch[i].route.saved = nil
	}
	s.intake.evict = evictions{thinned: map[*route]int64{}}
	if len(w.taken) > 0 { // they are there again, and the uploader may have passed them
		s.release(w.taken)
		s.up.restart()
		w.taken = nil
	}
}

// done tells how it ended.
func (w *write) done(err error) {
	defer w.in.ran()
	s := w.in.s
	if err == nil {
		w.commit()
		return
	}
	w.undo()
	if w.back != nil {
		w.in.next()
		w.in.settle(w.batch)
		w.back.told <- err
		return
	}
	if ofDisk(err) && w.in.giveBack(w.batch, err) {
		return
	}
	if !errors.Is(err, sqlite.ErrClosed) {
		s.log.Error("Messages could not be written", "messages", len(w.batch), "err", err)
	}
	w.in.next()
	w.in.fail(w.batch, err)
}

// tellFirst is how many messages are told of before the next are written: their devices
// publish again at once, so that devices that wait for each other share a commit. To tell
// of more takes as long as a good disk does to commit.
const tellFirst = 256

// commit tells that the batch is on the disk, or given up.
func (w *write) commit() {
	s := w.in.s
	s.at(pointCommitted)
	many := len(w.batch) > tellFirst
	if many {
		w.in.next()
	}
	s.release(w.taken)
	s.keys.left(w.taken)
	if w.back != nil {
		w.back.tell(w.batch)
	}
	s.mu.Lock()
	w.in.secure(w.reserved)
	for lane := range lanes {
		for r, n := range w.changes[lane] {
			r.waiting[lane].add(n)
			s.waiting[lane].add(n)
		}
	}
	var accepted count
	for i := range w.batch {
		e := &w.batch[i]
		accepted.add(count{1, e.size})
		if w.in.landed(e) {
			continue
		}
		s.committed[e.lane] = max(s.committed[e.lane], e.seq)
		s.timed[e.lane] = s.timed[e.lane] || e.timed
	}
	s.mu.Unlock()
	s.stats.accepted(accepted)
	for i := range w.batch {
		w.batch[i].stored(nil)
	}
	if !many {
		w.in.next()
	}
	s.at(pointTold)
	w.ends.tell(s)
	w.in.settle(w.batch)
	s.wake()
	if w.back != nil {
		w.back.told <- nil
	}
}
