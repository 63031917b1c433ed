package localshadow_test

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// A full disk: the update is rejected with a 500 and its receipt says so, reading
// goes on, and all is well when there is room again.
func TestFullDisk(t *testing.T) {
	st := openStation(t, func(db *sqlite.Options, _ *localshadow.Options) { db.MaxBytes = 256 << 10 })
	big := desired("k", `"`+strings.Repeat("x", 8000)+`"`)
	var full string
	for i := 0; full == "" && i < 1000; i++ {
		thing := fmt.Sprintf("t%d", i)
		if err := st.deliver(updateTopic(thing), strings.TrimSuffix(big, "}")+`,"clientToken":"t"}`); err != nil {
			if !errors.Is(err, sqlite.ErrFull) {
				t.Errorf("the receipt says %v", err)
			}
			full = thing
		}
	}
	all := st.take()
	last := all[len(all)-1]
	if last.topic != updateTopic(full)+"/rejected" || !strings.HasPrefix(last.payload, `{"code":500,"message":"Internal service failure"`) || !strings.HasSuffix(last.payload, `"clientToken":"t"}`) {
		t.Errorf("told %+v", last)
	}
	if f := st.Faults(); len(f) != 2 || !strings.Contains(f[0], "updates are rejected since") || !strings.Contains(f[1], "no room for the history") {
		t.Errorf("faults %q", f)
	}
	if s := st.Stats(); s.Rejected[500] != 1 || s.Bytes != s.Shadows*8008 {
		t.Errorf("stats %+v", s)
	}
	if got := st.tell("$aws/things/t0/shadow/get", ""); !strings.HasPrefix(got, "get/accepted") {
		t.Errorf("get: %.100s", got)
	}
	if _, err := st.Update(context.Background(), full, "", []byte(big), device); err == nil || err.Error() != "Internal service failure" {
		t.Errorf("direct: %v", err)
	}
	// A get in one group with an update that finds no room is answered all the same.
	hold := st.hold()
	settled := make(chan error, 2)
	for _, topic := range []string{updateTopic(full), "$aws/things/t0/shadow/get"} {
		if err := st.Deliver(topic, []byte(big), device, func(err error) { settled <- err }); err != nil {
			t.Fatal(err)
		}
	}
	close(hold)
	if first, second := <-settled, <-settled; first == nil || second != nil {
		t.Errorf("settled with %v, %v", first, second)
	}
	if all := st.take(); len(all) != 2 || !strings.HasSuffix(all[1].topic, "t0/shadow/get/accepted") {
		t.Errorf("told %.300q", all)
	}
	st.tell("$aws/things/t0/shadow/delete", "")
	st.tell("$aws/things/t1/shadow/delete", "")
	if got := st.tell(updateTopic(full), big); !strings.Contains(got, `update/accepted {`) || !strings.Contains(got, `"version":1,`) {
		t.Errorf("with room again: %.200s", got)
	}
	if f := st.Faults(); len(f) != 1 || !strings.Contains(f[0], "no room for the history") {
		t.Errorf("faults %q", f)
	}
}

// A disk that fails at the commit: nothing of the group is told as done, a get in
// it is answered from what is there. The limit of the process on the size of its
// files stands for the disk.
func TestFailingDisk(t *testing.T) {
	now := noon
	st := openStation(t, func(_ *sqlite.Options, o *localshadow.Options) { o.Now = func() time.Time { return now } })
	st.tell(updateTopic("a"), desired("k", 1))
	before := st.Stats()
	lift := limitFiles(t, uint64(st.DB.Stats().WALBytes))
	for range 2 {
		hold := st.hold()
		settled := make(chan error, 4)
		for _, topic := range []string{updateTopic("a"), updateTopic("new"), "$aws/things/a/shadow/get", "$aws/things/b/shadow/get"} {
			if err := st.Deliver(topic, []byte(desired("k", 22)), device, func(err error) { settled <- err }); err != nil {
				t.Fatal(err)
			}
		}
		close(hold)
		for _, disk := range []bool{true, true, false, false} {
			if err := <-settled; (err != nil) != disk {
				t.Errorf("settled with %v", err)
			}
		}
		told := st.take()
		if len(told) != 4 {
			t.Fatalf("told %q", told)
		}
		for i, want := range []string{`{"code":500,`, `{"code":500,`, `{"state":{"desired":{"k":1},`, `{"code":404,`} {
			if !strings.HasPrefix(told[i].payload, want) {
				t.Errorf("told %q, want %s", told[i], want)
			}
		}
		now = now.Add(time.Minute)
	}
	lift()
	if s := st.Stats(); s.Shadows != before.Shadows || s.Bytes != before.Bytes {
		t.Errorf("stats %+v, were %+v", s, before)
	}
	if f := st.Faults(); len(f) != 1 || !strings.Contains(f[0], "rejected since "+noon.Format(time.RFC3339)) {
		t.Errorf("faults %q", f)
	}
	if got := st.tell(updateTopic("a"), desired("k", 3)); !strings.Contains(got, `"version":2,`) {
		t.Errorf("afterwards: %s", got)
	}
}

func limitFiles(t *testing.T, bytes uint64) (lift func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	set := func(cur uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: cur, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
	}
	signal.Ignore(syscall.SIGXFSZ)
	set(bytes)
	lift = func() { set(old.Cur); signal.Reset(syscall.SIGXFSZ) }
	t.Cleanup(lift)
	return lift
}

// A row that cannot be read concerns its own shadow only, which can be deleted.
func TestDamagedRow(t *testing.T) {
	st := openStation(t)
	st.tell(updateTopic("a"), desired("k", 1))
	st.tell(updateTopic("b"), desired("k", 1))
	for _, damage := range []string{`desired = '{"k":'`, `desired = '{"k":1,"l":2}'`, `times = x'ff'`} {
		st.tell(updateTopic("a"), desired("k", 1))
		st.damage(`UPDATE shadows SET ` + damage + ` WHERE thing = 'a'`)
		for _, op := range []string{"get", "update"} {
			got := st.tell("$aws/things/a/shadow/"+op, `{"state":{},"clientToken":"t"}`)
			if !strings.HasPrefix(got, op+`/rejected {"code":500,`) || !strings.Contains(got, `"clientToken":"t"`) {
				t.Errorf("%s: %s: %s", damage, op, got)
			}
		}
		if f := st.Faults(); len(f) != 1 || !strings.Contains(f[0], "last a") {
			t.Errorf("faults %q", f)
		}
		if got := st.tell(updateTopic("b"), desired("k", 2)); !strings.Contains(got, "accepted") {
			t.Errorf("b: %s", got)
		}
		if got := st.tell("$aws/things/a/shadow/delete", ""); !strings.HasPrefix(got, "delete/accepted") {
			t.Errorf("delete: %s", got)
		}
		all, err := st.History(context.Background(), "a", "", 2, 0)
		if err != nil || !all[0].Deleted || all[0].Damaged || len(all[0].Changes) > 0 || all[1].Damaged {
			t.Errorf("history %+v, %v", all, err)
		}
		if s, err := st.At(context.Background(), "a", "", all[0].Version); !errors.Is(err, localshadow.ErrNoVersion) {
			t.Errorf("a document that nobody could read was %+v, %v", s, err)
		}
	}
}

// More than may wait is told to come back, and the rest goes on in order.
func TestThrottle(t *testing.T) {
	st := openStation(t, func(_ *sqlite.Options, o *localshadow.Options) { o.Bounds.PendingPerThing = 5 })
	hold := st.hold()
	settled := make(chan error, 10)
	for i := range 5 {
		if err := st.Deliver(updateTopic("a"), []byte(desired("k", i)), device, func(err error) { settled <- err }); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Deliver(updateTopic("a"), []byte(`{"state":{},"clientToken":"t"}`), device, nil); !errors.Is(err, localshadow.ErrBusy) {
		t.Errorf("the sixth: %v", err)
	}
	if _, err := st.Update(context.Background(), "a", "", []byte(`{"state":{}}`), device); err == nil || err.Error() != "Too many requests" {
		t.Errorf("a direct one: %v", err)
	}
	if err := st.Deliver(updateTopic("b"), []byte(desired("k", 1)), device, func(err error) { settled <- err }); err != nil {
		t.Errorf("another thing: %v", err)
	}
	close(hold)
	for range 6 {
		if err := <-settled; err != nil {
			t.Error(err)
		}
	}
	all := st.take()
	if len(all) != 6*3+1 || all[0].topic != updateTopic("a")+"/rejected" || !strings.HasPrefix(all[0].payload, `{"code":429,"message":"Too many requests"`) || !strings.HasSuffix(all[0].payload, `"clientToken":"t"}`) {
		t.Errorf("%d messages, the first %+v", len(all), all[0])
	}
	if s := st.Stats(); s.Throttled != 2 || s.Accepted != 6 || s.Waiting != 0 {
		t.Errorf("stats %+v", s)
	}
	if got := st.tell(updateTopic("a"), `{"state":{}}`); !strings.Contains(got, `"version":6,`) {
		t.Errorf("later: %s", got)
	}
}

// At its end the service answers what it has accepted, and takes no more.
func TestStop(t *testing.T) {
	st := openStation(t)
	settled := 0
	const n = 200
	for i := range n {
		if err := st.Deliver(updateTopic("a"), []byte(desired("k", i)), device, func(error) { settled++ }); err != nil {
			t.Fatal(err)
		}
	}
	st.stop()
	if all := st.take(); settled != n || len(all) != 3*n {
		t.Errorf("%d of %d settled, %d messages", settled, n, len(all))
	}
	if err := st.Deliver(updateTopic("a"), nil, device, nil); !errors.Is(err, localshadow.ErrStopped) {
		t.Errorf("deliver after the end: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := st.Update(ctx, "a", "", nil, device); !errors.Is(err, localshadow.ErrStopped) {
		t.Errorf("update after the end: %v", err)
	}
}
