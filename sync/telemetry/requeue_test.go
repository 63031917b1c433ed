package telemetry_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// byRow puts every message back by the row with that key.
func byRow(key string) func(telemetry.Record) (telemetry.Route, bool) {
	return func(telemetry.Record) (telemetry.Route, bool) { return telemetry.Route{Key: key}, true }
}

// refuseTopic has the cloud refuse a topic for good.
func (r *rig) refuseTopic(topic string) {
	r.link.check = func(t string, _ int) error {
		if t == topic {
			return errors.New("not authorized (0x87)")
		}
		return nil
	}
}

// What is put back goes up behind what waits, with the time that it had, and the counts
// balance: each acceptance has one end.
func TestRequeue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		requeued := 0
		r := newRig(t, telemetry.Options{Synced: func() bool { return true }, Requeued: func(route string, n int) {
			if route != "anew" {
				t.Errorf("%d of %s are put back", n, route)
			}
			requeued += n
		}})
		r.refuseTopic("secret")
		r.number("d", "secret", 0, 10, telemetry.Route{TTL: time.Hour})
		r.number("d", "secret", 10, 11, telemetry.Route{TTL: time.Hour})
		accepted := time.Now()
		r.link.connect()
		r.drained()
		r.link.cut()
		r.restart()
		time.Sleep(2 * time.Hour)
		r.number("d", "t", 0, 50, telemetry.Route{})
		n, err := r.spool.Requeue(context.Background(), func(m telemetry.Record) (telemetry.Route, bool) {
			return telemetry.Route{Key: "anew"}, m.Topic == "secret" && string(m.Payload) != "10" && m.Quarantine != ""
		})
		if n != 10 || err != nil || requeued != 10 {
			t.Fatalf("%d were put back, and told %d: %v", n, requeued, err)
		}
		if st := r.spool.Stats(); st.Messages != 60 || st.Quarantined != 1 || st.Requeued != 10 || r.spool.Content()["anew"] != 10 {
			t.Errorf("stats are %+v, content %v", st, r.spool.Content())
		}
		r.restart() // it is on the disk
		time.Sleep(2 * time.Hour)
		r.refuseTopic("")
		r.puts += n
		r.link.connect()
		r.drained()
		r.wantOrder(map[string]int{"d secret": 10, "d t": 50})
		if first := r.firstAfter("secret", 0); first < 50 {
			t.Errorf("the first one that was put back came as number %d, before what waited", first)
		}
		for _, p := range r.link.got() {
			at, err := time.Parse(time.RFC3339, property(p, "gg-time"))
			if p.Topic == "secret" && (err != nil || at.Sub(accepted).Abs() > time.Second || property(p, "gg-clock") != "synced") {
				t.Errorf("of %s at %v: gg-time is %s %s", p.Payload, accepted, property(p, "gg-time"), property(p, "gg-clock"))
			}
		}
		if s := r.settlements(); s["quarantined quarantine"] != 11 || s["sent"] != 60 {
			t.Errorf("settled %v", s)
		}
	})
}

// Messages that come meanwhile neither lose their order nor are passed over, and no end
// is told before what was put back is counted.
func TestRequeueAmongOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		counted := 0
		r := newRig(t, telemetry.Options{Requeued: func(_ string, n int) { counted += n }})
		r.refuseTopic("secret")
		r.link.connect()
		r.number("d", "secret", 0, 20, telemetry.Route{})
		r.drained()
		next := 0
		for range 10 {
			for range 100 {
				r.put("d", "t", strconv.Itoa(next), telemetry.Route{Priority: telemetry.Priority(next / 300 % 3)})
				next++
			}
			n, err := r.spool.Requeue(context.Background(), byRow("row"))
			if err != nil {
				t.Fatal(err)
			}
			r.mu.Lock()
			r.puts += n
			if r.total > r.puts || n == 0 {
				t.Errorf("%d ends were told of %d messages; %d were put back", r.total, r.puts, n)
			}
			r.mu.Unlock()
			time.Sleep(300 * time.Millisecond) // the cloud refuses them again
		}
		r.drained()
		r.refuseTopic("")
		n, err := r.spool.Requeue(context.Background(), byRow("row"))
		if n != 20 || err != nil {
			t.Fatalf("%d were put back: %v", n, err)
		}
		r.puts += n
		r.drained()
		r.wantOrder(map[string]int{"d t": 1000, "d secret": 20})
		if counted != r.puts-1020 || r.spool.Stats().Requeued != uint64(counted) {
			t.Errorf("%d counted, of %d messages", counted, r.puts)
		}
	})
}

// Somebody can delete what is in quarantine: it was settled when it came there.
func TestDiscard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.refuseTopic("secret")
		r.link.connect()
		r.number("d", "secret", 0, 20, telemetry.Route{})
		r.drained()
		n, err := r.spool.Discard(context.Background(), func(m telemetry.Record) bool { return len(m.Payload) == 2 })
		if n != 10 || err != nil {
			t.Errorf("%d were deleted: %v", n, err)
		}
		if st := r.spool.Stats(); len(r.quarantined()) != 10 || st.Quarantined != 10 || st.Discarded != 10 || r.total != 20 {
			t.Errorf("in quarantine are %q, stats %+v", r.quarantined(), st)
		}
	})
}

// What cannot be put back stays where it is.
func TestRequeueFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{MaxSize: 1 << 20, Requeued: func(string, int) { t.Error("something was put back") }})
		r.refuseTopic("secret")
		r.link.connect()
		big := strings.Repeat("x", 30000)
		keep := telemetry.Route{Key: "row", WhenFull: telemetry.DropNewest}
		for range 4 {
			r.put("d", "secret", big, keep)
		}
		r.drained()
		damage := func(tx *sqlite.Tx) error {
			return tx.Exec("UPDATE quarantine SET reason = 'the disk has damaged it: its checksum is wrong' WHERE seq = 1")
		}
		if err := r.db.Update(context.Background(), damage); err != nil {
			t.Fatal(err)
		}
		if n, err := r.spool.Requeue(context.Background(), func(m telemetry.Record) (telemetry.Route, bool) {
			return keep, m.Seq == 1
		}); n != 0 || err != nil {
			t.Errorf("of what is damaged %d were put back: %v", n, err)
		}
		r.link.cut()
		for range 30 {
			r.put("d", "t", big, keep)
		}
		r.flushed()
		all := func(telemetry.Record) (telemetry.Route, bool) { return keep, true }
		if n, err := r.spool.Requeue(context.Background(), all); n != 0 || !errors.Is(err, telemetry.ErrNoRoom) {
			t.Errorf("%d were put back into a full spool: %v", n, err)
		}
		if n, err := r.spool.Requeue(context.Background(), func(telemetry.Record) (telemetry.Route, bool) {
			return telemetry.Route{LiveShare: 2}, true
		}); n != 0 || err == nil {
			t.Errorf("by a route that is wrong %d were put back: %v", n, err)
		}
		if got := r.quarantined(); len(got) != 4 || r.spool.Stats().Quarantined != 4 {
			t.Errorf("in quarantine are %q", got)
		}
		r.link.connect()
		r.drained() // the intake goes on
		r.stop()
		if n, err := r.spool.Requeue(context.Background(), all); n != 0 || !errors.Is(err, telemetry.ErrStopped) {
			t.Errorf("after the end %d were put back: %v", n, err)
		}
	})
}
