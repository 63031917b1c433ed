package telemetry_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"greengate/sync/telemetry"
)

// machine is a Pi: its wall clock starts wrong and may be set, its monotonic clock is
// the virtual time.
type machine struct {
	mu     sync.Mutex
	booted time.Time
	off    time.Duration // wall clock - right time
	synced bool
}

func (m *machine) clock() (time.Time, time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	return now.Add(m.off), now.Sub(m.booted)
}

func (m *machine) right() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.synced
}

func (m *machine) set(off time.Duration, synced bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.off, m.synced = off, synced
}

// stamps returns gg-clock and how far gg-time is from when the message was put.
func (r *rig) stamps(at map[string]time.Time) (clocks map[string]string, off map[string]time.Duration) {
	r.t.Helper()
	clocks, off = map[string]string{}, map[string]time.Duration{}
	for _, p := range r.link.got() {
		when, err := time.Parse(time.RFC3339, property(p, "gg-time"))
		if err != nil {
			r.t.Fatal(err)
		}
		clocks[string(p.Payload)] = property(p, "gg-clock")
		off[string(p.Payload)] = when.Sub(at[string(p.Payload)]).Round(time.Minute)
	}
	return clocks, off
}

// Stamps that were made before the right time came are corrected if they are of the
// same boot, also by a later run; each says what it is worth.
func TestClock(t *testing.T) {
	for _, how := range []string{"told", "step"} {
		t.Run(how, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				pi := &machine{booted: time.Now().Add(-time.Minute), off: -1000 * time.Hour}
				r := newRig(t, telemetry.Options{Clock: pi.clock, Synced: pi.right, BootID: "first"})
				at := map[string]time.Time{}
				put := func(name string) {
					at[name] = time.Now()
					r.put("d", "t", name, telemetry.Route{})
					r.flushed()
					time.Sleep(5 * time.Second)
				}
				put("lost boot") // the power goes before the time comes
				r.o.BootID = "second"
				r.restart()
				put("before")
				r.restart() // the gateway alone
				put("before too")
				pi.set(0, how == "told")
				time.Sleep(6 * time.Second)
				put("after")
				r.restart()
				put("later")
				r.link.connect()
				r.drained()
				clocks, off := r.stamps(at)
				for name, want := range map[string]string{
					"lost boot": "unsynced", "before": "corrected", "before too": "corrected", "after": "synced", "later": "synced",
				} {
					if clocks[name] != want {
						t.Errorf("%q is %s, want %s", name, clocks[name], want)
					}
					if want != "unsynced" && off[name] != 0 {
						t.Errorf("%q is %v off", name, off[name])
					}
				}
				first := r.link.got()[0]
				if property(first, "gg-boot") != "first" || property(first, "gg-mono") == "" || property(first, "gg-seq") == "" {
					t.Errorf("the first has %+v", first.Properties)
				}
			})
		})
	}
}

// A clock that is set does not end the time of a message, nor prolong it; after a
// reboot it runs on by what is certain.
func TestTTLAndClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pi := &machine{booted: time.Now(), off: -1000 * time.Hour}
		r := newRig(t, telemetry.Options{Clock: pi.clock, Synced: pi.right, BootID: "first"})
		r.put("d", "t", "x", telemetry.Route{TTL: time.Hour})
		r.flushed()
		pi.set(0, true)
		time.Sleep(10 * time.Second)
		if n := r.settlements()["expired ttl"]; n != 0 {
			t.Fatal("the message expired when the clock was set")
		}
		// Off for two hours: the first boot knew the time in the end, the second does
		// not at first.
		r.stop()
		time.Sleep(2 * time.Hour)
		*pi = machine{booted: time.Now(), off: -1000 * time.Hour}
		r.o.BootID = "second"
		r.start()
		time.Sleep(10 * time.Second)
		if n := r.settlements()["expired ttl"]; n != 0 {
			t.Fatal("the message expired, but nobody knows how long the gateway was off")
		}
		pi.set(0, true)
		time.Sleep(10 * time.Second)
		if n := r.settlements()["expired ttl"]; n != 1 {
			t.Error("the message did not expire when it was known how old it is")
		}
	})
}

// The sequence never goes back, so that a consumer can tell duplicates.
func TestSequence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		last := int64(0)
		for range 3 {
			r.link.connect()
			r.put("d", "t", "x", telemetry.Route{})
			r.drained() // nothing is left on the disk
			r.restart()
		}
		for range 2 {
			r.put("d", "t", "x", telemetry.Route{})
			r.flushed()
			records, err := r.spool.List(context.Background(), 10)
			if err != nil {
				t.Fatal(err)
			}
			if seq := records[len(records)-1].Seq; seq <= last {
				t.Errorf("sequence %d follows %d", seq, last)
			} else {
				last = seq
			}
		}
		if last < 3 {
			t.Errorf("the fifth message has the sequence %d", last)
		}
	})
}
