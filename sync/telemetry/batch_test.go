package telemetry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"greengate/sync/telemetry"
)

var batching = telemetry.Route{Key: "b", Batch: telemetry.Batch{MaxSize: 100, MaxAge: 10 * time.Second}}

// JSON messages of one source and topic go together, as far as size and age allow, and
// each leaves with its batch.
func TestBatch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.link.connect()
		start := time.Now()
		for i := range 12 {
			r.put("d", "t", fmt.Sprintf(`{"n": %d}`, i), batching)
			r.put("e", "t", fmt.Sprintf(`{"n": %d}`, i), batching)
		}
		r.flushed()
		time.Sleep(9 * time.Second)
		if got := r.link.payloads(); len(got) != 2 {
			t.Fatalf("came %q, want the full batches only", got)
		}
		r.drained()
		if d := time.Since(start); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("the rest came after %v", d)
		}
		next := map[string]int{}
		for _, p := range r.link.got() {
			var batch []struct{ N int }
			if err := json.Unmarshal(p.Payload, &batch); err != nil || len(p.Payload) > 100 {
				t.Fatalf("%q: %v", p.Payload, err)
			}
			from := property(p, "gg-source")
			for _, m := range batch {
				if m.N != next[from] {
					t.Errorf("%s: %d came when %d was to come", from, m.N, next[from])
				}
				next[from]++
			}
			if property(p, "gg-count") != fmt.Sprint(len(batch)) {
				t.Errorf("a batch of %d says %q", len(batch), property(p, "gg-count"))
			}
		}
		if next["d"] != 12 || next["e"] != 12 || len(r.link.got()) != 4 {
			t.Errorf("came %v in %d batches", next, len(r.link.got()))
		}
	})
}

// What is no JSON goes alone, in its turn.
func TestBatchOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		for _, p := range []string{"1", "2", "not json", "3", strings.Repeat("4", 120), "5"} {
			r.put("d", "t", p, batching)
		}
		r.flushed()
		r.link.connect()
		r.drained()
		want := []string{"[1,2]", "not json", "[3]", "[" + strings.Repeat("4", 120) + "]", "[5]"}
		if got := r.link.payloads(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("came %q", got)
		}
	})
}

// A batch that is refused is taken apart: only what the cloud minds goes aside.
func TestBatchRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.link.fate = func(p *telemetry.Publish, _ int) (f fate) {
			if strings.Contains(string(p.Payload), "666") {
				f.refuse = &telemetry.Never{Err: errors.New("payload format invalid (0x99)")}
			}
			return f
		}
		for _, p := range []string{"1", "2", "666", "3"} {
			r.put("d", "t", p, batching)
		}
		r.flushed()
		r.link.connect()
		r.drained()
		if got := fmt.Sprint(r.link.payloads()); got != "[[1] [2] [3]]" {
			t.Errorf("came %v", got)
		}
		if got := r.quarantined(); len(got) != 1 {
			t.Errorf("in quarantine are %q", got)
		}
	})
}

// A backlog goes in full batches, also when more streams batch than can be read ahead.
func TestBatchBacklog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		for i := range 20 {
			for d := range 300 {
				r.put(fmt.Sprint("d", d), "t", fmt.Sprint(i), batching)
			}
		}
		r.flushed()
		r.link.connect()
		start := time.Now()
		r.drained()
		if n := len(r.link.got()); n > 6000 || time.Since(start) > time.Minute {
			t.Errorf("%d publishes in %v", n, time.Since(start))
		}
		if s := r.settlements(); s["sent"] != 6000 {
			t.Errorf("settled %v", s)
		}
	})
}
