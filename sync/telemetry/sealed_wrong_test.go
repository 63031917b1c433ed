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

func (r *rig) update(statements ...string) {
	r.t.Helper()
	err := r.db.Update(context.Background(), func(tx *sqlite.Tx) error {
		for _, sql := range statements {
			if err := tx.Exec(sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// Who writes to the card cannot have a message go for another: it goes to quarantine, and
// is not put back.
func TestChangedMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{Encrypt: newKey(t, 1)})
		r.number("d", "t", 0, 6, telemetry.Route{})
		r.update(
			"UPDATE messages_normal SET seq = 100 WHERE seq = 1", // two change places
			"UPDATE messages_normal SET seq = 1 WHERE seq = 2",
			"UPDATE messages_normal SET seq = 2 WHERE seq = 100",
			"INSERT INTO messages_high SELECT * FROM messages_normal WHERE seq = 4", // one goes before the others
			"DELETE FROM messages_normal WHERE seq = 4",
			"UPDATE messages_normal SET body = CAST(substr(body, 1, length(body) - 1) || x'00' AS BLOB) WHERE seq = 5", // a bit has flipped
		)
		r.restart()
		r.link.connect()
		r.wait("end", func() bool { _, settled := r.counts(); return settled == 6 })
		if got := fmt.Sprint(r.link.payloads()); got != "[2 5]" {
			t.Errorf("came %v", got)
		}
		if got := fmt.Sprint(r.quarantined()); strings.Count(got, "somebody has changed it") != 3 || strings.Count(got, "checksum") != 1 {
			t.Errorf("in quarantine are %q", got)
		}
		n, err := r.spool.Requeue(context.Background(), func(telemetry.Record) (telemetry.Route, bool) { return telemetry.Route{Key: "row"}, true })
		if n != 0 || err != nil {
			t.Errorf("%d put back, %v", n, err)
		}
		n, err = r.spool.Discard(context.Background(), func(telemetry.Record) bool { return true })
		if n != 4 || err != nil {
			t.Errorf("%d deleted, %v", n, err)
		}
	})
}

// A stream keeps its order over a change of the key, also when its row has another priority
// from then on.
func TestOrderOverKeys(t *testing.T) {
	for name, restore := range map[string]bool{"rotated": false, "restored": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				first, second := newKey(t, 1), newKey(t, 2)
				r := newRig(t, telemetry.Options{Encrypt: first})
				r.number("d", "t", 0, 600, telemetry.Route{Priority: telemetry.Low})
				if restore {
					if err := r.db.Update(context.Background(), telemetry.Mend); err != nil {
						t.Fatal(err)
					}
				}
				r.o.Encrypt, r.o.Decrypt = second, []string{first}
				r.restart()
				r.number("d", "t", 600, 900, telemetry.Route{Priority: telemetry.High, LiveShare: 1})
				if st := r.spool.Stats(); st.ByPriority["low"].Messages != 900 || st.Messages != 900 {
					t.Errorf("stats %+v", st)
				}
				r.link.connect()
				r.drained()
				r.wantOrder(map[string]int{"d t": 900})
			})
		})
	}
}

// When a key is lost, somebody deletes what it alone could read, and nothing else.
func TestDiscardUnreadable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{Encrypt: newKey(t, 1)})
		r.link.check = func(topic string, _ int) error {
			if topic == "bad" {
				return errors.New("no")
			}
			return nil
		}
		r.put("d", "bad", "x", telemetry.Route{})
		r.flushed()
		r.link.connect()
		r.wait("quarantine", func() bool { return r.spool.Stats().Quarantined == 1 })
		r.link.cut()
		r.number("d", "t", 0, 600, telemetry.Route{})
		r.o.Encrypt = newKey(t, 2)
		r.restart()
		r.number("e", "t", 0, 10, telemetry.Route{})
		if got := fmt.Sprint(r.quarantined()); !strings.Contains(got, "it is encrypted with the key ") {
			t.Errorf("in quarantine are %q", got)
		}
		n, err := r.spool.DiscardUnreadable(context.Background())
		if n != 601 || err != nil {
			t.Errorf("%d deleted, %v", n, err)
		}
		if st := r.spool.Stats(); st.Unreadable != 0 || st.Messages != 10 || st.Quarantined != 0 || st.Dropped[telemetry.ReasonUnreadable] != 600 || len(r.spool.Faults()) != 0 {
			t.Errorf("stats %+v, faults %q", st, r.spool.Faults())
		}
		r.link.connect()
		r.drained()
		r.wantOrder(map[string]int{"e t": 10})
		if s := r.settlements(); s["dropped unreadable"] != 600 {
			t.Errorf("settled %v", s)
		}
	})
}

// What cannot be read leaves like all else when its time is up or its room is needed, and
// is counted.
func TestUnreadableLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{Encrypt: newKey(t, 1), MaxSize: 1 << 20})
		r.number("d", "t", 0, 100, telemetry.Route{Key: "short", TTL: time.Hour})
		large := strings.Repeat("x", 20<<10)
		for range 20 {
			r.put("d", "t", large, telemetry.Route{})
		}
		r.flushed()
		r.o.Encrypt = newKey(t, 2)
		r.restart()
		if st := r.spool.Stats(); st.Unreadable != 120 {
			t.Errorf("stats %+v", st)
		}
		r.number("e", "t", 0, 200, telemetry.Route{})
		time.Sleep(61 * time.Minute)
		r.wait("count", func() bool { return r.spool.Stats().Unreadable == 20 })
		for range 30 {
			r.put("d", "t", large, telemetry.Route{})
		}
		r.flushed()
		r.wait("count", func() bool { return r.spool.Stats().Unreadable == 0 })
		if s := r.settlements(); s["expired ttl"] != 100 || s["dropped full-oldest"] < 20 {
			t.Errorf("settled %v", s)
		}
		if len(r.spool.Unreadable()) != 0 {
			t.Errorf("said %q", r.spool.Unreadable())
		}
		r.link.connect()
		r.drained()
	})
}
