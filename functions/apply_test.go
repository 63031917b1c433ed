package functions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"greengate/functions/endpoint"
)

// A reload starts what changed anew, when it has answered, and leaves the rest alone.
func TestApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var versions []string
		p := serve(func(p *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
			time.Sleep(2 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			versions = append(versions, p.spec.Command[0]+" "+string(v.Payload))
			return nil, nil
		})
		r := newRig(t, t.TempDir(), p, Options{}, config("f", pinned), config("g", pinned)).start()
		r.put("f", "1")
		r.put("f", "2")
		time.Sleep(time.Second)
		next := config("f", pinned, func(c *Config) { c.Command = []string{"./new"} })
		if err := r.m.Apply([]Config{config("h"), next, config("g", pinned)}); err != nil {
			t.Fatal(err)
		}
		r.put("h", "3")
		r.want(map[string]int{"done": 3})
		slices.Sort(versions)
		if want := []string{"./f 1", "./f 3", "./new 2"}; !slices.Equal(versions, want) {
			t.Errorf("%q, want %q", versions, want)
		}
		var names []string
		for _, s := range r.m.Stats() {
			names = append(names, fmt.Sprint(s.Name, s.Restarts))
		}
		if want := []string{"h0", "f0", "g0"}; !slices.Equal(names, want) {
			t.Errorf("functions %q, want %q and no restart", names, want)
		}
		if n := r.launcher.starts(); n != 4 { // f, g, the new f, h
			t.Errorf("%d starts", n)
		}
		r.stop()
	})
}

// A reload lifts the back-off: somebody has mended it.
func TestApplyLiftsTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(func(p *fakeProcess, _ *endpoint.Invocation) ([]byte, error) { return nil, nil })
		r := newRig(t, t.TempDir(), p, Options{}, config("f", pinned))
		err := fmt.Errorf("no such file")
		r.launcher.refuse.Store(&err)
		r.start()
		time.Sleep(time.Hour)
		r.launcher.refuse.Store(nil)
		if err := r.m.Apply([]Config{config("f", pinned, func(c *Config) { c.Command = []string{"./g"} })}); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		r.put("f", "1")
		r.want(map[string]int{"done": 1})
		if took := time.Since(begun); took > 100*time.Millisecond {
			t.Errorf("the call waited %v", took)
		}
		r.stop()
	})
}

func TestApplyRefuses(t *testing.T) {
	r := newRig(t, t.TempDir(), echo, Options{}, config("f"))
	for name, list := range map[string][]Config{
		"cron":    {config("g", func(c *Config) { c.Cron = "* * *" })},
		"twice":   {config("g"), config("g")},
		"name":    {config("../x")},
		"command": {config("g", func(c *Config) { c.Command = nil })},
		"timeout": {config("g", func(c *Config) { c.Timeout = 0 })},
	} {
		if err := r.m.Apply(list); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if s := r.stats(); s.Name != "f" {
		t.Errorf("functions %+v", r.m.Stats())
	}
	r.start()
}

// Calls that no row lets pass any more are dropped while they wait; others stay.
func TestRecheck(t *testing.T) {
	var k record
	var gone atomic.Bool
	p, open := gate(&k)
	stands := func(source, topic, function string) bool {
		return !gone.Load() || source == "lamp" && topic == "t/f" && function == "f"
	}
	patient := func(c *Config) { c.Timeout = time.Hour }
	r := newRig(t, t.TempDir(), p, Options{Stands: stands}, config("f", pinned, patient)).start()
	r.put("f", "0")
	r.until("it runs", func() bool { return r.stats().Running == 1 })
	r.put("f", "1", func(c *Call) { c.Message.Source.Name = "other" })
	r.put("f", "2")
	r.put("f", "3", durable, func(c *Call) { c.Message.Topic = "u/f" })
	r.until("it is on the disk", func() bool { return r.stats().Durable == 1 })
	denied := make(chan error, 1)
	go func() {
		_, err := r.m.InvokeFrom(context.Background(), "function:g", "f", []byte("4"), "t/f")
		denied <- err
	}()
	go func() {
		_, _ = r.m.Invoke(context.Background(), "f", []byte("5"), "") // of a person, who needs no row
	}()
	r.until("all wait", func() bool { return r.stats().Queued == 5 })
	gone.Store(true)
	r.m.Recheck()
	r.want(map[string]int{"dropped row-gone": 2})
	if err := <-denied; !errors.Is(err, ErrNoRow) {
		t.Errorf("InvokeFrom: %v", err)
	}
	open()
	r.want(map[string]int{"dropped row-gone": 2, "done": 2})
	r.until("that of a person is made", func() bool { return len(k.got()) == 3 })
	if got := k.got(); !slices.Equal(got, []string{"0", "2", "5"}) {
		t.Errorf("calls %q", got)
	}
	r.until("nothing is on the disk", func() bool { return r.stats().Durable == 0 })
}

// A call that is being made while its row goes is not tried again.
func TestRecheckBetweenTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone atomic.Bool
		var tries atomic.Int32
		p := serve(func(*fakeProcess, *endpoint.Invocation) ([]byte, error) {
			tries.Add(1)
			time.Sleep(time.Second)
			return nil, errors.New("not yet")
		})
		r := newRig(t, t.TempDir(), p, Options{Stands: func(string, string, string) bool { return !gone.Load() }}, config("f")).start()
		r.put("f", "1", durable)
		time.Sleep(time.Second / 2)
		gone.Store(true)
		r.m.Recheck()
		time.Sleep(time.Hour)
		if got := r.verdicts(); tries.Load() != 1 || got["dropped row-gone"] != 1 || len(got) != 1 {
			t.Errorf("tried %d times, settled %v", tries.Load(), got)
		}
		r.stop()
	})
}

// What the process does not depend on changes under it.
func TestApplySettings(t *testing.T) {
	r := newRig(t, t.TempDir(), echo, Options{}, config("f", pinned)).start()
	r.put("f", "1")
	r.want(map[string]int{"done": 1})
	if err := r.m.Apply([]Config{config("f", pinned, func(c *Config) { c.ReplyTo = "out"; c.Queue.Max = 1 })}); err != nil {
		t.Fatal(err)
	}
	r.put("f", "2")
	r.want(map[string]int{"done": 2})
	if got := r.answers(); len(got) != 1 || r.launcher.starts() != 1 {
		t.Errorf("replied %q, %d starts", got, r.launcher.starts())
	}
}
