package telemetry

import (
	"errors"
	"sync/atomic"

	"greengate/core/sqlite"
)

// tally is what has come onto the disk, and is not in the table waiting yet. It belongs to
// the functions of the database; anybody may forget it.
type tally struct {
	known   atomic.Bool
	last    int64 // no seq after it is on the disk
	changes [lanes]map[*route]count
	n       int // messages in it
}

// maxUncounted bounds the messages that a start has to count.
const maxUncounted = 1024

const sqlCounted = "SELECT messages FROM waiting WHERE route = 0 AND lane = -1"

// forget has the next function count anew what is on the disk: what was is not known.
func (t *tally) forget() { t.known.Store(false) }

// begin sees to it that the tally is right.
func (t *tally) begin(s *Spool, tx *sqlite.Tx) error {
	if t.known.Load() {
		return nil
	}
	for lane := range lanes {
		t.changes[lane] = map[*route]count{}
	}
	t.n = 0
	var err error
	t.last, err = uncounted(tx, func(lane laneID, h *head, size int64) {
		t.add(lane, s.routeOf(h.route), count{1, size})
		t.n++
	})
	t.known.Store(err == nil)
	return err
}

// renew counts anew and writes the counts, so that the table waiting has them all.
func (t *tally) renew(s *Spool, tx *sqlite.Tx) error {
	t.forget()
	if err := t.begin(s, tx); err != nil {
		return err
	}
	return t.flush(tx)
}

// add counts a change of what waits.
func (t *tally) add(lane laneID, r *route, change count) {
	n := t.changes[lane][r]
	n.add(change)
	t.changes[lane][r] = n
}

// flush writes the counts.
func (t *tally) flush(tx *sqlite.Tx) error {
	for lane := range lanes {
		for r, n := range t.changes[lane] {
			if err := account(tx, r, lane, n); err != nil {
				return err
			}
		}
		clear(t.changes[lane])
	}
	t.n = 0
	return counted(tx, t.last)
}

// counted notes that the table waiting has all messages up to one.
func counted(tx *sqlite.Tx, last int64) error {
	return tx.Exec("INSERT OR REPLACE INTO waiting (route, lane, messages, bytes) VALUES (0, -1, ?, 0)", last)
}

// uncounted hands the messages to see that are not in the table waiting, and returns the
// highest seq.
func uncounted(tx *sqlite.Tx, see func(lane laneID, h *head, size int64)) (last int64, err error) {
	var from int64
	if err := tx.QueryRow(sqlCounted).Scan(&from); err != nil && !errors.Is(err, sqlite.ErrNoRows) {
		return 0, err
	}
	last = from
	for lane := range lanes {
		_, err := heads(tx, lane, from, -1, func(seq int64, h *head, size int64) {
			last = max(last, seq)
			see(lane, h, size)
		})
		if err != nil {
			return 0, err
		}
	}
	return last, nil
}

func account(tx *sqlite.Tx, r *route, lane laneID, n count) error {
	return tx.Exec(`INSERT INTO waiting (route, lane, messages, bytes) VALUES (?, ?, ?, ?)
		ON CONFLICT (route, lane) DO UPDATE SET messages = messages + excluded.messages, bytes = bytes + excluded.bytes`,
		r.id, int(lane), n.messages, n.bytes)
}
