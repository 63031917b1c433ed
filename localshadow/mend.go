package localshadow

import (
	"errors"
	"fmt"
	"time"

	"greengate/core/sqlite"
)

// By how much versions leap: by more than the updates that a shadow can have had since.
const (
	// versionLeap is for those between two copies of the database: a hundred a second
	// for two hours and three quarters.
	versionLeap = 1_000_000
	// leapASecond comes to it for each second that a backup is older than an hour: AWS
	// lets a thing have so many.
	leapASecond = 20
	// leapSeconds bounds these, a year, lest a wrong clock makes versions that 32 bits
	// cannot hold.
	leapSeconds = 366 * 24 * 3600
)

// NewerColumn is for sqlite.Keep: of two rows of one shadow that with the higher
// version is the newer. An entry of the journal is never changed but for a row of
// updates that changed nothing.
func NewerColumn() map[string]string {
	return map[string]string{"shadows": "version", "floor": "version"}
}

// Mend is for what was read row by row out of a damaged database, see MendCopy. What the
// cloud was known to have is forgotten: next to a document of an earlier moment it would
// make the old values look like changes.
func Mend(tx *sqlite.Tx) error {
	if err := tx.Exec(`DELETE FROM sync`); err != nil {
		return err
	}
	return mend(tx, "restored after damage")
}

// MendCopy is for a copy of the database that takes its place, such as a backup. Versions
// never go back: the copy is older than what devices have seen, and they would take its
// next versions for old ones. So do those of shadows that the copy does not have, should they
// be made again. The journal tells of the leap, and so reaches back over it.
//
// What the cloud was known to have stays, since it is of the same moment as the documents:
// whatever was changed or deleted in the cloud since then comes down, and nothing that has
// gone from both sides comes back. Its versions are the cloud's, and do not leap; what the
// cloud has refused is tried once more.
func MendCopy(tx *sqlite.Tx) error { return mend(tx, "restored from a copy") }

func mend(tx *sqlite.Tx, why string) error {
	now := time.Now()
	leap, err := leapSince(tx, now)
	if err != nil {
		return err
	}
	for _, s := range [...]struct {
		sql  string
		args []any
	}{
		{`UPDATE shadows SET version = version + ?`, []any{leap}},
		{`INSERT INTO floor (id, version) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET version = version + excluded.version`, []any{leap}},
		{`INSERT INTO journal (thing, name, before, first, version, deleted, at, kind, source, detail, changes, conflicts, bytes, size)
			SELECT thing, name, CASE deleted WHEN 1 THEN ?1 - version ELSE version - ?1 END, version, version, 0,
				?2, 'gateway', '', ?3, '', '', ?4 + length(thing) + length(name), 0
			FROM shadows`, []any{leap, now.UnixMilli(), why, entryBytes + len("gateway") + len(why)}},
		{`UPDATE journal SET size = (SELECT sum(bytes) FROM journal) WHERE id = (SELECT max(id) FROM journal)`, nil},
		// What was lost may have been a part of each chain, and its end.
		{`UPDATE journal SET prev = c.prev, number = c.number FROM (
			SELECT id, lag(id, 1, 0) OVER w AS prev, row_number() OVER w AS number FROM journal
			WINDOW w AS (PARTITION BY thing, name ORDER BY id)) AS c WHERE c.id = journal.id`, nil},
		{`UPDATE shadows SET entry = h.id, entries = h.number FROM (` + sqlHeads + `) AS h
			WHERE h.thing = shadows.thing AND h.name = shadows.name`, nil},
		{`DELETE FROM former`, nil},
		{`INSERT INTO former (thing, name, entry, entries) SELECT thing, name, id, number FROM (` + sqlHeads + `) AS h
			WHERE NOT EXISTS (SELECT 1 FROM shadows s WHERE s.thing = h.thing AND s.name = h.name)`, nil},
	} {
		if err := tx.Exec(s.sql, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// sqlHeads are the newest entries of all shadows.
const sqlHeads = `SELECT thing, name, max(id) AS id, max(number) AS number FROM journal GROUP BY thing, name`

// leapSince is by how much versions leap now; the newest entry of the journal tells how
// old the rows are.
func leapSince(tx *sqlite.Tx, now time.Time) (int64, error) {
	newest := now.UnixMilli()
	err := tx.QueryRow(`SELECT at FROM journal ORDER BY id DESC LIMIT 1`).Scan(&newest)
	if err != nil && !errors.Is(err, sqlite.ErrNoRows) {
		return 0, fmt.Errorf("find how old the shadows are: %w", err)
	}
	older := int64((now.Sub(time.UnixMilli(newest)) - time.Hour) / time.Second)
	return versionLeap + leapASecond*min(max(0, older), leapSeconds), nil
}
