package localshadow

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"greengate/core/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations returns the schema of the store, for sqlite.Options.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return sub
}

const (
	sqlLoad = `SELECT id, version, deleted, updated, desired, reported, times, entry, entries FROM shadows WHERE thing = ? AND name = ?`

	sqlSave = `INSERT INTO shadows (thing, name, version, deleted, updated, bytes, desired, reported, times, entry, entries)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (thing, name) DO UPDATE SET version = excluded.version, deleted = excluded.deleted,
			updated = excluded.updated, bytes = excluded.bytes, desired = excluded.desired,
			reported = excluded.reported, times = excluded.times, entry = excluded.entry, entries = excluded.entries
		RETURNING id`

	sqlReplace = `UPDATE shadows SET version = ?, deleted = ?, updated = ?, bytes = ?, desired = ?, reported = ?, times = ?,
		entry = ?, entries = ? WHERE id = ?`

	sqlTotals = `SELECT deleted, count(*), sum(bytes) FROM shadows GROUP BY deleted`

	sqlOfThing = `SELECT count(*) FROM shadows WHERE thing = ? AND deleted = 0`

	sqlKeep  = `INSERT OR REPLACE INTO former (thing, name, entry, entries) VALUES (?, ?, ?, ?)`
	sqlFind  = `SELECT entry, entries FROM former WHERE thing = ? AND name = ?`
	sqlFound = `DELETE FROM former WHERE thing = ? AND name = ?`

	sqlFloor = `SELECT coalesce(max(version), 0) FROM floor`

	sqlNames = `SELECT name FROM shadows WHERE thing = ? AND name > ? AND deleted = 0 ORDER BY name LIMIT ?`

	sqlKeys = `SELECT thing, name FROM shadows WHERE deleted = 0 AND (thing, name) > (?, ?) ORDER BY thing, name LIMIT ?`

	sqlInfo = `SELECT thing, name, version, updated, desired, reported, times FROM shadows WHERE deleted = 0`
	sqlAll  = sqlInfo + ` AND (thing, name) > (?, ?) ORDER BY thing, name LIMIT ?`
	sqlOne  = sqlInfo + ` AND thing = ? ORDER BY name`
)

// Load reads a document in a transaction of the store's database; one that is not there
// is the zero value.
func Load(tx *sqlite.Tx, thing, name string) (d Document, err error) {
	var deleted int64
	var times []byte
	err = tx.QueryRow(sqlLoad, thing, name).Scan(&d.row, &d.Version, &deleted, &d.Updated, &d.Desired, &d.Reported, &times, &d.mark.id, &d.mark.number)
	if errors.Is(err, sqlite.ErrNoRows) {
		return Document{}, nil
	}
	if err != nil {
		return Document{}, fmt.Errorf("read a shadow: %w", err)
	}
	d.Deleted, d.times = deleted != 0, string(times)
	return d, nil
}

// Key names a shadow.
type Key struct{ Thing, Name string } // Name is "" for the classic shadow

// Keys returns the keys of those shadows that exist, in order: at most limit of them,
// behind the one that is after, which need not exist, or from the first when it is zero.
func Keys(tx *sqlite.Tx, after Key, limit int) ([]Key, error) {
	rows, err := tx.Query(sqlKeys, after.Thing, after.Name, limit)
	if err != nil {
		return nil, fmt.Errorf("list the shadows: %w", err)
	}
	defer rows.Close()
	var all []Key
	for rows.Next() {
		var k Key
		if err := rows.Scan(&k.Thing, &k.Name); err != nil {
			return nil, fmt.Errorf("list the shadows: %w", err)
		}
		all = append(all, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the shadows: %w", err)
	}
	return all, nil
}

// save writes a document, into its row if it has one.
func save(tx *sqlite.Tx, thing, name string, d *Document) error {
	var err error
	if d.row != 0 {
		err = tx.Exec(sqlReplace, d.Version, d.Deleted, d.Updated, d.Size(), d.Desired, d.Reported, []byte(d.times),
			d.mark.id, d.mark.number, d.row)
	} else {
		err = tx.QueryRow(sqlSave, thing, name, d.Version, d.Deleted, d.Updated, d.Size(), d.Desired, d.Reported, []byte(d.times),
			d.mark.id, d.mark.number).Scan(&d.row)
		if err == nil {
			err = tx.Exec(sqlFound, thing, name)
		}
	}
	if err != nil {
		return fmt.Errorf("write a shadow: %w", err)
	}
	return nil
}

// totals is what the bounds of the store count.
type totals struct{ shadows, deleted, bytes, journal int64 }

func (t totals) plus(u totals) totals {
	return totals{t.shadows + u.shadows, t.deleted + u.deleted, t.bytes + u.bytes, t.journal + u.journal}
}

func (t totals) negated() totals { return totals{-t.shadows, -t.deleted, -t.bytes, -t.journal} }

// change is what putting d in the place of old does to the totals.
func change(old, d *Document) (t totals) {
	count := func(d *Document, sign int64) {
		t.bytes += sign * int64(d.Size())
		if d.Exists() {
			t.shadows += sign
		} else if d.Deleted {
			t.deleted += sign
		}
	}
	count(old, -1)
	count(d, +1)
	return t
}

// count reads the totals.
func count(tx *sqlite.Tx) (t totals, err error) {
	rows, err := tx.Query(sqlTotals)
	if err != nil {
		return t, fmt.Errorf("count the shadows: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var deleted, n, bytes int64
		if err := rows.Scan(&deleted, &n, &bytes); err != nil {
			return t, fmt.Errorf("count the shadows: %w", err)
		}
		if t.bytes += bytes; deleted != 0 {
			t.deleted = n
		} else {
			t.shadows = n
		}
	}
	if err := rows.Err(); err != nil {
		return t, fmt.Errorf("count the shadows: %w", err)
	}
	return t, nil
}

// former finds the journal that a shadow without a row has left behind.
func former(tx *sqlite.Tx, thing, name string) (m mark, err error) {
	err = tx.QueryRow(sqlFind, thing, name).Scan(&m.id, &m.number)
	if errors.Is(err, sqlite.ErrNoRows) {
		return mark{}, nil
	}
	if err != nil {
		return mark{}, fmt.Errorf("find the former journal of a shadow: %w", err)
	}
	return m, nil
}

// floor is the version that shadows without a row go on from.
func floor(tx *sqlite.Tx) (version int64, err error) {
	if err = tx.QueryRow(sqlFloor).Scan(&version); err != nil {
		return 0, fmt.Errorf("find the version of a new shadow: %w", err)
	}
	return version, nil
}

// saveMark writes that a shadow has a newer entry in its journal.
func saveMark(tx *sqlite.Tx, thing, name string, d *Document) error {
	var err error
	if d.row != 0 {
		err = tx.Exec(sqlMark, d.mark.id, d.mark.number, d.row)
	} else {
		err = tx.Exec(sqlKeep, thing, name, d.mark.id, d.mark.number)
	}
	if err != nil {
		return fmt.Errorf("write a shadow: %w", err)
	}
	return nil
}
