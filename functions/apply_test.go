package functions

import (
	"fmt"
	"slices"
	"sync"
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

// Calls that wait by a row that a reload took are dropped; others stay.
func TestRetain(t *testing.T) {
	var k record
	p, open := gate(&k)
	r := newRig(t, t.TempDir(), p, Options{}, config("f", pinned)).start()
	r.put("f", "0")
	r.until("it runs", func() bool { return r.stats().Running == 1 })
	for i, route := range []string{"a", "b", "a"} {
		r.put("f", fmt.Sprint(i+1), func(c *Call) { c.Route = route; c.Durable = i == 2 })
	}
	r.m.Retain(func(route string) bool { return route != "a" })
	r.want(map[string]int{"dropped row-gone": 2})
	open()
	r.want(map[string]int{"dropped row-gone": 2, "done": 2})
	if got := k.got(); !slices.Equal(got, []string{"0", "2"}) {
		t.Errorf("calls %q", got)
	}
	if s := r.stats(); s.Durable != 0 {
		t.Errorf("stats %+v", s)
	}
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
