package gpio

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func flow() Counter {
	return Counter{Name: "flow", Pin: "GPIO23", Pull: "up", Edges: "falling", Every: 10 * time.Second, Topic: "flow", Scale: 0.1, Unit: "l"}
}

// pulse makes n pulses, so many a second.
func pulse(t *testing.T, w simWorld, n, perSecond int) {
	for range n {
		w.drive(t, "GPIO23", false)
		time.Sleep(time.Second / time.Duration(2*perSecond))
		w.drive(t, "GPIO23", true)
		time.Sleep(time.Second / time.Duration(2*perSecond))
	}
}

func TestCounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := flow()
		c.Thing, c.Key = "meter", "flow"
		b, w, d := inputBank(t, Config{Counters: []Counter{c}}, nil)
		pulse(t, w, 3, 1)
		if s := b.List()[0]; s.Kind != "counter" || s.Level != "0.3" || s.Unit != "l" || s.Values != nil {
			t.Errorf("%+v", s)
		}
		wantDiary(t, d)
		at(10*time.Second + 1)
		wantDiary(t, d,
			`flow {"name":"flow","pulses":3,"total":0.3,"rate":0.03,"units":{"pulses":"","total":"l","rate":"l/s"},"at":"2000-01-01T00:00:10.000Z","simulated":true}`,
			`meter.flow={"pulses":3,"total":0.3,"rate":0.03}`)
		at(20*time.Second + 1)
		wantDiary(t, d,
			`flow {"name":"flow","pulses":3,"total":0.3,"rate":0,"units":{"pulses":"","total":"l","rate":"l/s"},"at":"2000-01-01T00:00:20.000Z","simulated":true}`,
			`meter.flow={"pulses":3,"total":0.3,"rate":0}`)
		at(30*time.Second + 1)
		if list := d.take(); len(list) != 1 { // the shadow has that already
			t.Errorf("said %q", list)
		}
		if s := b.List()[0]; len(s.Values) != 3 || s.At.Second() != 30 {
			t.Errorf("%+v", s)
		}
	})
}

// What counts is what the file says, and a contact that bounces makes one pulse.
func TestCounterEdges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			edges    string
			debounce time.Duration
			want     string
		}{
			{"falling", 0, "0.9"}, {"rising", 0, "0.9"}, {"both", 0, "1.8"},
			{"falling", 5 * time.Millisecond, "0.3"}, {"both", 5 * time.Millisecond, "0.6"},
		} {
			one := flow()
			one.Edges, one.Debounce = c.edges, c.debounce
			b, w := openBank(t, Options{Config: Config{Counters: []Counter{one}}})
			stop := run(t, b)
			for range 3 {
				pulse(t, w, 2, 500) // bounces
				w.drive(t, "GPIO23", false)
				time.Sleep(50 * time.Millisecond)
				w.drive(t, "GPIO23", true)
				time.Sleep(50 * time.Millisecond)
			}
			synctest.Wait()
			if s := b.List()[0]; s.Level != c.want {
				t.Errorf("%s, %v: %s, want %s", c.edges, c.debounce, s.Level, c.want)
			}
			stop()
		}
	})
}

// A counter tells no more often when pulses come fast, and that is no storm.
func TestCounterFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w, d := inputBank(t, Config{Counters: []Counter{flow()}}, nil)
		pulse(t, w, 50_000, 5000)
		at(11 * time.Second)
		synctest.Wait()
		list := d.take()
		if len(list) != 1 || !strings.Contains(list[0], `"pulses":50000,"total":5000,"rate":500,`) || b.Faults() != nil {
			t.Errorf("said %q; faults %+v", list, b.Faults())
		}
	})
}

// Pulses that nobody could read count all the same; that it happened is a fault.
func TestCounterOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w := openBank(t, Options{Config: Config{Counters: []Counter{flow()}}})
		const n = 3 * queueSize
		for range n { // nobody reads yet
			w.drive(t, "GPIO23", false)
			w.drive(t, "GPIO23", true)
		}
		defer run(t, b)()
		synctest.Wait()
		s := b.List()[0]
		if s.Lost != n-queueSize || !strings.Contains(s.Fault, "the kernel did not keep 2048 of them") {
			t.Errorf("%+v", s)
		}
		time.Sleep(stormCalm + pollEvery)
		if s := b.List()[0]; s.Level != "307.2" || s.Fault != "" {
			t.Errorf("afterwards %+v", s)
		}
	})
}

// One with debouncing, to which the lost pulses are lost, goes on with the next.
func TestCounterOverflowDebounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := flow()
		c.Debounce = time.Millisecond
		b, w := openBank(t, Options{Config: Config{Counters: []Counter{c}}})
		for range queueSize {
			w.drive(t, "GPIO23", false)
			w.drive(t, "GPIO23", true)
		}
		defer run(t, b)()
		synctest.Wait()
		pulse(t, w, 7, 10)
		synctest.Wait()
		if s := b.List()[0]; s.Lost != queueSize || s.Held != 0 || s.Fault == "" {
			t.Errorf("%+v", s)
		}
		time.Sleep(stormCalm + pollEvery)
		if s := b.List()[0]; s.Level != "0.7" || s.Fault != "" {
			t.Errorf("afterwards %+v", s)
		}
	})
}

// A counter that fails does not say that nothing flows, and keeps its count.
func TestCounterFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w, d := inputBank(t, Config{Counters: []Counter{flow()}}, nil)
		pulse(t, w, 5, 10)
		w.fail("GPIO23", errors.New("no such device"))
		at(15 * time.Second)
		wantDiary(t, d)
		if f := b.Faults(); len(f) != 1 || f[0].Problem != "no such device" {
			t.Errorf("faults %+v", f)
		}
		w.fail("GPIO23", nil)
		at(35 * time.Second)
		pulse(t, w, 5, 10)
		at(41 * time.Second)
		synctest.Wait()
		list := d.take()
		if len(list) != 2 || !strings.Contains(list[1], `"pulses":10,`) {
			t.Errorf("said %q", list)
		}
	})
}

// Whoever takes the messages of a counter holds up no edge.
func TestCounterSlowReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := flow()
		c.Every, c.Debounce = time.Second, 100*time.Microsecond // so that lost edges would not count
		var last string
		b, w := openBank(t, Options{
			Config: Config{Counters: []Counter{c}},
			Publish: func(_ string, payload []byte, _ string) {
				time.Sleep(7 * time.Second)
				last = string(payload)
			},
		})
		stop := run(t, b)
		synctest.Wait()
		pulse(t, w, 20_000, 1000)
		time.Sleep(20 * time.Second)
		if s := b.List()[0]; s.Lost != 0 || s.Level != "2000" {
			t.Errorf("%+v", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		var p struct{ Pulses int }
		if err := json.Unmarshal([]byte(last), &p); err != nil || p.Pulses != 20_000 {
			t.Errorf("the last message: %s, %v", last, err)
		}
	})
}

func TestPressCounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		both := flow()
		both.Name, both.Pin, both.Edges = "both", "GPIO24", "both"
		b, _, _ := inputBank(t, Config{
			Counters: []Counter{flow(), both},
			Inputs:   []Input{{Name: "door", Pin: "GPIO5", Pull: "down", Debounce: 20 * time.Millisecond, Edges: "both", Topic: "door"}},
		}, nil)
		for _, name := range []string{"flow", "both", "door"} {
			if err := b.Press(t.Context(), name, 25, time.Millisecond); err != nil {
				t.Error(err)
			}
		}
		list := b.List()
		if list[0].Level != "off" || list[1].Level != "2.5" || list[2].Level != "5" {
			t.Errorf("%+v", list)
		}
	})
}

// A meter that counts down begins at 0, and not at -0, which JSON knows.
func TestCounterDownBeginsAtZero(t *testing.T) {
	n := &counter{scale: -0.1}
	for _, v := range n.measure(count{}, count{at: time.Unix(10, 0)}) {
		if math.Signbit(v.Value) {
			t.Errorf("%s is %v", v.Quantity, v.Value)
		}
	}
}
