package localshadow

import (
	"fmt"
	"time"

	"greengate/core/sqlite"
)

// remembered is how long the version of a deleted shadow lives on at least, in seconds
// (AWS: device-shadow-data-flow, "DELETE").
const remembered = 48 * 60 * 60

// deletionClock dates deletions. It counts the seconds in which the service runs, and a
// start goes on from the newest date in the store: a machine without an RTC sets its clock
// by decades, and no deletion is older for that.
type deletionClock struct {
	from  int64
	since time.Time
}

func (c deletionClock) now() int64 { return c.from + int64(time.Since(c.since)/time.Second) }

const (
	sqlNewestDeletion = `SELECT coalesce(max(updated), ?) FROM shadows WHERE deleted = 1`

	// The versions of deleted shadows that are remembered no longer: those whose
	// time has passed, and the oldest beyond the bound. A deletion that sync/shadows has
	// not seen, since the thing is not in sync now, stays: the cloud would undo it.
	ofForgotten = ` FROM shadows WHERE deleted = 1 AND (updated < ? OR id IN (
		SELECT id FROM shadows WHERE deleted = 1 ORDER BY updated DESC LIMIT -1 OFFSET ?))
		AND NOT EXISTS (SELECT 1 FROM sync WHERE sync.thing = shadows.thing AND sync.name = shadows.name AND gone = 0)`
	sqlForget = `DELETE` + ofForgotten

	// Their journals outlive them.
	sqlFormer    = `INSERT OR REPLACE INTO former (thing, name, entry, entries) SELECT thing, name, entry, entries` + ofForgotten
	sqlFormerOld = `DELETE FROM former WHERE entry < (SELECT coalesce(min(id), 0) FROM journal)`
)

// forget removes the rows of deleted shadows that nobody can come back to, and
// returns how many there were.
func forget(tx *sqlite.Tx, before int64, keep int) (n int64, err error) {
	if err = tx.Exec(sqlFormer, before, keep); err == nil {
		err = tx.Exec(sqlForget, before, keep)
	}
	if err == nil {
		n, err = tx.Changes()
	}
	if err == nil && n > 0 {
		err = tx.Exec(sqlFormerOld)
	}
	if err != nil {
		return 0, fmt.Errorf("forget deleted shadows: %w", err)
	}
	return n, nil
}
