package telemetry

import (
	"time"

	"greengate/core/sqlite"
)

const sqlLostRoutes = "INSERT OR IGNORE INTO routes (id, key, settings)" +
	" SELECT DISTINCT route, 'lost-' || route, '{}' FROM waiting WHERE route NOT IN (SELECT id FROM routes)"

// Mend is for sqlite.Keep: it makes what was read of a damaged spool whole again. What
// other rows say is said anew (that of streams by the next start, which has the keys), a
// message whose route is lost goes without its wishes, and what was moved to quarantine
// after the copy is not sent again.
//
// No seq is used twice although it is not known how far they had come: they go on from
// what the clock says in milliseconds, which is more than any spool has counted by itself.
func Mend(tx *sqlite.Tx) error {
	for _, sql := range []string{"DELETE FROM waiting", "DELETE FROM streams"} {
		if err := tx.Exec(sql); err != nil {
			return err
		}
	}
	var reserved int64
	if err := tx.QueryRow("SELECT coalesce(max(reserved), 0) FROM state").Scan(&reserved); err != nil {
		return err
	}
	for lane := range lanes {
		last, err := mendLane(tx, lane)
		if err != nil {
			return err
		}
		reserved = max(reserved, last)
	}
	if err := tx.Exec(sqlLostRoutes); err != nil {
		return err
	}
	reserved = max(reserved, time.Now().UnixMilli())
	if err := counted(tx, reserved); err != nil {
		return err
	}
	return tx.Exec("INSERT OR REPLACE INTO state (id, reserved, streams) VALUES (1, ?, NULL)", reserved)
}

// mendLane notes how much waits in a lane, and returns the last seq.
func mendLane(tx *sqlite.Tx, lane laneID) (last int64, err error) {
	err = tx.Exec("DELETE FROM messages_" + priorityOf[lane].String() + " WHERE seq IN (SELECT seq FROM quarantine)")
	if err != nil {
		return 0, err
	}
	waiting := map[int64]count{}
	_, err = heads(tx, lane, 0, -1, func(seq int64, h *head, size int64) {
		n := waiting[h.route]
		n.add(count{1, size})
		waiting[h.route] = n
		last = seq
	})
	if err != nil {
		return 0, err
	}
	for id, n := range waiting {
		if err := account(tx, &route{id: id}, lane, n); err != nil {
			return 0, err
		}
	}
	return last, nil
}
