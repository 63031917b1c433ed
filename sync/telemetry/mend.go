package telemetry

import (
	"fmt"
	"time"

	"greengate/core/sqlite"
)

// mends are the statements that make what was read of a damaged spool whole again:
// what other rows say is said anew, and a message whose route is lost goes without its
// wishes. What was moved to quarantine after the copy is not sent again.
var mends = func() (all []string) {
	all = append(all, "DELETE FROM waiting", "DELETE FROM streams")
	for lane := range lanes {
		table := "messages_" + priorityOf[lane].String()
		all = append(all,
			"DELETE FROM "+table+" WHERE seq IN (SELECT seq FROM quarantine)",
			fmt.Sprintf("INSERT INTO waiting (route, lane, messages, bytes)"+
				" SELECT route, %d, count(*), sum(octet_length(topic) + length(payload)) FROM %s GROUP BY route", lane, table))
	}
	return append(all, "INSERT OR IGNORE INTO routes (id, key, settings)"+
		" SELECT DISTINCT route, 'lost-' || route, '{}' FROM waiting WHERE route NOT IN (SELECT id FROM routes)")
}()

// Mend is for sqlite.Keep. No seq is used twice although it is not known how far they
// had come: they go on from what the clock says in milliseconds, which is more than
// any spool has counted by itself.
func Mend(tx *sqlite.Tx) error {
	for _, sql := range mends {
		if err := tx.Exec(sql); err != nil {
			return err
		}
	}
	var reserved int64
	if err := tx.QueryRow("SELECT coalesce(max(reserved), 0) FROM state").Scan(&reserved); err != nil {
		return err
	}
	for lane := range lanes {
		last, err := mendStreams(tx, lane)
		if err != nil {
			return err
		}
		reserved = max(reserved, last)
	}
	return tx.Exec("INSERT OR REPLACE INTO state (id, reserved) VALUES (1, ?)", max(reserved, time.Now().UnixMilli()))
}

// mendStreams notes where the messages of each stream are, and returns the last seq.
func mendStreams(tx *sqlite.Tx, lane laneID) (last int64, err error) {
	rows, err := tx.Query("SELECT source, topic, max(seq) FROM messages_" + priorityOf[lane].String() + " GROUP BY source, topic")
	if err != nil {
		return 0, err
	}
	for rows.Next() {
		var source, topic string
		var seq int64
		if err := rows.Scan(&source, &topic, &seq); err != nil {
			return 0, err
		}
		last = max(last, seq)
		if err := tx.Exec("INSERT OR REPLACE INTO streams (hash, lane, last) VALUES (?, ?, ?)", hashOf(source, topic), int(lane), seq); err != nil {
			return 0, err
		}
	}
	return last, rows.Err()
}
