package telemetry_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// table is how many messages the table counts, without those that a start counts.
func (r *rig) table() (messages int64) {
	r.t.Helper()
	err := r.db.View(context.Background(), func(tx *sqlite.Tx) error {
		return tx.QueryRow("SELECT coalesce(sum(messages), 0) FROM waiting WHERE lane >= 0").Scan(&messages)
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return messages
}

// left is what a process without a spool reads of the database.
func (r *rig) left() (l telemetry.Left) {
	r.t.Helper()
	err := r.db.View(context.Background(), func(tx *sqlite.Tx) (err error) {
		l, err = telemetry.ReadLeft(tx)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

// What waits is counted right by each start, however much of it was in the table, and by
// who only reads.
func TestCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		total, behind := 0, false
		for _, n := range []int{1, 30, 500, 700, 2000, 5} {
			for i, p := range []telemetry.Priority{telemetry.High, telemetry.Normal, telemetry.Low} {
				r.number(fmt.Sprint("d", i), fmt.Sprint("t", total), 0, n, telemetry.Route{Key: fmt.Sprint("row", i), Priority: p})
			}
			total += 3 * n
			left := int64(total) - r.table()
			behind = behind || left > 0
			if l := r.left(); l.Messages() != int64(total) || l.Content["row1"] != total/3 || l.Bytes != r.spool.Stats().Bytes {
				t.Errorf("of %d without a spool %d are counted, %+v", total, l.Messages(), l)
			}
			if left < 0 || left > 1024+4096 {
				t.Errorf("the table has %d of %d", r.table(), total)
			}
			r.restart()
			content := r.spool.Content()
			if st := r.spool.Stats(); st.Messages != int64(total) || content["row0"] != total/3 || content["row2"] != total/3 {
				t.Fatalf("of %d the spool counts %d, content %v", total, st.Messages, content)
			}
		}
		if !behind {
			t.Error("each message was written to the table at once: nothing was tried")
		}
		r.link.connect()
		r.drained()
		if n := r.table(); n != 0 {
			t.Errorf("the table has %d when nothing waits", n)
		}
	})
}

// A route of which nothing waits is forgotten by a start, and known again when it is used.
func TestIdleRoute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.number("d", "t", 0, 10, telemetry.Route{Key: "idle", TTL: time.Hour})
		r.link.connect()
		r.drained()
		r.restart()
		r.number("d", "t", 10, 20, telemetry.Route{Key: "idle", TTL: time.Hour})
		r.restart()
		if content := r.spool.Content(); content["idle"] != 10 {
			t.Errorf("content %v", content)
		}
		r.link.connect()
		r.drained()
		r.wantOrder(map[string]int{"d t": 20})
	})
}
