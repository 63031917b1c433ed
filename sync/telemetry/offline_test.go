package telemetry_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// The offline matrix: online and offline in turn, with a restart inside each outage. The
// backlog drains by itself, though no new message comes.
func TestOfflineMatrix(t *testing.T) {
	const day = 24 * time.Hour
	for _, m := range []struct {
		on, off, every time.Duration
		turns          int
	}{
		{5 * time.Minute, 5 * time.Minute, time.Second, 3},
		{10 * time.Minute, 10 * time.Minute, time.Second, 2},
		{15 * time.Minute, 15 * time.Minute, 2 * time.Second, 2},
		{30 * time.Minute, 30 * time.Minute, 5 * time.Second, 2},
		{5 * time.Minute, 20 * time.Minute, 2 * time.Second, 3},
		{5 * time.Minute, 3 * day, time.Minute, 1},
		{5 * time.Minute, 20 * day, 10 * time.Minute, 1},
	} {
		t.Run(fmt.Sprint(m.on, " ", m.off), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, telemetry.Options{})
				n := 0
				publish := func(d time.Duration) {
					for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(m.every) {
						r.put("d", "t", strconv.Itoa(n), telemetry.Route{})
						n++
					}
				}
				for range m.turns {
					r.link.connect()
					publish(m.on)
					r.link.cut()
					publish(m.off / 2)
					r.restart()
					publish(m.off / 2)
				}
				if st := r.spool.Stats(); st.OldestAge < m.off/2 {
					t.Errorf("the oldest of %d waits for %v", st.Messages, st.OldestAge)
				}
				start := time.Now()
				r.link.connect()
				r.drained()
				if d := time.Since(start); d > time.Minute {
					t.Errorf("the backlog took %v", d)
				}
				r.wantOrder(map[string]int{"d t": n})
			})
		})
	}
}

// Topics that come once only leave nothing behind.
func TestManyTopics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.link.connect()
		for i := range 40_000 {
			r.put("d", fmt.Sprint("request/", i), "x", telemetry.Route{})
			if i%1000 == 0 {
				r.drained()
			}
		}
		r.drained()
		var n int
		err := r.db.View(context.Background(), func(tx *sqlite.Tx) error {
			return tx.QueryRow("SELECT count(*) FROM streams").Scan(&n)
		})
		if err != nil || n > 10_000 {
			t.Errorf("%d streams are remembered, %v", n, err)
		}
	})
}
