package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"greengate/core/sqlite"
)

// maxBehind bounds the changes that wait while the disk fails. Messages whose
// publishers wait for their acknowledgement do not count: those are bounded by what
// their connections may have on the way.
const maxBehind = 65_536

// commit writes a list as one function of a group, and waits for it. A disk that
// fails is a fault, and not the end: what it does not take is tried again, and whoever
// was promised that it is safe waits. It reports whether the disk took it.
func (st *store) commit(ops []op) bool {
	err := st.write(ops)
	if err == nil || sqlite.OfDisk(err) || len(ops) == 1 {
		return st.settle(ops, err)
	}
	// One of them is at fault, and the others must not suffer.
	for i := range ops {
		if err := st.write(ops[i : i+1]); sqlite.OfDisk(err) {
			return st.settle(ops[i:], err)
		} else {
			st.settle(ops[i:i+1], err)
		}
	}
	return true
}

func (st *store) write(ops []op) error {
	return st.db.Update(context.Background(), func(tx *sqlite.Tx) error {
		for _, o := range ops {
			if err := o.run(tx); err != nil {
				return err
			}
		}
		return nil
	})
}

// settle tells how a list ended. It reports whether the disk took it.
func (st *store) settle(ops []op, err error) bool {
	st.note(err)
	if sqlite.OfDisk(err) {
		st.again(ops)
		return false
	}
	if err != nil {
		st.log.Error("a change of the sessions was not written", "err", err)
	}
	for _, o := range ops {
		// A database that has closed took nothing: nobody may take it for safe.
		if o.done != nil && !(o.safe && errors.Is(err, sqlite.ErrClosed)) {
			o.done()
		}
	}
	return true
}

// note keeps what the disk gave for the last list, and logs a change.
func (st *store) note(err error) {
	if !sqlite.OfDisk(err) {
		err = nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	changed := (err == nil) != (st.fault == nil)
	st.fault = err
	if !changed {
		return
	}
	st.since = time.Now()
	if err != nil {
		st.lost = 0
		st.log.Error("sessions cannot be written to disk; publishes for devices that are away wait for their acknowledgement", "err", err)
		return
	}
	st.log.Info("sessions are written to disk again", "lost_changes", st.lost)
}

// again puts what the disk did not take in front of what has come since. The pace is
// that of the database, which pauses after a failure.
func (st *store) again(ops []op) {
	for i := range ops {
		if o := &ops[i]; !o.safe && o.done != nil {
			o.done()
			o.done = nil
		}
	}
	st.mu.Lock()
	kept, freed, lost := outlast(append(ops, st.now...))
	st.now = kept
	st.lost += lost
	st.mu.Unlock()
	for _, done := range freed {
		done()
	}
}

// outlast leaves out what later ops make needless, lest a disk that fails for long
// fill the memory: of the same row only the last op counts, and a message that came
// and went meanwhile needs none, so that whoever waits for it is freed. lost is how
// many were given up beyond the bound.
func outlast(ops []op) (kept []op, freed []func(), lost int) {
	last := map[key]int{} // index in kept, which is in reverse
	waits := 0
	for _, o := range slices.Backward(ops) {
		if at, again := last[o.key]; again {
			later := &kept[at]
			if !later.undoes {
				later.done, later.safe = both(o.done, later.done), o.safe || later.safe
				continue
			}
			later.run = nil
			if o.done != nil {
				freed = append(freed, o.done)
			}
			continue
		}
		if !o.safe {
			if waits++; waits > maxBehind {
				lost++
				continue
			}
		}
		if o.key != (key{}) {
			last[o.key] = len(kept)
		}
		kept = append(kept, o)
	}
	slices.Reverse(kept)
	slices.Reverse(freed)
	return slices.DeleteFunc(kept, func(o op) bool { return o.run == nil }), freed, lost
}

func both(first, second func()) func() {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func() { first(); second() }
}

// Faults says what a person has to look at; nothing when all is well.
func (b *Broker) Faults() []string {
	st := b.store
	if st == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.fault == nil {
		return nil
	}
	text := fmt.Sprintf("sessions are not written to disk since %s, and publishes for devices that are away wait for their acknowledgement: %v",
		st.since.Format(time.RFC3339), st.fault)
	if st.lost > 0 {
		text += fmt.Sprintf("; %d changes were given up", st.lost)
	}
	return []string{text}
}
