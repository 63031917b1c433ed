package functions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"greengate/functions/endpoint"
	"greengate/functions/sandbox"
)

// On demand: nothing runs before the first call, no more instances than may, and none
// when nobody has called for a while.
func TestOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		busy, most := 0, 0
		p := serve(func(_ *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
			mu.Lock()
			busy++
			most = max(most, busy)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			busy--
			mu.Unlock()
			return nil, nil
		})
		r := newRig(t, t.TempDir(), p, Options{}, config("f", func(c *Config) { c.Concurrency = 3; c.Idle = time.Minute })).start()
		time.Sleep(time.Hour)
		if s := r.stats(); s.State != Idle || r.launcher.starts() != 0 {
			t.Errorf("before a call: %+v", s)
		}
		begun := time.Now()
		for i := range 9 {
			r.put("f", fmt.Sprint(i))
		}
		r.want(map[string]int{"done": 9})
		if took := time.Since(begun).Round(time.Second); most != 3 || took != 3*time.Second {
			t.Errorf("9 calls of 1s took %v, %d at a time", took, most)
		}
		time.Sleep(59 * time.Second)
		if s := r.stats(); s.Instances != 3 {
			t.Errorf("after 59s of idleness %+v", s)
		}
		time.Sleep(2 * time.Second)
		if s := r.stats(); s.Instances != 0 || s.State != Idle || s.Restarts != 0 {
			t.Errorf("after 61s of idleness %+v", s)
		}
		r.put("f", "1")
		r.want(map[string]int{"done": 10})
		r.stop()
	})
}

// An instance that answers one call after the other is not joined by a second.
func TestNoInstanceTooMany(t *testing.T) {
	r := newRig(t, t.TempDir(), echo, Options{}, config("f")).start()
	for i := range 300 {
		r.put("f", "1")
		r.want(map[string]int{"done": i + 1})
	}
	if n := r.launcher.starts(); n != 1 {
		t.Errorf("%d instances for calls one after the other", n)
	}
}

// A pinned function starts without a call, and after each crash with growing pauses.
func TestCrashLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var starts []time.Duration
		begun := time.Now()
		p := func(*fakeProcess) sandbox.Exit {
			mu.Lock()
			defer mu.Unlock()
			starts = append(starts, time.Since(begun))
			return sandbox.Exit{Code: 7}
		}
		r := newRig(t, t.TempDir(), p, Options{}, config("f", pinned)).start()
		r.put("f", "1")
		time.Sleep(10 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		n := len(starts)
		if n < 16 || n > 30 {
			t.Errorf("%d starts in 10 minutes: %v", n, starts)
		}
		for i := 1; i < 8; i++ {
			least := 75 * time.Millisecond << (i - 1)
			if pause := starts[i] - starts[i-1]; pause < least || pause > least*4/3+1 {
				t.Errorf("pause %d is %v, want about %v", i, pause, least*4/3)
			}
		}
		if s := r.stats(); s.State != Broken || s.Restarts != uint64(n) || s.Queued != 1 || s.Last != "exit status 7" || s.NextStart.IsZero() {
			t.Errorf("stats %+v", s)
		}
		faults := r.m.Faults()
		if len(faults) != 1 || !strings.Contains(faults[0].Message, "exit status 7") || faults[0].Function != "f" {
			t.Errorf("faults %+v", faults)
		}
		r.stop()
		if got := r.verdicts(); got["dropped stopped"] != 1 {
			t.Errorf("the call that waited: %v", got)
		}
	})
}

// What crashed and works again is started at once the next time, and its calls are made.
func TestRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var works atomic.Bool
		p := func(p *fakeProcess) sandbox.Exit {
			if !works.Load() {
				return sandbox.Exit{Code: 1}
			}
			return echo(p)
		}
		r := newRig(t, t.TempDir(), p, Options{}, config("f")).start()
		r.put("f", "1")
		time.Sleep(5 * time.Minute)
		works.Store(true)
		time.Sleep(time.Minute)
		if got := r.verdicts(); got["done"] != 1 {
			t.Errorf("settled %v", got)
		}
		if s := r.stats(); s.State != Running || len(r.m.Faults()) != 0 {
			t.Errorf("stats %+v, faults %v", s, r.m.Faults())
		}
		r.stop()
	})
}

func TestCannotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, t.TempDir(), echo, Options{}, config("f"))
		err := errors.New("exec ./f: no such file")
		r.launcher.refuse.Store(&err)
		r.start()
		r.put("f", "1")
		got, e := r.m.Invoke(context.Background(), "f", []byte("2"), "")
		if e != nil || got.Failure == nil || !strings.Contains(got.Failure.Message, "no such file") {
			t.Errorf("Invoke: %+v, %v", got, e)
		}
		if n := r.verdicts(); len(n) != 0 {
			t.Errorf("a call that was not made is settled: %v", n)
		}
		r.launcher.refuse.Store(nil)
		time.Sleep(time.Minute)
		if n := r.verdicts(); n["done"] != 1 {
			t.Errorf("settled %v", n)
		}
		r.stop()
	})
}

func TestInitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := func(p *fakeProcess) sandbox.Exit {
			p.calls.InitFailed(endpoint.Failure{Type: "Runtime.ImportModuleError", Message: "No module named x"})
			<-p.killed // it does not end by itself
			return killedExit
		}
		r := newRig(t, t.TempDir(), p, Options{}, config("f")).start()
		got, err := r.m.Invoke(context.Background(), "f", []byte("2"), "")
		if err != nil || got.Failure == nil || got.Failure.Message != "Runtime.ImportModuleError: No module named x" {
			t.Errorf("Invoke: %+v, %v", got, err)
		}
		r.stop()
	})
}

// An on-demand instance that never asks is ended; a pinned one may live without asking.
func TestNeverAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := func(p *fakeProcess) sandbox.Exit { <-p.killed; return killedExit }
		r := newRig(t, t.TempDir(), silent, Options{}, config("f"), config("g", pinned)).start()
		r.put("f", "1")
		time.Sleep(31 * time.Second)
		all := r.m.Stats()
		if s := all[0]; s.Restarts != 1 || !strings.Contains(s.Last, "did not ask for work within 30s") {
			t.Errorf("on demand: %+v", s)
		}
		if s := all[1]; s.Restarts != 0 || s.State != Starting {
			t.Errorf("pinned: %+v", s)
		}
		r.stop()
	})
}

// One that answers and then hangs is ended when a call waits for it.
func TestHangsBetweenCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		p := func(p *fakeProcess) sandbox.Exit {
			if !first {
				return echo(p)
			}
			first = false
			p.calls.Ready()
			if v, err := p.calls.Next(context.Background()); err == nil {
				_ = p.calls.Respond(v.ID, nil, func() {})
			}
			<-p.killed
			return killedExit
		}
		r := newRig(t, t.TempDir(), p, Options{}, config("f", pinned)).start()
		r.put("f", "1")
		r.want(map[string]int{"done": 1})
		time.Sleep(time.Hour)
		if s := r.stats(); s.Restarts != 0 {
			t.Errorf("nobody waited, and %+v", s)
		}
		r.put("f", "2")
		time.Sleep(4 * time.Second)
		if got := r.verdicts(); got["done"] != 2 {
			t.Errorf("settled %v, %+v", got, r.stats())
		}
		r.stop()
	})
}

// At the end what runs may finish, what waits is dropped, and what takes too long is ended.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(func(p *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
			if string(v.Payload) == "2" {
				return hang(p)
			}
			time.Sleep(3 * time.Second)
			return nil, nil
		})
		change := func(c *Config) { c.Concurrency = 2; c.Timeout = time.Hour }
		r := newRig(t, t.TempDir(), p, Options{}, config("f", change)).start()
		r.put("f", "1")
		r.put("f", "2")
		r.put("f", "3")
		time.Sleep(time.Second)
		waiting := make(chan error, 1)
		go func() {
			_, err := r.m.Invoke(context.Background(), "f", []byte("4"), "")
			waiting <- err
		}()
		synctest.Wait()
		begun := time.Now()
		r.stop()
		if took := time.Since(begun); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("the end took %v, want the grace", took)
		}
		if got, want := fmt.Sprint(r.verdicts()), "map[done:1 dropped stopped:2]"; got != want {
			t.Errorf("settled %v, want %v", got, want)
		}
		if err := <-waiting; !errors.Is(err, ErrStopped) {
			t.Errorf("Invoke: %v", err)
		}
	})
}

// Scratch folders go with their instances, and those of a killed gateway at the start.
func TestScratch(t *testing.T) {
	dir := t.TempDir()
	left := dir + "/functions/scratch/f-9/x"
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	var scratch string
	p := serve(func(p *fakeProcess, _ *endpoint.Invocation) ([]byte, error) {
		scratch = p.spec.Scratch
		return nil, os.WriteFile(scratch+"/file", nil, 0o600)
	})
	r := newRig(t, dir, p, Options{}, config("f", func(c *Config) { c.Environment = map[string]string{"PATH": "/x", "TMPDIR": "/x"} })).start()
	r.put("f", "1")
	r.want(map[string]int{"done": 1})
	spec := r.launcher.begun[0].spec
	env := strings.Join(spec.Env, "\n")
	if !strings.Contains(env, "HOME="+scratch) || !strings.Contains(env, "TMPDIR="+scratch) || strings.Contains(env, "TMPDIR=/x") || strings.Count(env, "PATH=") != 1 || !strings.Contains(env, "PATH=/x") {
		t.Errorf("environment %q", env)
	}
	if spec.Dir != scratch || len(spec.Hidden) == 0 || spec.Hidden[0] != dir+"/functions" {
		t.Errorf("spec %+v", spec)
	}
	r.stop()
	for _, p := range []string{scratch, left} {
		if _, err := os.Stat(p); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", p, err)
		}
	}
}
