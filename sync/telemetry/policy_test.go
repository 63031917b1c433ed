package telemetry_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"greengate/sync/telemetry"
)

// fat is a payload of about a kilobyte that begins with a number.
func fat(i int) string { return strconv.Itoa(i) + strings.Repeat(" ", 1000) }

// numbers returns the numbers that arrived on a topic, in order.
func (r *rig) numbers(topic string) (all []int) {
	r.t.Helper()
	for _, p := range r.link.got() {
		if p.Topic != topic {
			continue
		}
		i, err := strconv.Atoi(strings.TrimSpace(string(p.Payload)))
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, i)
	}
	return all
}

// fill spools n fat messages, and checks the size on the disk all the while.
func (r *rig) fill(device, topic string, n int, max int64, route telemetry.Route) {
	r.t.Helper()
	for i := range n {
		r.put(device, topic, fat(i), route)
		if i%200 == 199 {
			r.flushed()
			if st := r.db.Stats(); st.FileBytes > max {
				r.t.Fatalf("the file has %d bytes after %d messages, at most %d are allowed", st.FileBytes, i, max)
			}
			if st := r.db.Stats(); st.FileBytes+st.WALBytes > r.maxSize() {
				r.t.Fatalf("with its WAL of %d bytes it has %d after %d messages", st.WALBytes, st.FileBytes+st.WALBytes, i)
			}
		}
	}
	r.flushed()
}

func increasing(all []int) bool {
	return slices.IsSortedFunc(all, func(a, b int) int { return a - b + 1 })
}

func TestDropOldest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{MaxSize: 4 << 20})
		r.fill("d", "t", 6000, 3<<20, telemetry.Route{})
		st := r.spool.Stats()
		if stored, _ := r.counts(); stored != 6000 {
			t.Fatalf("%d of 6000 were stored", stored)
		}
		if st.Messages < 1200 || st.Dropped[telemetry.ReasonOldest] != uint64(6000-st.Messages) {
			t.Fatalf("%d wait and %v were dropped", st.Messages, st.Dropped)
		}
		if !contains(r.spool.Faults(), "gives messages up") || !contains(r.spool.Faults(), "full") {
			t.Errorf("faults are %q", r.spool.Faults())
		}
		r.restart() // it counts the same afterwards
		if n := r.spool.Content()["row"]; int64(n) != st.Messages {
			t.Errorf("after a restart it has %d, before %d", n, st.Messages)
		}
		r.link.connect()
		r.drained()
		got := r.numbers("t")
		if len(got) != int(st.Messages) || got[0] != 6000-len(got) || got[len(got)-1] != 5999 || !increasing(got) {
			t.Errorf("came %d, from %d to %d", len(got), got[0], got[len(got)-1])
		}
	})
}

func TestDropNewest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{MaxSize: 4 << 20})
		r.fill("d", "t", 6000, 3<<20, telemetry.Route{WhenFull: telemetry.DropNewest})
		if stored, _ := r.counts(); stored != 6000 {
			t.Fatalf("%d of 6000 were told stored or given up", stored)
		}
		r.link.connect()
		r.drained()
		got := r.numbers("t")
		if len(got) < 1200 || got[0] != 0 || got[len(got)-1] != len(got)-1 || !increasing(got) {
			t.Errorf("came %d, from %d to %d", len(got), got[0], got[len(got)-1])
		}
		if n := r.settlements()["dropped full-newest"]; n != 6000-len(got) {
			t.Errorf("%d dropped, %d came", n, len(got))
		}
	})
}

// Thinned out, the whole time is covered, the old more coarsely than the new.
func TestThin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{MaxSize: 4 << 20})
		r.fill("d", "t", 12000, 3<<20, telemetry.Route{WhenFull: telemetry.Thin, Keep: 2})
		r.link.connect()
		r.drained()
		got := r.numbers("t")
		if !increasing(got) || got[len(got)-1] != 11999 || got[0] > 10 {
			t.Fatalf("came %d, from %d to %d", len(got), got[0], got[len(got)-1])
		}
		quarter := [4]int{}
		for i := range got {
			quarter[got[i]/3000]++
		}
		for i, n := range quarter {
			if n < 10 || i > 0 && n < quarter[i-1] {
				t.Errorf("of quarter %d of the time %d messages are left: %v", i, n, quarter)
			}
		}
		if n := r.settlements()["dropped full-thinned"]; n != 12000-len(got) {
			t.Errorf("%d dropped, %d came", n, len(got))
		}
	})
}

// A message of high priority finds its room among those of lower ones, whatever their
// row says; the other way round it does not.
func TestPriorityWhenFull(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{MaxSize: 4 << 20})
		low := telemetry.Route{Key: "low", Priority: telemetry.Low, WhenFull: telemetry.DropNewest}
		high := telemetry.Route{Key: "high", Priority: telemetry.High}
		r.fill("d", "low", 3000, 3<<20, low)
		r.fill("d", "high", 1000, 3<<20, high)
		r.fill("d", "low2", 100, 3<<20, low)
		r.link.connect()
		r.drained()
		if got := r.numbers("high"); len(got) != 1000 {
			t.Errorf("%d of 1000 high messages came", len(got))
		}
		if got := r.numbers("low"); len(got) < 300 || got[len(got)-1] > 2999 {
			t.Errorf("%d low messages came", len(got))
		}
		if r.settlements()["dropped full-priority"] < 900 {
			t.Errorf("settled %v", r.settlements())
		}
	})
}

// The bound holds for all that is on the disk, large and small messages, while sending
// goes on.
func TestSizeOnDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const most = 36 << 20
		r := newRig(t, telemetry.Options{MaxSize: most})
		r.link.connect()
		for i := range 3000 {
			size := []int{10, 200, 5000, 100_000}[i%4]
			r.put("d", fmt.Sprint("t", i%7), strings.Repeat("x", size), telemetry.Route{})
			if i%50 == 0 {
				r.flushed()
				if st := r.spool.Stats(); st.DiskBytes > most {
					t.Fatalf("%d bytes are on the disk after %d messages", st.DiskBytes, i)
				}
			}
		}
		r.drained()
		if s := r.settlements(); s["dropped full-oldest"] == 0 || s["sent"] == 0 {
			t.Errorf("settled %v", s)
		}
	})
}

// The reserve of the disk is left to others, before the bound of the spool is reached.
func TestReserve(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const disk, reserve = 4 << 20, 2 << 20
		var r *rig
		free := func() (int64, error) {
			if r == nil || r.db == nil {
				return disk, nil
			}
			return disk - r.db.Stats().FileBytes, nil
		}
		r = newRig(t, telemetry.Options{MaxSize: 64 << 20, Reserve: reserve, Free: free})
		r.fill("d", "t", 4000, disk-reserve, telemetry.Route{})
		if st := r.spool.Stats(); st.Messages < 1000 || st.Messages > 2000 {
			t.Errorf("%d messages wait", st.Messages)
		}
		if !contains(r.spool.Faults(), "reserve") {
			t.Errorf("faults are %q", r.spool.Faults())
		}
	})
}

// Time runs out for messages that wait, also behind others, and for those about to be
// sent.
func TestTTL(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		short := telemetry.Route{Key: "short", TTL: time.Minute}
		for i := range 4000 {
			r.put("d", "long", strconv.Itoa(i), telemetry.Route{Key: "long"})
			if i%2 == 0 {
				r.put("d", "short", strconv.Itoa(i/2), short)
			}
		}
		r.flushed()
		time.Sleep(30 * time.Second)
		if n := r.settlements()["expired ttl"]; n != 0 {
			t.Fatalf("%d expired too soon", n)
		}
		r.number("d", "later", 0, 10, short)
		time.Sleep(45 * time.Second) // a sweep takes more than one round for so many
		if n := r.settlements()["expired ttl"]; n != 2000 {
			t.Errorf("%d expired while they waited, want 2000", n)
		}
		// At the time of sending, between two sweeps.
		r.number("d", "at", 0, 10, telemetry.Route{Key: "at", TTL: time.Second})
		time.Sleep(1100 * time.Millisecond)
		r.link.connect()
		r.drained()
		if n := len(r.numbers("at")); n != 0 {
			t.Errorf("%d were sent when their time had run out", n)
		}
		if n := len(r.numbers("later")); n != 10 {
			t.Errorf("%d of 10 came in time", n)
		}
		if n := len(r.numbers("long")); n != 4000 {
			t.Errorf("%d of 4000 came", n)
		}
		for _, p := range r.link.got() {
			if p.Topic == "later" && (p.Expiry <= 0 || p.Expiry > 15*time.Second) {
				t.Errorf("it was sent with an expiry of %v", p.Expiry)
			}
		}
	})
}
