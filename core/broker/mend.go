package broker

import "greengate/core/sqlite"

// Mend is for sqlite.Keep: what waits for a device and its subscriptions must not be
// lost with the row of its session. How long that was to be kept is not known, so it
// is a week.
func Mend(tx *sqlite.Tx) error {
	return tx.Exec("INSERT OR IGNORE INTO sessions (thing, expiry)" +
		" SELECT thing, 7 * 86400 FROM subscriptions UNION SELECT thing, 7 * 86400 FROM queue")
}
