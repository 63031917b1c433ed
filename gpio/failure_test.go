package gpio

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestFailureBackOff(t *testing.T) {
	var f failure
	begin := time.Now()
	now := begin
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60} {
		f.add(now, errors.New("gone"))
		if wait := f.next.Sub(now); wait != want*time.Second {
			t.Errorf("after failure %d the wait is %v, want %v s", i+1, wait, int(want))
		}
		now = f.next
	}
	if !f.since.Equal(begin) {
		t.Errorf("it fails since %v", f.since)
	}
}

// An output that fails is told, refuses, is tried again and takes the level that
// it is to have; the others go on.
func TestOutputFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w := openBank(t, Options{Config: trafficLight()})
		defer run(t, b)()
		gone := errors.New("no such device")
		w.fail("GPIO27", gone)
		for range 2 {
			var refusal *Refusal
			if err := b.Set("yellow", true); !errors.As(err, &refusal) || refusal.Reason != PinFault {
				t.Errorf("a command to it: %v", err)
			}
		}
		if err := b.Identify(t.Context(), "yellow"); err == nil {
			t.Error("it blinks")
		}
		if err := b.Set("green", true); err != nil {
			t.Errorf("another pin: %v", err)
		}
		begin := time.Now()
		if f := b.Faults(); len(f) != 1 || f[0].Pin != "GPIO27" || f[0].Problem != gone.Error() || !f[0].Since.Equal(begin) {
			t.Errorf("faults %+v", f)
		}
		if s := b.List()[1]; s.Fault != gone.Error() || s.Level != "unknown" {
			t.Errorf("%+v", s)
		}
		time.Sleep(2500 * time.Millisecond) // tried at 1 s; the next time at 3 s
		w.fail("GPIO27", nil)
		time.Sleep(400 * time.Millisecond)
		if len(b.Faults()) != 1 {
			t.Error("it works before it was tried again")
		}
		time.Sleep(200 * time.Millisecond)
		if f := b.Faults(); f != nil {
			t.Errorf("faults %+v", f)
		}
		wantLamps(t, w, "RG") // what was refused is not done later
		if err := b.Set("yellow", true); err != nil {
			t.Error(err)
		}
		wantLamps(t, w, "RYG")

		// One that fails while it blinks comes back with the level it had.
		ended := make(chan error)
		go func() { ended <- b.Identify(t.Context(), "yellow") }()
		time.Sleep(100 * time.Millisecond)
		w.fail("GPIO27", gone)
		if err := <-ended; err == nil {
			t.Error("a failed pin blinks")
		}
		w.fail("GPIO27", nil)
		time.Sleep(2 * time.Second)
		wantLamps(t, w, "RYG")
	})
}

// A pin that failed and works again at the end gets its safe level all the same.
func TestSafeAfterFault(t *testing.T) {
	b, w := openBank(t, Options{Config: trafficLight()})
	w.fail("GPIO17", errors.New("no such device"))
	if err := b.Set("red", false); err == nil {
		t.Fatal("it does not fail")
	}
	wantLamps(t, w, "")
	w.fail("GPIO17", nil)
	b.stop()
	wantLamps(t, w, "R")
}

// A button that is lost is no busy loop, is told, and comes back.
func TestInputFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said presses
		k := newKernel()
		b := newBank(Options{Config: trafficLight(), Publish: said.add}, k.board())
		if err := b.Open(); err != nil {
			t.Fatal(err)
		}
		defer run(t, b)()
		l := k.line("GPIO22")
		lose := func(err error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.broken = err
		}
		lose(errors.New("no such device"))
		time.Sleep(2 * time.Second)
		f := b.Faults()
		if len(f) != 1 || f[0].Name != "bell" || f[0].Problem != "no such device" {
			t.Fatalf("faults %+v", f)
		}
		lose(nil)
		k.drive(t, "GPIO22", false)
		time.Sleep(10 * time.Second)
		if f := b.Faults(); f != nil {
			t.Errorf("faults %+v", f)
		}
		if got := said.take(); len(got) < 10 || got[:16] != "[home/bell down " {
			t.Errorf("published %s", got)
		}
		k.drive(t, "GPIO22", true)
		time.Sleep(time.Second)
		if got := said.take(); len(got) < 10 || got[:14] != "[home/bell up " {
			t.Errorf("published %s", got)
		}
		if list := k.trapped(); list != nil {
			t.Error(list)
		}
	})
}

// Everybody at once, for the race detector; at the end all is safe.
func TestConcurrency(t *testing.T) {
	var told reports
	var said presses
	c := trafficLight()
	c.Buttons = append(c.Buttons, Button{Name: "door", Pin: "GPIO23", Pull: "down", Debounce: time.Millisecond, Topic: "door"})
	b, w := openBank(t, Options{Config: c, Report: told.add, Publish: said.add})
	stop := run(t, b)
	var all sync.WaitGroup
	many := func(f func(i int)) {
		all.Go(func() {
			for i := range 200 {
				f(i)
			}
		})
	}
	values := []string{`{"property":"R"}`, `{"property":"Y"}`, `{"property":"G"}`}
	many(func(i int) { b.Desired("light", []byte(values[i%3]), []byte(values[i%2])) })
	for _, name := range []string{"red", "yellow", "green", "bell"} {
		many(func(int) { b.Deliver(name, []byte("toggle")) })
		many(func(int) { b.List(); b.Faults() })
	}
	many(func(i int) {
		var fault error
		if i%2 == 0 {
			fault = errors.New("flaky")
		}
		w.fail("GPIO27", fault)
		w.drive(t, "GPIO22", i%2 == 0)
	})
	all.Go(func() { b.Identify(t.Context(), "green") })
	all.Go(func() {
		if err := b.Press(t.Context(), "door", 1, time.Millisecond); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
	w.fail("GPIO27", nil)
	b.stop()
	wantLamps(t, w, "R")
	if err := stop(); err != nil {
		t.Error(err)
	}
}
