package telemetry_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"greengate/sync/telemetry"
)

// What was spooled while offline goes up by itself once there is a link, in order, with
// a full window, each message once.
func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		want := map[string]int{}
		for d := range 3 {
			device := fmt.Sprint("d", d)
			r.number(device, "t", 0, 500, telemetry.Route{})
			want[device+" t"] = 500
		}
		if stored, settled := r.counts(); stored != 1500 || settled != 0 {
			t.Fatalf("%d stored, %d settled", stored, settled)
		}
		r.link.connect()
		r.drained()
		if n := r.wantOrder(want); n != 0 {
			t.Errorf("%d came twice", n)
		}
		if r.link.most != 100 {
			t.Errorf("at most %d were in flight, want a full window of 100", r.link.most)
		}
		if got := r.settlements(); got["sent"] != 1500 || len(got) != 1 {
			t.Errorf("settled %v", got)
		}
	})
}

// A message that comes while the spool is empty goes at once.
func TestLive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.link.connect()
		for i := range 5 {
			start := time.Now()
			r.put("d", "t", strconv.Itoa(i), telemetry.Route{})
			r.wait("message", func() bool { return len(r.link.got()) == i+1 })
			if d := time.Since(start); d > 20*time.Millisecond {
				t.Errorf("message %d went after %v", i, d)
			}
		}
	})
}

// The oracle: numbered messages of several devices through every fault, with restarts
// in the middle. Nothing is lost, the order holds, duplicates are bounded, and each
// message is settled once.
func TestOracle(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { oracle(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func oracle(t *testing.T, random *rand.Rand) {
	const devices, topics, rounds, burst = 3, 2, 40, 60
	bounds := telemetry.Bounds{Unsettled: 128}
	r := newRig(t, telemetry.Options{Bounds: bounds})
	r.link.redial = 2 * time.Second
	faults, chance := 0, rand.New(rand.NewPCG(random.Uint64(), 2)) // the link's own
	r.link.fate = func(*telemetry.Publish, int) (f fate) {
		switch chance.IntN(120) {
		case 0:
			f.cut, f.lose = true, true
		case 1:
			f.cut = true
		case 2:
			f.late = time.Duration(chance.IntN(500)) * time.Millisecond
		case 3:
			f.lose = true
			time.AfterFunc(3*time.Second, r.link.cut) // a dead link is noticed
		}
		if f.cut || f.lose {
			faults++
		}
		return f
	}
	r.link.connect()
	next := map[string]int{}
	priorities := []telemetry.Priority{telemetry.High, telemetry.Normal, telemetry.Low}
	restarts, total := 0, 0
	for range rounds {
		for range burst { // one after the other, as fast as can be
			d, topic := random.IntN(devices), random.IntN(topics)
			device := fmt.Sprint("d", d)
			key := fmt.Sprintf("%s t%d", device, topic)
			r.put(device, fmt.Sprint("t", topic), strconv.Itoa(next[key]), telemetry.Route{Key: fmt.Sprint(d), Priority: priorities[d]})
			next[key]++
			total++
		}
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		if random.IntN(8) == 0 {
			r.restart()
			r.link.connect()
			restarts++
		}
	}
	r.drained()
	duplicates := r.wantOrder(next)
	stored, settled := r.counts()
	if stored != total || settled != total || r.settlements()["sent"] != total {
		t.Errorf("%d put, %d stored, settled %v", total, stored, r.settlements())
	}
	if most := (r.link.cuts + restarts) * bounds.Unsettled; duplicates > most {
		t.Errorf("%d duplicates, at most %d are allowed", duplicates, most)
	}
	if faults == 0 || restarts == 0 {
		t.Fatal("nothing was tried")
	}
	t.Logf("%d messages, %d faults, %d cuts, %d restarts, %d duplicates", total, faults, r.link.cuts, restarts, duplicates)
}

// A connection that ends and is there again at once does not mix the order up, though the
// uploader waits for the window at that moment.
func TestFlap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.link.window = 10
		r.number("d", "t", 0, 2000, telemetry.Route{})
		r.link.connect()
		for range 100 {
			time.Sleep(27 * time.Millisecond)
			r.link.die()
			time.Sleep(20 * time.Millisecond)
			r.link.cut()
			r.link.connect()
		}
		r.drained()
		r.wantOrder(map[string]int{"d t": 2000})
	})
}

// A row leaves on its own acknowledgement only.
func TestOwnAcknowledgement(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.link.fate = func(p *telemetry.Publish, _ int) fate { return fate{hold: string(p.Payload) == "3"} }
		r.link.connect()
		r.number("d", "t", 0, 10, telemetry.Route{})
		time.Sleep(time.Minute)
		if st := r.spool.Stats(); st.Messages != 1 {
			t.Fatalf("%d messages wait, want the one without an acknowledgement", st.Messages)
		}
		if !contains(r.spool.Faults(), "not acknowledged") {
			time.Sleep(time.Minute)
			if !contains(r.spool.Faults(), "not acknowledged") {
				t.Errorf("faults are %q", r.spool.Faults())
			}
		}
		r.restart() // and survives it
		r.link.fate = nil
		r.link.connect()
		r.drained()
		if got := r.link.payloads(); got[len(got)-1] != "3" || len(got) != 11 {
			t.Errorf("came %v", got)
		}
	})
}

// A cloud that refuses for now is left alone for a while; then what it refused comes
// first, and what was behind it after it.
func TestThrottled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		refusals, sent := 0, 0
		r.link.fate = func(p *telemetry.Publish, _ int) (f fate) {
			sent++
			if string(p.Payload) == "5" && refusals < 4 {
				refusals++
				f.refuse = errQuota
			}
			return f
		}
		r.number("d", "t", 0, 300, telemetry.Route{})
		start := time.Now()
		r.link.connect()
		r.wait("fault", func() bool { return contains(r.spool.Faults(), "0x97") })
		r.drained()
		if refusals != 4 || sent > 300+4*101 { // a window each time
			t.Errorf("%d refusals, %d sent", refusals, sent)
		}
		if d := time.Since(start); d < 3*time.Second {
			t.Errorf("it took %v: there was no pause", d)
		}
		// What was acknowledged behind the refused one came again after it.
		last := map[string]int{}
		for i, text := range r.link.payloads() {
			last[text] = i
		}
		if last["5"] > last["6"] || last["5"] > last["99"] {
			t.Errorf("5 came last at %d, 6 at %d, 99 at %d", last["5"], last["6"], last["99"])
		}
		if contains(r.spool.Faults(), "0x97") {
			t.Errorf("faults are %q", r.spool.Faults())
		}
	})
}
