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
	// trimEvery is after how many of its entries a shadow's journal is trimmed, and so
	// by how many it may be too long.
	trimEvery = 32
	// evictAtOnce bounds the entries that one update pushes out of a full journal.
	evictAtOnce = 64
	// entryBytes is what an entry takes besides its texts, about.
	entryBytes = 80
)

const (
	sqlEnter = `INSERT INTO journal (id, thing, name, before, first, version, deleted, at, kind, source, detail, changes, conflicts, bytes, size)
		VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)`

	// One that the row of the shadow names in error, after damage, is let be.
	sqlRepeat = `UPDATE journal SET version = ?, at = ?, kind = ?, source = ?, detail = ?
		WHERE id = ? AND thing = ? AND name = ? AND version = ? AND deleted = 0 AND changes = '' AND conflicts = ''`

	sqlMark = `UPDATE shadows SET entry = ?, entries = ? WHERE thing = ? AND name = ?`

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

// bytes is what the entry takes. The index has the names once more.
func (e *entry) bytes() int64 {
	return int64(entryBytes + 2*(len(e.thing)+len(e.name)) + len(e.from.Kind) + len(e.from.Name) + len(e.from.Detail) +
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
	if m.number++; m.number%trimEvery == 0 {
		if grows, err = e.trim(tx, &tooMany, b.Journal-1); err != nil {
			return 0, err
		}
	}
	if e.conflicts != "" {
		n, err := e.trim(tx, &tooManyConflicts, keptConflicts-1)
		if err != nil {
			return 0, err
		}
		grows += n
	}
	takes, size := e.bytes(), j.s.totals.journal.Load()
	grows += takes
	if over := size + grows - b.JournalBytes; over > 0 {
		n, err := evict(tx, over)
		if err != nil {
			return 0, err
		}
		grows += n
	}
	m.id = j.s.entries.Add(1)
	return grows, tx.Exec(sqlEnter, m.id, e.thing, e.name, e.before, e.version, e.deleted, at,
		s.Kind, s.Name, s.Detail, e.changes, e.conflicts, takes, size+grows)
}

// excess is how entries of one shadow are removed that are more than may be kept.
type excess struct {
	newest string // of them, after skipping those that are kept
	sum    string // of the bytes of it and those before
	remove string
}

const ofShadow = ` FROM journal WHERE thing = ? AND name = ?`

var (
	tooMany = excess{
		newest: `SELECT id` + ofShadow + ` ORDER BY id DESC LIMIT 1 OFFSET ?`,
		sum:    `SELECT coalesce(sum(bytes), 0)` + ofShadow + ` AND conflicts = '' AND id <= ?`,
		remove: `DELETE` + ofShadow + ` AND conflicts = '' AND id <= ?`,
	}
	tooManyConflicts = excess{
		newest: `SELECT id` + ofShadow + ` AND conflicts <> '' ORDER BY id DESC LIMIT 1 OFFSET ?`,
		sum:    `SELECT coalesce(sum(bytes), 0)` + ofShadow + ` AND conflicts <> '' AND id <= ?`,
		remove: `DELETE` + ofShadow + ` AND conflicts <> '' AND id <= ?`,
	}
)

// trim removes those entries of the shadow that are more than may be kept. It returns
// what that adds to the bytes.
func (e *entry) trim(tx *sqlite.Tx, x *excess, keep int) (grows int64, err error) {
	var id, bytes int64
	err = tx.QueryRow(x.newest, e.thing, e.name, keep).Scan(&id)
	if errors.Is(err, sqlite.ErrNoRows) {
		return 0, nil
	}
	if err == nil {
		err = tx.QueryRow(x.sum, e.thing, e.name, id).Scan(&bytes)
	}
	if err == nil {
		err = tx.Exec(x.remove, e.thing, e.name, id)
	}
	return -bytes, err
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
