package functions

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"greengate/core/sqlite"
	"greengate/functions/endpoint"
)

// stored waits until n durable calls are on the disk.
func (r *rig) putStored(function string, payloads ...string) {
	r.t.Helper()
	told := make(chan error, len(payloads))
	for _, payload := range payloads {
		r.put(function, payload, durable, func(c *Call) { c.Stored = func(err error) { told <- err } })
	}
	for range payloads {
		if err := <-told; err != nil {
			r.t.Fatal(err)
		}
	}
}

// What was stored and not answered is made by the next start, in order and with its id.
func TestDurableCallsSurvive(t *testing.T) {
	dir := t.TempDir()
	var first record
	p := first.program(fine)
	var k record
	blocked := serve(func(p *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
		k.mu.Lock()
		k.ids = append(k.ids, v.ID)
		k.mu.Unlock()
		return hang(p)
	})
	c := config("f", pinned, func(c *Config) { c.Timeout = 1e9 * 60 })
	r := newRig(t, dir, blocked, Options{Bounds: Bounds{Grace: 1}}, c).start()
	r.putStored("f", "1", "2", "3")
	r.put("f", "4")
	if s := r.stats(); s.Durable != 3 {
		t.Errorf("stats %+v", s)
	}
	r.until("the first runs", func() bool { return r.stats().Running == 1 })
	r.stop()
	if got := fmt.Sprint(r.verdicts()); got != "map[dropped stopped:1]" {
		t.Errorf("settled at the end: %v", got)
	}

	r = newRig(t, dir, p, Options{}, c)
	if got := fmt.Sprint(r.m.Content()); got != "map[row:3]" {
		t.Errorf("content %v", got)
	}
	r.start()
	r.want(map[string]int{"done": 3})
	if got := first.got(); !slices.Equal(got, []string{"1", "2", "3"}) || first.ids[0] != k.ids[0] {
		t.Errorf("calls %q with ids %q; the first had %q", got, first.ids, k.ids)
	}
	r.stop()

	r = newRig(t, dir, p, Options{}, c).start()
	if got := len(r.m.Content()); got != 0 {
		t.Errorf("%d are left", got)
	}
}

// A durable call that fails goes to quarantine, from where it can be put back.
func TestQuarantine(t *testing.T) {
	dir := t.TempDir()
	works := make(chan struct{})
	p := serve(func(_ *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
		select {
		case <-works:
			return nil, nil
		default:
			return nil, errors.New("no database")
		}
	})
	requeued := map[string]int{}
	o := Options{Bounds: Bounds{FirstRetry: 1}, Requeued: func(route string, n int) { requeued[route] += n }}
	r := newRig(t, dir, p, o, config("f"), config("g")).start()
	r.putStored("f", "1", "{")
	r.want(map[string]int{"quarantined function-error": 1, "quarantined not-json": 1})
	if s := r.stats(); s.Quarantined != 2 || s.Durable != 0 {
		t.Errorf("stats %+v", s)
	}
	if f := r.m.Faults(); len(f) != 1 || !strings.Contains(f[0].Message, "2 calls of the function f are in quarantine") ||
		!strings.Contains(f[0].NextStep, "`greengate function quarantine f`") {
		t.Errorf("faults %+v", f)
	}
	r.stop()

	r = newRig(t, dir, p, o, config("f"), config("g")).start()
	ctx := context.Background()
	all, err := r.m.Quarantined(ctx, "f", 10)
	if err != nil || len(all) != 2 {
		t.Fatalf("quarantined %+v, %v", all, err)
	}
	i := slices.IndexFunc(all, func(c Record) bool { return string(c.Payload) == "1" })
	if c := all[i]; c.Cause != "Oops: no database" || c.Topic != "t/f" || c.Source != "lamp" || c.Route != "row" || c.At.IsZero() || c.ID == "" {
		t.Errorf("record %+v", c)
	}
	if none, err := r.m.Quarantined(ctx, "g", 10); err != nil || len(none) != 0 {
		t.Errorf("of g: %+v, %v", none, err)
	}
	close(works)
	n, err := r.m.Requeue(ctx, func(c Record) (string, bool) { return "other", string(c.Payload) == "1" })
	if err != nil || n != 1 || requeued["other"] != 1 {
		t.Errorf("requeued %d, %v, %v", n, requeued, err)
	}
	r.want(map[string]int{"done": 1})
	n, err = r.m.Discard(ctx, func(Record) bool { return true })
	if err != nil || n != 1 || r.stats().Quarantined != 0 {
		t.Errorf("discarded %d, %v, %+v", n, err, r.stats())
	}
	r.stop()
	if c := newRig(t, dir, p, o, config("f")).m.Content(); len(c) != 0 {
		t.Errorf("left: %v", c)
	}
}

func TestQuarantineIsBounded(t *testing.T) {
	r := newRig(t, t.TempDir(), echo, Options{Bounds: Bounds{Quarantined: 3}}, config("f")).start()
	for _, payload := range []string{"{1", "{2", "{3", "{4", "{5"} {
		r.putStored("f", payload)
	}
	r.want(map[string]int{"quarantined not-json": 5})
	var got []string
	all, err := r.m.Quarantined(context.Background(), "", 10)
	for _, c := range all {
		got = append(got, string(c.Payload))
	}
	if err != nil || !slices.Equal(got, []string{"{3", "{4", "{5"}) {
		t.Errorf("quarantined %q, %v", got, err)
	}
	if !strings.Contains(r.log(), "deleted from quarantine") {
		t.Errorf("nothing is said of what the bound gave up: %s", r.log())
	}
}

// A function that leaves the file leaves its durable calls to the quarantine, at a reload
// and at a start.
func TestFunctionGone(t *testing.T) {
	dir := t.TempDir()
	p, _ := gate(&record{})
	r := newRig(t, dir, p, Options{Bounds: Bounds{Grace: 1}}, config("f", pinned), config("g", pinned)).start()
	r.putStored("f", "1", "2")
	r.putStored("g", "1", "2")
	r.put("g", "3")
	r.until("both run", func() bool { s := r.m.Stats(); return s[0].Running == 1 && s[1].Running == 1 })
	if err := r.m.Apply([]Config{config("f", pinned)}); err != nil {
		t.Fatal(err)
	}
	r.want(map[string]int{"quarantined function-gone": 1, "dropped function-gone": 1})
	if err := r.m.Put(Call{Function: "g"}); !errors.Is(err, ErrNoFunction) {
		t.Errorf("Put: %v", err)
	}
	r.stop()

	r = newRig(t, dir, echo, Options{}, config("h"))
	if got := fmt.Sprint(r.m.Content()); got != "map[row:3]" {
		t.Errorf("content %v: two of f, and the one of g that ran", got)
	}
	r.start()
	r.want(map[string]int{"quarantined function-gone": 3})
	r.stop()

	r = newRig(t, dir, echo, Options{}, config("f"), config("g")).start()
	if n, err := r.m.Requeue(context.Background(), func(c Record) (string, bool) { return c.Route, true }); n != 4 || err != nil {
		t.Errorf("requeued %d, %v", n, err)
	}
	r.want(map[string]int{"done": 4})
}

// A bit that flips on the disk is found; the call is not made.
func TestDamagedCall(t *testing.T) {
	dir := t.TempDir()
	p, _ := gate(&record{})
	r := newRig(t, dir, p, Options{Bounds: Bounds{Grace: 1}}, config("f")).start()
	r.putStored("f", "1", "2")
	r.stop()
	db, err := sqlite.Open(sqlite.Options{File: filepath.Join(dir, "functions.db"), Migrations: Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- db.Run(ctx) }()
	if err := db.Update(ctx, func(tx *sqlite.Tx) error { return tx.Exec("UPDATE calls SET payload = x'33' WHERE payload = x'31'") }); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	r = newRig(t, dir, echo, Options{}, config("f")).start()
	r.want(map[string]int{"quarantined damaged": 1, "done": 1})
	if n, err := r.m.Requeue(context.Background(), func(c Record) (string, bool) { return c.Route, true }); n != 0 || err != nil {
		t.Errorf("requeued %d, %v", n, err)
	}
}

// A database that ends before the calls are on the disk tells so.
func TestNotStored(t *testing.T) {
	r := newRig(t, t.TempDir(), echo, Options{}, config("f"))
	if err := r.db.Close(); err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 1)
	r.put("f", "1", durable, func(c *Call) { c.Stored = func(err error) { told <- err } })
	if err := <-told; !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("stored: %v", err)
	}
	r.want(map[string]int{"dropped not-stored": 1})
	if s := r.stats(); s.Durable != 0 || s.Queued != 0 {
		t.Errorf("stats %+v", s)
	}
}

// Many calls, some durable, to functions that fail and crash now and then: each is settled
// once, and nothing is left.
func TestBalance(t *testing.T) {
	n := 0
	p := serve(func(p *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
		switch v.Payload[len(v.Payload)-1] {
		case '3':
			return nil, errors.New("three")
		case '7':
			return nil, exitNow{Code: 1}
		}
		return v.Payload, nil
	})
	o := Options{Bounds: Bounds{FirstRetry: 1, LastRetry: 1, FirstBackOff: 1, LastBackOff: 1e6}}
	change := func(c *Config) { c.Retries = 1; c.Queue.Max = 50 }
	r := newRig(t, t.TempDir(), p, o, config("f", pinned, change), config("g", change)).start()
	for i := range 400 {
		for _, f := range []string{"f", "g"} {
			n++
			r.put(f, fmt.Sprint(i), func(c *Call) { c.Durable = i%3 == 0 })
		}
		if i%100 == 50 {
			if err := r.m.Apply([]Config{config("f", pinned, change), config("g", change, func(c *Config) { c.Memory += int64(i) })}); err != nil {
				t.Fatal(err)
			}
		}
	}
	sum := func() (all int) {
		for _, n := range r.verdicts() {
			all += n
		}
		return all
	}
	r.until("all are settled", func() bool { return sum() >= n })
	r.stop()
	if sum() != n {
		t.Errorf("%d settlements of %d calls: %v", sum(), n, r.verdicts())
	}
	for _, s := range r.m.Stats() {
		if s.Queued != 0 || s.Running != 0 || s.Durable != 0 || s.Instances != 0 {
			t.Errorf("left over: %+v", s)
		}
	}
	t.Log(r.verdicts())
}
