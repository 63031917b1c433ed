package shadows

import (
	"errors"
	"fmt"
	"strings"

	"greengate/core/sqlite"
)

// cloudSide is the cloud's document.
type cloudSide struct {
	found   bool
	version int64 // of the deleted one when it is not found, or 0
	document
}

// row is what the table sync keeps of a shadow.
type row struct {
	stored bool // there is such a row: the cloud was asked about this shadow
	cloud  cloudSide
	// sent are the states that left for the cloud with the version cloud.version,
	// and may have arrived. One may still arrive as long as that version stands.
	sent      []document
	gone      bool   // the local document was deleted, and not just lost
	blocked   string // why the cloud takes nothing
	blockedAt int64  // the mark of what is here that it does not take
	conflict  int64  // when there was the last one, Unix milliseconds
	// former is the highest version of documents that are gone, when the cloud's versions
	// began anew below it; 0 when they never did.
	former int64
}

// columns are a row as the table has it.
type columns struct {
	found, version      int64
	desired, reported   string
	times               string
	sent                string
	gone                int64
	blocked             string
	blockedAt, conflict int64
	former              int64
}

const (
	sqlColumns = `found, version, desired, reported, times, sent, gone, blocked, blocked_at, conflict, former`

	sqlLoad = `SELECT ` + sqlColumns + ` FROM sync WHERE thing = ? AND name = ?`

	sqlSave = `INSERT INTO sync (` + sqlColumns + `, thing, name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (thing, name) DO UPDATE SET found = excluded.found, version = excluded.version,
			desired = excluded.desired, reported = excluded.reported, times = excluded.times,
			sent = excluded.sent, gone = excluded.gone, blocked = excluded.blocked,
			blocked_at = excluded.blocked_at, conflict = excluded.conflict, former = excluded.former`

	sqlRemove = `DELETE FROM sync WHERE thing = ? AND name = ?`

	sqlTotals = `SELECT thing, count(*), count(nullif(blocked, '')), count(nullif(conflict, 0)) FROM sync GROUP BY thing`
)

// dest is where a query for sqlColumns puts a row.
func (c *columns) dest() []any {
	return []any{&c.found, &c.version, &c.desired, &c.reported, (*text8)(&c.times), &c.sent,
		&c.gone, &c.blocked, &c.blockedAt, &c.conflict, &c.former}
}

// text8 is a BLOB in a string, so that columns can be compared.
type text8 string

// Scan is sql.Scanner.
func (t *text8) Scan(v any) error {
	switch v := v.(type) {
	case []byte:
		*t = text8(v)
	case nil:
		*t = ""
	default:
		return fmt.Errorf("read a BLOB: it is a %T", v)
	}
	return nil
}

// load reads a row, and whether there is one. One that cannot be understood is as
// good as none: the two sides meet as if for the first time.
func load(tx *sqlite.Tx, k key) (r row, c columns, had bool, err error) {
	err = tx.QueryRow(sqlLoad, k.thing, k.name).Scan(c.dest()...)
	if errors.Is(err, sqlite.ErrNoRows) {
		return row{}, columns{}, false, nil
	}
	if err != nil {
		return row{}, c, false, fmt.Errorf("read the sync state of a shadow: %w", err)
	}
	if r, err = c.row(); err != nil {
		return row{}, c, true, nil
	}
	return r, c, true, nil
}

func (c *columns) row() (r row, err error) {
	r = row{
		stored: true, gone: c.gone != 0, blocked: c.blocked, blockedAt: c.blockedAt, conflict: c.conflict, former: c.former,
		cloud: cloudSide{found: c.found != 0, version: c.version},
	}
	if r.cloud.document, err = parseDocument(c.desired, c.reported); err != nil {
		return r, err
	}
	r.cloud.document = unpackTimes(r.cloud.document, []byte(c.times))
	if c.sent != "" {
		list, err := parse(c.sent)
		if err != nil {
			return r, err
		}
		for _, state := range list.items {
			r.sent = append(r.sent, newDocument(state))
		}
	}
	return r, nil
}

func (r *row) columns() columns {
	bit := func(b bool) int64 {
		if b {
			return 1
		}
		return 0
	}
	c := columns{
		found: bit(r.cloud.found), version: r.cloud.version, times: string(packTimes(r.cloud.document)),
		desired: string(r.cloud.desired.json()), reported: string(r.cloud.reported.json()),
		gone: bit(r.gone), blocked: r.blocked, blockedAt: r.blockedAt, conflict: r.conflict, former: r.former,
	}
	if len(r.sent) > 0 {
		var b strings.Builder
		for i, s := range r.sent {
			b.WriteByte("[,"[min(i, 1)])
			b.Write(s.state().json())
		}
		c.sent = b.String() + "]"
	}
	return c
}

// save writes a row, or removes it, if that changes anything.
func save(tx *sqlite.Tx, k key, r *row, old columns, had bool) error {
	var err error
	switch c := r.columns(); {
	case !r.stored && had:
		err = tx.Exec(sqlRemove, k.thing, k.name)
	case r.stored && (!had || c != old):
		err = tx.Exec(sqlSave, c.found, c.version, c.desired, c.reported, []byte(c.times), c.sent,
			c.gone, c.blocked, c.blockedAt, c.conflict, c.former, k.thing, k.name)
	}
	if err != nil {
		return fmt.Errorf("write the sync state of a shadow: %w", err)
	}
	return nil
}
