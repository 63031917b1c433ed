package telemetry_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// A spool of which the messages alone could be read sends them all, in order, counts
// them right, and uses no number again.
func TestMend(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		high := telemetry.Route{Key: "a", Priority: telemetry.High, LiveShare: 0.5}
		r.number("thermo", "high", 0, 30, high)
		r.number("thermo", "low", 0, 30, telemetry.Route{Key: "b", Priority: telemetry.Low})
		err := r.db.Update(context.Background(), func(tx *sqlite.Tx) error {
			for _, sql := range []string{
				"DELETE FROM routes WHERE key = 'b'", "DELETE FROM streams", "UPDATE state SET reserved = 3",
				"DELETE FROM waiting WHERE route = 1", "UPDATE waiting SET messages = 7",
				// One was put aside after the copy was made.
				"INSERT INTO quarantine (seq, lane, route, reason, at, source, topic, mono, wall, ttl, flags, properties, payload) VALUES (1, 0, 'a', 'no', 0, 'thermo', 'high', 0, 0, 0, 0, NULL, x'30')",
			} {
				if err := tx.Exec(sql); err != nil {
					return err
				}
			}
			return telemetry.Mend(tx)
		})
		if err != nil {
			t.Fatal(err)
		}
		r.restart()
		content, stats := r.spool.Content(), r.spool.Stats()
		if content["a"] != 29 || len(content) != 2 || stats.Messages != 59 {
			t.Errorf("content %v, stats %+v, want 29 messages of a and 30 of a lost route", content, stats)
		}
		r.number("thermo", "high", 30, 35, high)
		r.link.connect()
		r.wait("end", func() bool { return r.spool.Stats().Messages == 0 })
		next := map[string]int{"high": 1}
		for _, p := range r.link.got() {
			if want := strconv.Itoa(next[p.Topic]); string(p.Payload) != want {
				t.Fatalf("%s: %s came when %s was to come", p.Topic, p.Payload, want)
			}
			next[p.Topic]++
			if seq, _ := strconv.ParseInt(property(p, "gg-seq"), 10, 64); next[p.Topic] > 30 && p.Topic == "high" && seq < time.Now().Add(-time.Hour).UnixMilli() {
				t.Errorf("a new message has the number %d, which may have been used", seq)
			}
		}
		if next["high"] != 35 || next["low"] != 30 {
			t.Errorf("up to %v came", next)
		}
	})
}
