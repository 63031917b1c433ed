package functions

import (
	"errors"
	"fmt"
	"time"

	"greengate/core/sqlite"
)

// write is a function of the database. It may run more than once.
type write struct {
	s       *store
	taken   bool
	calls   []*call // that are written
	skipped []*call // have ended before they were
	leaving []*call

	dropped  int            // of the quarantine, beyond its bounds
	isolated map[string]int // of each function, afterwards; nil: as before
}

func (w *write) run(tx *sqlite.Tx) error {
	if !w.taken {
		w.take()
	}
	w.s.at(pointTaken)
	w.isolated, w.dropped = nil, 0
	for _, c := range w.leaving {
		if c.end.verdict == Quarantined {
			if err := isolate(tx, c); err != nil {
				return fmt.Errorf("move a call to quarantine: %w", err)
			}
			w.isolated = map[string]int{}
		}
		if err := tx.Exec("DELETE FROM calls WHERE seq = ?", c.seq); err != nil {
			return fmt.Errorf("delete a call: %w", err)
		}
	}
	w.s.at(pointRemoved)
	if err := w.bound(tx); err != nil {
		return fmt.Errorf("bound the quarantine: %w", err)
	}
	for _, c := range w.calls {
		if err := insert(tx, c); err != nil {
			return fmt.Errorf("write a call: %w", err)
		}
	}
	w.s.at(pointInserted)
	return nil
}

// bound gives up calls in quarantine beyond its bounds, if any came there.
func (w *write) bound(tx *sqlite.Tx) (err error) {
	if w.isolated == nil {
		return nil
	}
	if w.dropped, err = bound(tx, w.s.bounds); err == nil {
		w.isolated, err = countIsolated(tx)
	}
	return err
}

// take gives the write what there is, as much as is good for one transaction. What has
// ended while it waited need not be written.
func (w *write) take() {
	w.taken = true
	s := w.s
	s.mu.Lock()
	w.leaving, s.leaving = s.leaving, nil
	n, bytes := 0, 0
	for s.failure == nil || len(w.leaving) == 0 { // on a full disk what is deleted makes room first
		if n == len(s.staged) || n == maxTaken || n > 0 && bytes >= maxTakenBytes {
			break
		}
		bytes += len(s.staged[n].payload)
		n++
	}
	staged := s.staged[:n:n]
	s.staged = s.staged[n:]
	s.mu.Unlock()
	for _, c := range staged {
		c.f.mu.Lock()
		ended := c.ended
		c.f.mu.Unlock()
		if ended && c.end.verdict != Quarantined {
			w.skipped = append(w.skipped, c)
		} else {
			w.calls = append(w.calls, c)
		}
	}
}

func (w *write) done(err error) {
	s := w.s
	if !w.taken {
		w.take()
	}
	if err != nil && !errors.Is(err, sqlite.ErrClosed) {
		if w.giveBack(err) {
			w.pass()
			return
		}
		s.log.Error("Durable calls could not be written", "calls", len(w.calls), "err", err)
	}
	if err == nil {
		s.at(pointCommitted)
	}
	if err == nil && w.dropped > 0 {
		s.log.Warn("Calls are deleted from quarantine: it is full", "calls", w.dropped)
	}
	s.mu.Lock()
	if err == nil && (len(w.calls) > 0 || len(s.staged) == 0) {
		s.pause, s.failure = 0, nil
		s.failing.Store(false)
	}
	if err == nil && w.isolated != nil {
		s.isolated = w.isolated
	}
	s.waits = false
	s.schedule()
	s.mu.Unlock()
	w.tell(err)
	s.at(pointTold)
}

// giveBack has the same tried again after a pause; false: there is no time left, or it
// would fail again, since the fault is not the disk's. What is to be deleted is tried
// again in any case: it has ended.
func (w *write) giveBack(err error) bool {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	if !ofDisk(err) && len(w.calls) > 0 {
		s.leaving = append(w.leaving, s.leaving...)
		w.leaving = nil
		return false
	}
	if s.failure == nil {
		s.failure, s.since = err, time.Now()
		s.log.Error("Durable calls cannot be written; they wait", "err", err)
	}
	s.failing.Store(true)
	// What ended while it waited was skipped, and is looked at again with the rest.
	s.staged = append(append(w.calls, w.skipped...), s.staged...)
	s.leaving = append(w.leaving, s.leaving...)
	s.pause = min(max(firstRewrite, 2*s.pause), lastRewrite)
	s.later(s.pause)
	return true
}

// ofDisk reports whether the same write may work later.
func ofDisk(err error) bool {
	for _, kind := range []error{sqlite.ErrFull, sqlite.ErrReadOnly, sqlite.ErrIO, sqlite.ErrBusy, sqlite.ErrCorrupt} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// tell says what became of all that the write had.
func (w *write) tell(err error) {
	if err != nil {
		err = fmt.Errorf("store a call: %w", err)
	}
	for _, c := range w.calls {
		c.f.mu.Lock()
		switch {
		case err != nil: // f's unlock below tells it
			c.f.close(c, end{verdict: Dropped, reason: ReasonNotStored})
			c.f.told = append(c.f.told, c)
		default:
			c.stored = true
			if c.ended {
				w.s.remove(c)
			}
		}
		c.f.mu.Unlock()
		c.onStored(err)
	}
	for _, c := range w.skipped {
		c.onStored(nil) // a call that a bound gives up has been dealt with
		c.f.tell(c)
	}
	if err == nil {
		for _, c := range w.leaving {
			c.f.tell(c)
		}
	} // else they are on the disk, and made again by the next start
	w.settle(err)
	w.pass()
}

// pass has the functions look at their calls again, which may be made now: they are on
// the disk, or the disk fails and need not be waited for.
func (w *write) pass() {
	now := time.Now()
	functions := map[*function]bool{}
	for _, c := range w.calls {
		functions[c.f] = true
	}
	for f := range functions {
		f.mu.Lock()
		f.dispatch(now)
		f.unlock()
	}
}

// settle counts out what is over.
func (w *write) settle(err error) {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, calls := range [][]*call{w.calls, w.skipped} {
		for _, c := range calls {
			s.count--
			s.bytes -= int64(len(c.payload))
		}
	}
	gone := w.skipped
	if err == nil {
		gone = append(gone, w.leaving...)
	} else {
		gone = append(gone, w.calls...)
	}
	for _, c := range gone {
		if s.durable[c.f.name]--; s.durable[c.f.name] <= 0 {
			delete(s.durable, c.f.name)
		}
	}
	if s.empty != nil && s.count == 0 && len(s.leaving) == 0 {
		close(s.empty)
		s.empty = nil
	}
}
