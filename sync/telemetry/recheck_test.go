package telemetry_test

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"greengate/sync/telemetry"
)

// rowOf is a table that can lose the row of the device "gone".
type rowOf struct{ gone atomic.Bool }

func (r *rowOf) stands(source, topic string) bool {
	return !r.gone.Load() || source != "gone" || topic != "t"
}

// What no row leads to the cloud any more leaves while there is no cloud, and nothing else
// does.
func TestRecheckOffline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rows rowOf
		r := newRig(t, telemetry.Options{Stands: rows.stands, Bounds: telemetry.Bounds{Unsettled: 4, ReadAhead: 16}})
		r.link.fate = func(*telemetry.Publish, int) fate { return fate{lose: true} }
		const each = 3000
		for i := range each {
			r.put("stays", "t", strconv.Itoa(i), telemetry.Route{Key: "a", Priority: telemetry.Priority(i % 3)})
			r.put("gone", "t", strconv.Itoa(i), telemetry.Route{Key: "a"})
			r.put("gone", "u", strconv.Itoa(i), telemetry.Route{Key: "b"})
			if i%100 == 0 {
				r.flushed()
			}
		}
		r.flushed()
		r.link.connect() // it sends what is lost
		time.Sleep(time.Minute)
		r.link.cut()
		rows.gone.Store(true)
		r.spool.Recheck()
		r.wait("messages dropped", func() bool { return r.settlements()["dropped row-gone"] == each })
		if st := r.spool.Stats(); st.Messages != 2*each || st.Dropped["row-gone"] != each || len(r.spool.Faults()) != 0 {
			t.Errorf("stats %+v, faults %q", st, r.spool.Faults())
		}
		if n := r.spool.Content(); n["a"] != each || n["b"] != each {
			t.Errorf("content %v", n)
		}
		r.link.fate = nil
		r.link.connect()
		r.drained()
		r.wantOrder(map[string]int{"stays t": each, "gone u": each})
		if n := r.settlements(); n["sent"] != 2*each || n["dropped row-gone"] != each {
			t.Errorf("settled %v", n)
		}
	})
}

// So does what was read ahead and waits, with a connection or without.
func TestRecheckReadAhead(t *testing.T) {
	for _, connected := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			var rows rowOf
			r := newRig(t, telemetry.Options{Stands: rows.stands})
			batches := telemetry.Route{Batch: telemetry.Batch{MaxSize: 1000, MaxAge: time.Hour}}
			r.number("gone", "t", 0, 10, batches)
			r.number("stays", "t", 0, 10, batches)
			r.link.connect()
			time.Sleep(time.Minute)
			if !connected {
				r.link.cut()
			}
			rows.gone.Store(true)
			r.spool.Recheck()
			time.Sleep(time.Minute)
			if st := r.spool.Stats(); st.Messages != 10 || st.Dropped["row-gone"] != 10 {
				t.Errorf("connected %v: stats %+v", connected, st)
			}
		})
	}
}

// So does what lost its row while nobody ran.
func TestRecheckAtStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rows rowOf
		r := newRig(t, telemetry.Options{Stands: rows.stands})
		r.number("gone", "t", 0, 10, telemetry.Route{})
		r.number("stays", "t", 0, 10, telemetry.Route{})
		r.stop()
		rows.gone.Store(true)
		r.start()
		r.wait("messages dropped", func() bool { return r.settlements()["dropped row-gone"] == 10 })
		r.link.connect()
		r.drained()
		r.wantOrder(map[string]int{"stays t": 10})
	})
}

// Nothing goes up without a row, though nobody has had the spool looked at: neither from
// the disk nor before it is there, nor a second time.
func TestNothingGoesUpWithoutARow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var rows rowOf
		r := newRig(t, telemetry.Options{Stands: rows.stands})
		r.number("gone", "t", 0, 10, telemetry.Route{})
		rows.gone.Store(true)
		r.warm()
		r.put("gone", "t", "10", telemetry.Route{}) // it would be sent before it is on the disk
		r.drained()
		rows.gone.Store(false)
		r.link.fate = func(*telemetry.Publish, int) fate { return fate{hold: true} }
		sent := len(r.link.got())
		r.put("gone", "t", "11", telemetry.Route{})
		r.wait("message sent", func() bool { return len(r.link.got()) == sent+1 })
		r.link.fate = nil
		rows.gone.Store(true)
		r.link.cut()
		r.link.connect()
		r.drained()
		for _, p := range r.link.got()[sent+1:] {
			t.Errorf("%s went up on %s", p.Payload, p.Topic)
		}
		if n := r.settlements(); n["dropped row-gone"] != 12 || n["sent"] != 2 || len(n) != 2 {
			t.Errorf("settled %v", n)
		}
		if got := r.link.payloads(); len(got) != 3 || got[2] != "11" {
			t.Errorf("the cloud got %q", got)
		}
	})
}
