package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// warm connects, and has the spool learn that the cloud is quick.
func (r *rig) warm() {
	r.t.Helper()
	r.link.connect()
	for i := range 2 { // the first is on the disk before the cloud is known
		r.put("warm", "up", strconv.Itoa(i), telemetry.Route{})
		r.drained()
	}
	r.t.Cleanup(func() {
		if r.spool.Stats().Spared == 0 && !r.t.Failed() {
			r.t.Error("no message went without the disk: nothing was tried")
		}
	})
}

// told puts a message and returns after how long it is told stored.
func (r *rig) told(device, payload string) time.Duration {
	r.t.Helper()
	before, _ := r.counts()
	start := time.Now()
	r.put(device, "t", payload, telemetry.Route{})
	for {
		synctest.Wait()
		if n, _ := r.counts(); n > before {
			return time.Since(start)
		}
		if time.Since(start) > time.Minute {
			r.t.Fatal("it is never told stored")
		}
		time.Sleep(time.Millisecond)
	}
}

// What the cloud acknowledges at once is not written; what it does not is safe in time.
func TestSparesTheDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.warm()
		commits, spared := r.db.Stats().Commits, r.spool.Stats().Spared
		for i := range 300 {
			if d := r.told("d", strconv.Itoa(i)); d < 20*time.Millisecond || d > 30*time.Millisecond {
				t.Fatalf("message %d was told stored after %v, the cloud takes 20 ms", i, d)
			}
		}
		r.drained()
		if n := r.db.Stats().Commits - commits; n > 2 {
			t.Errorf("%d commits for 300 messages that the cloud acknowledged at once", n)
		}
		if st := r.spool.Stats(); st.Spared-spared != 300 || st.Sent < 300 {
			t.Errorf("stats are %+v", st)
		}
		r.wantOrder(map[string]int{"d t": 300})

		r.link.fate = func(*telemetry.Publish, int) fate { return fate{hold: true} }
		if d := r.told("d", "300"); d < 90*time.Millisecond || d > 150*time.Millisecond {
			t.Errorf("without an acknowledgement it is told stored after %v", d)
		}
		if st := r.spool.Stats(); st.Messages != 1 {
			t.Errorf("%d messages are on the disk", st.Messages)
		}
		// The cloud is known to be slow now: nothing waits for it.
		if d := r.told("d", "301"); d > 20*time.Millisecond {
			t.Errorf("while the cloud is slow it is told stored after %v", d)
		}
		r.restart()
		r.link.fate = nil
		r.warm()
		r.drained()
		r.wantOrder(map[string]int{"d t": 302})
	})
}

// A cloud that is far does not hold acknowledgements up.
func TestFarCloud(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.link.rtt = 300 * time.Millisecond
		r.link.connect()
		for i := range 50 {
			if d := r.told("d", strconv.Itoa(i)); d > 20*time.Millisecond {
				t.Fatalf("message %d was told stored after %v", i, d)
			}
			time.Sleep(50 * time.Millisecond)
		}
		r.drained()
		if n := r.wantOrder(map[string]int{"d t": 50}); n != 0 {
			t.Errorf("%d came twice", n)
		}
	})
}

// stored is told in order, although the cloud acknowledges in another.
func TestEarlyInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.warm()
		r.link.fate = func(p *telemetry.Publish, _ int) (f fate) {
			if p.Topic == "t0" {
				f.late = 30 * time.Millisecond
			}
			return f
		}
		first, _ := r.counts()
		for i := range 10 {
			r.put("d", "t"+strconv.Itoa(i), "0", telemetry.Route{})
		}
		time.Sleep(40 * time.Millisecond)
		if n, _ := r.counts(); n != first {
			t.Errorf("%d are told stored before the first one", n-first)
		}
		time.Sleep(20 * time.Millisecond)
		if n, _ := r.counts(); n != first+10 {
			t.Errorf("%d of 10 are told stored", n-first)
		}
		r.drained()
	})
}

// What is lost on its way goes again from the disk, in order; what is refused for good
// goes aside; each is told once.
func TestEarlyFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.warm()
		r.link.redial = time.Second
		r.link.fate = func(p *telemetry.Publish, _ int) (f fate) {
			switch string(p.Payload) {
			case "7":
				f.cut, f.lose = r.link.cuts == 0, r.link.cuts == 0
			case "bad":
				f.refuse = &telemetry.Never{Err: errors.New("not authorized (0x87)")}
			}
			return f
		}
		for i := range 5 {
			r.put("d", "t", strconv.Itoa(i), telemetry.Route{})
		}
		r.put("d", "secret", "bad", telemetry.Route{})
		for i := 5; i < 20; i++ {
			r.put("d", "t", strconv.Itoa(i), telemetry.Route{})
		}
		r.drained()
		r.wantOrder(map[string]int{"d t": 20})
		if got := r.quarantined(); len(got) != 1 || r.link.cuts != 1 {
			t.Errorf("in quarantine are %q, after %d cuts", got, r.link.cuts)
		}
		if stored, settled := r.counts(); stored != r.puts || settled != r.puts {
			t.Errorf("%d stored and %d settled of %d", stored, settled, r.puts)
		}
	})
}

// A message does not go before one of the same source and topic that waits for its batch;
// others do not wait for either.
func TestEarlyBehindBatch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.warm()
		r.put("d", "t", "0", batching)
		time.Sleep(time.Second)
		spared := r.spool.Stats().Spared
		r.told("other", "0")
		if n := r.spool.Stats().Spared - spared; n != 1 {
			t.Errorf("%d of 1 went without the disk", n)
		}
		r.put("d", "t", "1", telemetry.Route{})
		r.drained()
		if got := r.link.payloads(); fmt.Sprint(got[2:]) != "[0 [0] 1]" {
			t.Errorf("came %q", got)
		}
	})
}

// What finds no room on the disk while it is on its way has one end, whatever the cloud
// says later.
func TestEarlyFindsNoRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var free atomic.Int64
		free.Store(1 << 40)
		r := newRig(t, telemetry.Options{Reserve: 1 << 20, Free: func() (int64, error) { return free.Load(), nil }})
		r.warm()
		free.Store(0)
		r.link.fate = func(*telemetry.Publish, int) fate { return fate{late: 300 * time.Millisecond} }
		for i := range 10 {
			r.put("d", "t", strconv.Itoa(i), telemetry.Route{})
		}
		time.Sleep(2 * time.Second)
		free.Store(1 << 40)
		r.number("d", "t", 10, 20, telemetry.Route{})
		r.drained()
		r.wantOrder(map[string]int{"d t": 20})
		if s := r.settlements(); s["dropped full-newest"] != 10 || s["sent"] != 12 {
			t.Errorf("settled %v", s)
		}
	})
}

// What somebody puts back comes behind what is on its way without the disk, and no seq
// is used for two messages.
func TestRequeueBehindEarly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.refuseTopic("secret")
		r.number("d", "secret", 0, 5, telemetry.Route{})
		r.warm()
		r.link.check = nil
		r.link.fate = func(p *telemetry.Publish, _ int) fate { return fate{late: 20 * time.Millisecond} }
		for i := range 10 {
			r.put("d", "t", strconv.Itoa(i), telemetry.Route{})
		}
		time.Sleep(10 * time.Millisecond) // they are on their way
		if n, err := r.spool.Requeue(context.Background(), byRow("anew")); n != 5 || err != nil {
			t.Fatalf("%d were put back: %v", n, err)
		}
		for i := 10; i < 20; i++ {
			r.put("d", "t", strconv.Itoa(i), telemetry.Route{})
		}
		r.mu.Lock()
		r.puts += 5
		r.mu.Unlock()
		r.drained()
		if n := r.wantOrder(map[string]int{"d t": 20, "d secret": 5}); n != 0 {
			t.Errorf("%d came twice", n)
		}
		seen := map[string]string{}
		for _, p := range r.link.got() {
			seq := property(p, "gg-seq")
			if other, ok := seen[seq]; ok {
				t.Errorf("%s and %s have the seq %s", other, p.Payload, seq)
			}
			seen[seq] = p.Topic + " " + string(p.Payload)
		}
	})
}

// After a crash no seq comes again under which something went without the disk.
func TestEarlySeq(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.warm()
		crashed := filepath.Join(t.TempDir(), "crashed.db")
		highest := int64(0)
		for i := range 9000 { // more than are reserved at a time
			r.put("d", "t", strconv.Itoa(i), telemetry.Route{})
			if i%50 == 49 {
				time.Sleep(50 * time.Millisecond)
			}
		}
		if err := r.db.Copy(context.Background(), crashed); err != nil {
			t.Fatal(err)
		}
		for _, p := range r.link.got() {
			seq, err := strconv.ParseInt(property(p, "gg-seq"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			highest = max(highest, seq)
		}
		if st := r.spool.Stats(); st.Spared < 8000 || highest < 9000 {
			t.Fatalf("the highest seq is %d, stats are %+v", highest, st)
		}
		var reserved int64
		db, err := sqlite.Open(sqlite.Options{File: crashed, Migrations: telemetry.Migrations()})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		err = db.View(context.Background(), func(tx *sqlite.Tx) error {
			return tx.QueryRow("SELECT reserved FROM state").Scan(&reserved)
		})
		if err != nil || reserved < highest {
			t.Errorf("after a crash seqs begin at %d (%v), and %d was sent", reserved+1, err, highest)
		}
	})
}
