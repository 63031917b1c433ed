package localshadow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"greengate/core/sqlite"
)

// Entry is what was done to a shadow at one time, in its journal.
type Entry struct {
	ID int64 `json:"id"` // rises with time, over all shadows
	// Version of the document that it left; also of one that it deleted, or that it
	// did not change because only a conflict was to be told.
	Version int64 `json:"version"`
	// First is below Version when this stands for a row of updates that changed
	// nothing, from that version on; At and Source are those of the last.
	First     int64        `json:"first"`
	At        int64        `json:"at"` // Unix milliseconds
	Source    Source       `json:"source"`
	Deleted   bool         `json:"deleted,omitempty"`
	Damaged   bool         `json:"damaged,omitempty"` // what follows cannot be read
	Changes   []LeafChange `json:"changes,omitempty"`
	Conflicts []Conflict   `json:"conflicts,omitempty"`
}

// LeafChange is a value that was set, changed or removed: the topmost one that is not
// an object both before and after.
type LeafChange struct {
	Section string `json:"section"` // desired or reported
	Path    string `json:"path"`    // JSON Pointer (RFC 6901) in the section; "" is all of it
	// nil where there was or is none.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// maxHistory bounds the entries that History reads at a time.
const maxHistory = 1000

// History returns the journal of a shadow, newest first: at most limit entries (1 to
// 1000, 0 is 1000), older than the one whose ID is before, or the newest when that is
// 0. It goes on through deletions, and is there for things that are served no longer;
// a shadow without a journal is no error. The error is a *Rejection for names that no
// shadow has, or that of the database.
func (s *Service) History(ctx context.Context, thing, name string, limit int, before int64) ([]Entry, error) {
	if r := checkNames(thing, name); r != nil {
		return nil, r
	}
	if limit <= 0 || limit > maxHistory {
		limit = maxHistory
	}
	all := []Entry{}
	err := s.o.DB.View(ctx, func(tx *sqlite.Tx) error {
		return s.walk(tx, thing, name, limit, before, func(e *stored) (bool, error) {
			if e.read() != nil {
				e.Damaged, e.Changes, e.Conflicts = true, nil, nil
			}
			all = append(all, e.Entry)
			return true, nil
		})
	})
	return all, err
}

const (
	// sqlHead is the newest entry of a shadow, and its number.
	sqlHead = `SELECT entry, entries FROM shadows WHERE thing = ?1 AND name = ?2
		UNION ALL SELECT entry, entries FROM former WHERE thing = ?1 AND name = ?2 LIMIT 1`

	// sqlHistory goes along the chain of the entries, as far as they are to be kept. Those
	// with a conflict stay longer, and have an index.
	sqlHistory = `WITH RECURSIVE chain (id, prev) AS (
			SELECT id, prev FROM journal WHERE id = ?1 AND thing = ?2 AND name = ?3
			UNION ALL
			SELECT j.id, j.prev FROM chain JOIN journal j ON j.id = chain.prev AND j.id < chain.id
				WHERE j.thing = ?2 AND j.name = ?3 AND j.number > ?4)
		SELECT id, before, first, version, deleted, at, kind, source, detail, changes, conflicts FROM journal
		WHERE id < ?5 AND id IN (SELECT id FROM chain UNION SELECT id FROM journal WHERE thing = ?2 AND name = ?3 AND conflicts <> '')
		ORDER BY id DESC LIMIT ?6`
)

// stored is an entry as the journal has it.
type stored struct {
	Entry
	before             int64 // version that it found
	changes, conflicts string
}

// walk goes through a journal, from the entry before an ID back, until f wants no more.
func (s *Service) walk(tx *sqlite.Tx, thing, name string, limit int, before int64, f func(e *stored) (more bool, err error)) error {
	if before <= 0 {
		before = math.MaxInt64
	}
	var head mark
	if err := tx.QueryRow(sqlHead, thing, name).Scan(&head.id, &head.number); err != nil && !errors.Is(err, sqlite.ErrNoRows) {
		return fmt.Errorf("find the journal of a shadow: %w", err)
	}
	rows, err := tx.Query(sqlHistory, head.id, thing, name, head.number-int64(s.o.Bounds.Journal), before, limit)
	if err != nil {
		return fmt.Errorf("read the journal of a shadow: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e stored
		err := rows.Scan(&e.ID, &e.before, &e.First, &e.Version, &e.Deleted, &e.At,
			&e.Source.Kind, &e.Source.Name, &e.Source.Detail, &e.changes, &e.conflicts)
		if err != nil {
			return fmt.Errorf("read the journal of a shadow: %w", err)
		}
		if more, err := f(&e); !more || err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the journal of a shadow: %w", err)
	}
	return nil
}

// read fills in what is JSON in the store.
func (e *stored) read() error {
	if e.conflicts != "" {
		if err := json.Unmarshal([]byte(e.conflicts), &e.Conflicts); err != nil {
			return err
		}
	}
	if e.changes == "" {
		return nil
	}
	var rows [][4]json.RawMessage
	if err := json.Unmarshal([]byte(e.changes), &rows); err != nil {
		return err
	}
	e.Changes = make([]LeafChange, len(rows))
	for i := range rows {
		if err := e.Changes[i].read(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

func (l *LeafChange) read(row *[4]json.RawMessage) error {
	if err := json.Unmarshal(row[0], &l.Section); err != nil {
		return err
	}
	if err := json.Unmarshal(row[1], &l.Path); err != nil {
		return err
	}
	l.Before, l.After = orNil(row[2]), orNil(row[3])
	return nil
}

func orNil(value json.RawMessage) json.RawMessage {
	if string(value) == "null" {
		return nil
	}
	return value
}
