package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// fillFile takes all the room that the database has left.
func (r *rig) fillFile() {
	r.t.Helper()
	r.exec("CREATE TABLE filler (x BLOB)")
	for size := 256 << 10; size > 16; {
		err := r.db.Update(context.Background(), func(tx *sqlite.Tx) error {
			return tx.Exec("INSERT INTO filler VALUES (zeroblob(?))", size)
		})
		if errors.Is(err, sqlite.ErrFull) {
			size /= 2
		} else if err != nil {
			r.t.Fatal(err)
		}
	}
}

// A spool that starts on a full disk is a fault, and not the end of the gateway: what
// comes waits for its acknowledgement, and goes on, behind what was there, when there is
// room.
func TestBeginsOnAFullDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.stop()
		r.maxBytes = 2 << 20
		r.start()
		for i := range 1000 {
			r.put("before", fmt.Sprintf("topic/%d", i), "1", telemetry.Route{})
		}
		r.flushed()
		// The start has to write these anew.
		r.exec("DELETE FROM streams", "UPDATE state SET streams = NULL")
		r.fillFile()
		r.restart()
		r.put("after", "topic", "2", telemetry.Route{})
		time.Sleep(10 * time.Second)
		if stored, _ := r.counts(); stored != 1000 {
			t.Errorf("%d messages are acknowledged, want the 1000 of before", stored)
		}
		if text := fmt.Sprint(r.spool.Faults()); !contains(r.spool.Faults(), "cannot write") || !strings.Contains(text, sqlite.ErrFull.Error()) {
			t.Errorf("faults %q, want one of the full disk", text)
		}

		r.exec("DROP TABLE filler")
		r.wait("all on the disk", func() bool { stored, _ := r.counts(); return stored == 1001 })
		if text := r.spool.Faults(); contains(text, "cannot write") {
			t.Errorf("with room there is the fault %q", text)
		}
		r.link.connect()
		r.drained()
	})
}
