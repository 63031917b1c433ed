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
		{`UPDATE shadows SET version = version + ?, entry = 0`, []any{versionLeap}},
		{`INSERT INTO journal (thing, name, before, first, version, deleted, at, kind, source, detail, changes, conflicts, bytes, size)
			SELECT thing, name, CASE deleted WHEN 1 THEN ?1 - version ELSE version - ?1 END, version, version, 0,
				unixepoch() * 1000, 'gateway', '', 'restored after damage', '', '', ?2 + 2 * (length(thing) + length(name)), 0
			FROM shadows`, []any{versionLeap, entryBytes + len("gateway") + len("restored after damage")}},
		{`UPDATE journal SET size = (SELECT sum(bytes) FROM journal) WHERE id = (SELECT max(id) FROM journal)`, nil},
		{`DELETE FROM sync`, nil},
	} {
		if err := tx.Exec(s.sql, s.args...); err != nil {
			return err
		}
	}
	return nil
}
