package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"greengate/core/sqlite"
)

// commit writes a list as one function of a group, and waits for it. A disk that
// fails is a fault, and not the end: what it does not take is stuck, and tried again by
// retry, and whoever was promised that it is safe waits. It reports whether the disk
// took all of it, and there was something.
func (st *store) commit(ops []op) bool {
	if len(ops) == 0 {
		return false
	}
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
	err := st.db.Update(context.Background(), func(tx *sqlite.Tx) error {
		for _, o := range ops {
			if err := o.run(tx); err != nil {
				return err
			}
		}
		at(pointWritten)
		return nil
	})
	if err == nil {
		at(pointCommitted)
	}
	return err
}

// settle tells how a list ended. It reports whether the disk took it.
func (st *store) settle(ops []op, err error) bool {
	if st.last = nil; sqlite.OfDisk(err) {
		st.last = err
		st.again(ops)
		st.note()
		return false
	}
	st.note()
	if err != nil {
		st.log.Error("a change of the sessions was not written", "err", err)
	}
	for _, o := range ops {
		// A database that has closed took nothing: nobody may take it for safe.
		if o.done != nil && !(o.safe && errors.Is(err, sqlite.ErrClosed)) {
			o.done()
		}
		if o.passed != nil {
			o.passed()
		}
		if o.undoes || o.ends {
			st.retryAt = time.Time{} // there is room
		}
	}
	at(pointTold)
	return true
}

// note keeps what the disk gave for the last list, and logs a change. While something
// is stuck, a list that it took does not end the fault.
func (st *store) note() {
	err := st.last
	st.mu.Lock()
	defer st.mu.Unlock()
	st.behind = len(st.stuck)
	if err == nil && st.behind > 0 {
		return
	}
	changed := (err == nil) != (st.fault == nil)
	st.fault = err
	if !changed {
		return
	}
	st.since = time.Now()
	if err != nil {
		st.lost = 0
		st.log.Error("sessions cannot be written to disk, or not all; publishes for devices that are away wait for their acknowledgement", "err", err)
		return
	}
	st.log.Info("sessions are written to disk again", "lost_changes", st.lost)
}

// Faults says what a person has to look at; nothing when all is well.
func (b *Broker) Faults() []string {
	return append(b.store.faults(), b.crowding()...)
}

func (st *store) faults() []string {
	if st == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.fault == nil {
		return nil
	}
	text := fmt.Sprintf("sessions are not, or not all, written to disk since %s; %d changes wait, and with them the acknowledgements of publishes for devices that are away: %v",
		st.since.Format(time.RFC3339), st.behind, st.fault)
	if st.lost > 0 {
		text += fmt.Sprintf("; %d changes were given up", st.lost)
	}
	return []string{text}
}
