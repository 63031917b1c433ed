package broker

import "greengate/core/sqlite"

// Mend is for sqlite.Keep: what waits for a device and its subscriptions must not be
// lost with the row of its session. How long that was to be kept is not known, so it
// is a week. Rows of the past do not tell which ids are in use now: an id that was
// released since would swallow a new message. So QoS 2 messages may be repeated, and
// what waits comes under other ids.
func Mend(tx *sqlite.Tx) error {
	for _, sql := range []string{
		"INSERT OR IGNORE INTO sessions (thing, expiry)" +
			" SELECT thing, 7 * 86400 FROM subscriptions UNION SELECT thing, 7 * 86400 FROM queue",
		"DELETE FROM received",
		"DELETE FROM released",
		"UPDATE queue SET place = (SELECT abs(random() % 65535)) + ranks.r" +
			" FROM (SELECT n AS m, row_number() OVER (PARTITION BY thing ORDER BY n) AS r FROM queue) AS ranks" +
			" WHERE n = ranks.m",
	} {
		if err := tx.Exec(sql); err != nil {
			return err
		}
	}
	return nil
}
