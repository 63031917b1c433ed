package functions

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"greengate/core/message"
	"greengate/core/sqlite"
)

func (r *rig) exec(statements ...string) {
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

// While the disk is full durable calls wait, and other calls are made; when there is room
// again all go on.
func TestDiskComesBack(t *testing.T) {
	dir := t.TempDir()
	var k record
	r := newRig(t, dir, k.program(fine), Options{DB: openDB(t, dir, 1<<20)}, config("f", pinned, func(c *Config) { c.Queue.Max = 10000 })).start()
	r.exec("CREATE TABLE filler (x BLOB)", "INSERT INTO filler VALUES (zeroblob(900000))")
	stored := make(chan error, 2000)
	payload := `"` + strings.Repeat("x", 500) + `"`
	const calls = 2000 // of 500 bytes do not fit
	for range calls {
		r.put("f", payload, durable, func(c *Call) { c.Stored = func(err error) { stored <- err } })
	}
	r.until("the disk is full", func() bool {
		return len(r.m.Faults()) > 0 && strings.Contains(fmt.Sprint(r.m.Faults()), "cannot be written")
	})
	r.put("f", `"now"`, func(c *Call) { c.Route = "other" })
	r.until("others go on", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.counts[Settlement{Route: "other", Verdict: Done}] == 1
	})
	r.exec("DELETE FROM filler")
	r.want(map[string]int{"done": calls + 1})
	for range calls {
		if err := <-stored; err != nil {
			t.Fatal(err)
		}
	}
	if f := r.m.Faults(); len(f) != 0 {
		t.Errorf("faults %v", f)
	}
	if got := r.stats(); got.Durable != 0 {
		t.Errorf("stats %+v", got)
	}
}

// A call that cannot be written, for a reason that does not pass, is told so and does not
// keep others from it.
func TestCallThatCannotBeWritten(t *testing.T) {
	r := newRig(t, t.TempDir(), echo, Options{}, config("f", pinned)).start()
	// An overflow of one payload.
	r.exec("CREATE INDEX bad ON calls (abs(CASE WHEN payload = x'31' THEN -9223372036854775808 ELSE 1 END))")
	told := make(chan error, 1)
	r.put("f", "1", durable, func(c *Call) { c.Stored = func(err error) { told <- err } })
	if err := <-told; err == nil {
		t.Error("it is stored")
	}
	r.want(map[string]int{"dropped not-stored": 1})
	r.putStored("f", "2")
	r.want(map[string]int{"dropped not-stored": 1, "done": 1})
}

// A disk that takes nothing does not make us take more than we may hold.
func TestBehind(t *testing.T) {
	r := newRig(t, t.TempDir(), echo, Options{}, config("f", func(c *Config) { c.Queue.Max = 1 << 20 }))
	var err error
	n := 0
	for ; err == nil && n <= maxStaged; n++ { // the database does not run
		err = r.m.Put(Call{Function: "f", Route: "row", Durable: true, Message: &message.Message{Topic: "t", Payload: []byte("1")}})
	}
	if n != maxStaged+1 || err == nil {
		t.Errorf("%d calls were taken, %v", n, err)
	}
	if f := fmt.Sprint(r.m.Faults()); !strings.Contains(f, "too slow") {
		t.Errorf("faults %s", f)
	}
	r.start()
	r.want(map[string]int{"done": maxStaged})
}
