package localshadow

import "greengate/core/sqlite"

// versionLeap is more than the updates that one shadow sees between two copies of the
// database: a hundred a second for two hours and three quarters.
const versionLeap = 1_000_000

// NewerColumn is for sqlite.Keep: of two rows of one shadow that with the higher
// version is the newer.
func NewerColumn() map[string]string { return map[string]string{"shadows": "version"} }

// Mend is for sqlite.Keep. Versions never go back: what is restored may be older than
// what devices have seen, and they would take its next versions for old ones.
func Mend(tx *sqlite.Tx) error {
	return tx.Exec("UPDATE shadows SET version = version + ?", versionLeap)
}
