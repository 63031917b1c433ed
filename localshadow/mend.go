package localshadow

import "greengate/core/sqlite"

// versionLeap is more than the updates that one shadow sees between two copies of the
// database: a hundred a second for two hours and three quarters.
const versionLeap = 1_000_000

// NewerColumn is for sqlite.Keep: of two rows of one shadow that with the higher
// version is the newer. An entry of the journal is never changed but for a row of
// updates that changed nothing.
func NewerColumn() map[string]string { return map[string]string{"shadows": "version"} }

// Mend is for sqlite.Keep. Versions never go back: what is restored may be older than
// what devices have seen, and they would take its next versions for old ones. The
// journal tells of the leap, and so reaches back over it. What the cloud was known to
// have is forgotten: next to a document that went back it would make the old values
// look like changes.
func Mend(tx *sqlite.Tx) error {
	for _, s := range [...]struct {
		sql  string
		args []any
	}{
		{`UPDATE shadows SET version = version + ?`, []any{versionLeap}},
		{`INSERT INTO journal (thing, name, before, first, version, deleted, at, kind, source, detail, changes, conflicts, bytes, size)
			SELECT thing, name, CASE deleted WHEN 1 THEN ?1 - version ELSE version - ?1 END, version, version, 0,
				unixepoch() * 1000, 'gateway', '', 'restored after damage', '', '', ?2 + length(thing) + length(name), 0
			FROM shadows`, []any{versionLeap, entryBytes + len("gateway") + len("restored after damage")}},
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
		{`DELETE FROM sync`, nil},
	} {
		if err := tx.Exec(s.sql, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// sqlHeads are the newest entries of all shadows.
const sqlHeads = `SELECT thing, name, max(id) AS id, max(number) AS number FROM journal GROUP BY thing, name`
