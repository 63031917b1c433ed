package localshadow

import (
	"errors"
	"fmt"
	"math"
	"time"

	"greengate/core/sqlite"
)

// The journal is written in the transaction of the change, and is bounded: the newest
// entries of each shadow are kept, of those with a conflict some more that are older,
// and all together have a number of bytes, beyond which the oldest go first. A row of
// updates that change nothing is one entry, so that a device which reports the same
// each second does not push out what was.
const (
	// keptConflicts is how many entries with conflicts are kept of a shadow.
	keptConflicts = 50
	// sweepEvery is after how many entries the journal is swept, and swept how many are
	// looked at then: twice as many as come, so that at most as many are left that are
	// too many.
	sweepEvery = 32
	swept      = 2 * sweepEvery
	// evictAtOnce bounds the entries that one update pushes out of a full journal.
	evictAtOnce = 64
	// entryBytes is what an entry takes besides its texts, about.
	entryBytes = 96
)

const (
	sqlEnter = `INSERT INTO journal (id, prev, number, thing, name, before, first, version, deleted, at, kind, source, detail, changes, conflicts, bytes, size)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)`

	// One that the row of the shadow names in error, after damage, is let be.
	sqlRepeat = `UPDATE journal SET version = ?, at = ?, kind = ?, source = ?, detail = ?
		WHERE id = ? AND thing = ? AND name = ? AND version = ? AND deleted = 0 AND changes = '' AND conflicts = ''`

	sqlMark = `UPDATE shadows SET entry = ?, entries = ? WHERE id = ?`

	sqlHand = `SELECT coalesce(max(id), 0) FROM (SELECT id FROM journal WHERE id > ? ORDER BY id LIMIT ?)`

	sqlSweep = `DELETE FROM journal WHERE id > ? AND id <= ? AND conflicts = '' AND number <= (
		SELECT entries FROM shadows s WHERE s.thing = journal.thing AND s.name = journal.name) - ? RETURNING bytes`

	sqlOldest = `SELECT id, bytes FROM journal ORDER BY id LIMIT ?`

	sqlEvict = `DELETE FROM journal WHERE id <= ?`

	sqlLast = `SELECT coalesce(max(id), 0), coalesce((SELECT size FROM journal ORDER BY id DESC LIMIT 1), 0) FROM journal`
)

// entry is what is written into the journal.
type entry struct {
	thing, name        string
	before, version    int64 // before: as the column
	deleted            bool
	at                 time.Time
	from               Source
	changes, conflicts string
}

// mark is the newest entry of a shadow.
type mark struct {
	id     int64
	number int64 // how many there were
}

// bytes is what the entry takes.
func (e *entry) bytes() int64 {
	return int64(entryBytes + len(e.thing) + len(e.name) + len(e.from.Kind) + len(e.from.Name) + len(e.from.Detail) +
		len(e.changes) + len(e.conflicts))
}

// idle tells whether an update has changed nothing.
func (e *entry) idle() bool {
	return e.version > e.before && !e.deleted && e.changes == "" && e.conflicts == ""
}

// record writes an entry behind the one at m, and moves m to it.
func (j *job) record(tx *sqlite.Tx, e *entry, m *mark) error {
	if j.spare {
		return nil
	}
	grows, err := j.enter(tx, e, m)
	if err != nil {
		return fmt.Errorf("write the journal of a shadow: %w", err)
	}
	j.recount(j.counted.plus(totals{journal: grows}))
	return nil
}

// makeRoom has the journal give way to a job that has found no room before: it is not
// to be the reason why an update is refused.
func (j *job) makeRoom(tx *sqlite.Tx) error {
	if !j.spare {
		return nil
	}
	grows, err := evict(tx, math.MaxInt64)
	if err != nil {
		return fmt.Errorf("shorten the journal of the shadows: %w", err)
	}
	j.recount(totals{journal: grows})
	return nil
}

// enter makes room for the entry and adds it. It returns by how many bytes the journal
// has grown.
func (j *job) enter(tx *sqlite.Tx, e *entry, m *mark) (grows int64, err error) {
	s, b, at := &e.from, &j.s.o.Bounds, e.at.UnixMilli()
	if e.idle() && m.id != 0 {
		if err := tx.Exec(sqlRepeat, e.version, at, s.Kind, s.Name, s.Detail, m.id, e.thing, e.name, e.before); err != nil {
			return 0, err
		}
		if n, err := tx.Changes(); n > 0 || err != nil {
			return 0, err
		}
	}
	if grows, err = j.s.sweep(tx); err != nil {
		return 0, err
	}
	if e.conflicts != "" {
		n, err := e.trim(tx)
		if err != nil {
			return 0, err
		}
		grows += n
	}
	takes, size := e.bytes(), j.s.totals.journal.Load()
	grows += takes
	if over := size + grows - b.JournalBytes; over > 0 {
		n, err := evict(tx, over+b.JournalBytes/100) // so that it is not done for each
		if err != nil {
			return 0, err
		}
		grows += n
	}
	before := m.id
	m.id, m.number = j.s.entries.Add(1), m.number+1
	return grows, tx.Exec(sqlEnter, m.id, before, m.number, e.thing, e.name, e.before, e.version, e.deleted, at,
		s.Kind, s.Name, s.Detail, e.changes, e.conflicts, takes, size+grows)
}

// hand is where in the journal the sweep is. It belongs to the writer's goroutine.
type hand struct {
	id, end int64 // of the entry looked at last, and of the last of this round
	due     int   // entries since the last sweep
	found   bool  // this round has found something
	idle    int   // rounds in a row that found nothing
}

// maxIdle is how often in a row the pause doubles when a round finds nothing: most
// shadows are seldom updated.
const maxIdle = 4

// sweep goes on through the journal, when it is time, and removes entries that are more
// than may be kept of their shadow. Those that lie together go together: to remove the
// oldest of one shadow by themselves would write a page for each. It returns what that
// adds to the bytes.
func (s *Service) sweep(tx *sqlite.Tx) (grows int64, err error) {
	h := &s.hand
	if h.due++; h.due < sweepEvery<<h.idle {
		return 0, nil
	}
	h.due = 0
	from := h.id
	if err := tx.QueryRow(sqlHand, from, swept).Scan(&h.id); err != nil {
		return 0, err
	}
	if grows, err = remove(tx, sqlSweep, from, h.id, s.o.Bounds.Journal); grows != 0 {
		h.found, h.idle = true, 0
	}
	if h.id == 0 || h.id >= h.end {
		if !h.found {
			h.idle = min(h.idle+1, maxIdle)
		}
		h.id, h.end, h.found = 0, s.entries.Load(), false
	}
	return grows, err
}

const (
	ofConflicts = ` FROM journal WHERE thing = ? AND name = ? AND conflicts <> ''`

	sqlNewestConflict = `SELECT id` + ofConflicts + ` ORDER BY id DESC LIMIT 1 OFFSET ?`
	sqlOldConflicts   = `DELETE` + ofConflicts + ` AND id <= ? RETURNING bytes`
)

// trim removes those entries with conflicts of the shadow that are more than may be kept.
// It returns what that adds to the bytes.
func (e *entry) trim(tx *sqlite.Tx) (grows int64, err error) {
	var id int64
	err = tx.QueryRow(sqlNewestConflict, e.thing, e.name, keptConflicts-1).Scan(&id)
	if errors.Is(err, sqlite.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return remove(tx, sqlOldConflicts, e.thing, e.name, id)
}

// remove runs a DELETE that returns bytes, and adds up what that adds to them.
func remove(tx *sqlite.Tx, sql string, args ...any) (grows int64, err error) {
	rows, err := tx.Query(sql, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return 0, err
		}
		grows -= n
	}
	return grows, rows.Err()
}

// evict removes the oldest entries until so many bytes are free, but no more of them
// than are quickly done. It returns what that adds to the bytes.
func evict(tx *sqlite.Tx, bytes int64) (grows int64, err error) {
	rows, err := tx.Query(sqlOldest, evictAtOnce)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var last int64
	for -grows < bytes && rows.Next() {
		var n int64
		if err := rows.Scan(&last, &n); err != nil {
			return 0, err
		}
		grows -= n
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	rows.Close()
	return grows, tx.Exec(sqlEvict, last)
}
