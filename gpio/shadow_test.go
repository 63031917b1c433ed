package gpio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reports collects what a Bank reports.
type reports struct {
	mu   sync.Mutex
	list []string
}

func (r *reports) add(_ context.Context, thing, key string, value json.RawMessage) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, fmt.Sprintf("%s.%s=%s", thing, key, value))
	return nil
}

// take returns what came since the last time.
func (r *reports) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := fmt.Sprint(r.list)
	r.list = nil
	return s
}

func TestDesired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told reports
		b, w := openBank(t, Options{Config: trafficLight(), Report: told.add})
		stop := run(t, b)
		for i, c := range []struct{ thing, desired, reported, lamps, told string }{
			{"other", `{"property":"R"}`, ``, "R", "[]"},
			{"light", `{"else":"G"}`, ``, "R", "[]"}, // the safe level stays
			{"light", ``, ``, "R", "[]"},
			{"light", `{"property":"G"}`, ``, "G", `[light.property="G"]`},
			{"light", `{"property":"G","else":1}`, `{"property":"G"}`, "G", "[]"}, // the echo of our report
			{"light", `{"property": "Y"}`, `{"property":"G"}`, "Y", `[light.property="Y"]`},
			{"light", `{"property":"R"}`, `{"property":"R"}`, "R", "[]"}, // a second light was faster
			{"light", `{"property":"R"}`, `{"property":"G"}`, "R", "[]"}, // and says something else: not ours to contradict
			{"light", `{"property":"X"}`, `{}`, "", `[light.property="X"]`},
			{"light", `{"property":{"a":[1,2]}}`, `{"property":"X"}`, "", `[light.property={"a":[1,2]}]`},
			{"light", `{"property":{"a": [1, 2]}}`, `{"property":"X"}`, "", "[]"}, // the same value, written otherwise
			{"light", `{"property":"R"}`, `null`, "R", `[light.property="R"]`},
			{"light", `{"property":null}`, `null`, "R", "[]"},
			{"light", `{}`, ``, "R", "[]"},                                 // no longer desired: stays
			{"light", `{"property":"R"}`, ``, "R", `[light.property="R"]`}, // a new shadow, without reported
			{"light", `{"property":`, ``, "R", "[]"},
			{"light", `[1]`, ``, "R", "[]"},
		} {
			b.Desired(c.thing, json.RawMessage(c.desired), json.RawMessage(c.reported))
			wantLamps(t, w, c.lamps) // before Desired returned
			synctest.Wait()
			if got := told.take(); got != c.told {
				t.Errorf("step %d, %s: reported %s, want %s", i, c.desired, got, c.told)
			}
		}
		if !b.Bound("light") || b.Bound("other") {
			t.Error("Bound")
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// What a message does to a bound LED lasts until the value of its key changes.
func TestMessageOverDesired(t *testing.T) {
	b, w := openBank(t, Options{Config: trafficLight()})
	b.Desired("light", []byte(`{"property":"G"}`), nil)
	if err := b.Set("green", false); err != nil {
		t.Fatal(err)
	}
	b.Desired("light", []byte(`{"property":"G","else":1}`), []byte(`{"property":"G"}`))
	wantLamps(t, w, "")
	b.Desired("light", []byte(`{"property":"Y"}`), nil)
	wantLamps(t, w, "Y")
	b.Desired("light", []byte(`{"property":"G"}`), nil)
	wantLamps(t, w, "G")
}

// Red and green never shine together: what goes out goes out first.
func TestOffFirst(t *testing.T) {
	var order []string
	b, _ := openBank(t, Options{Config: trafficLight(), Changed: func(name string, on bool) {
		order = append(order, name+" "+word(on, "on", "off"))
	}})
	b.Desired("light", []byte(`{"property":"G"}`), nil)
	order = nil
	b.Desired("light", []byte(`{"property":"R"}`), nil)
	if got := fmt.Sprint(order); got != "[green off red on]" {
		t.Errorf("the order is %s", got)
	}
}

// Reported is what the pins show: a pin that fails is reported when it has taken
// the level, and the other LEDs of the key have it at once.
func TestReportAfterFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told reports
		b, w := openBank(t, Options{Config: trafficLight(), Report: told.add})
		defer run(t, b)()
		if err := w.fail("GPIO5", errors.New("no such device")); err != nil {
			t.Fatal(err)
		}
		b.Desired("light", []byte(`{"property":"G"}`), nil)
		synctest.Wait()
		wantLamps(t, w, "")
		if f := b.Faults(); len(f) != 1 || f[0].Name != "green" || f[0].Problem != "no such device" || told.take() != "[]" {
			t.Errorf("faults %+v", f)
		}
		b.Desired("light", []byte(`{"property":"Y"}`), nil)
		time.Sleep(5 * time.Second)
		wantLamps(t, w, "Y")
		b.Desired("light", []byte(`{"property":"G"}`), nil)
		if err := w.fail("GPIO5", nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		wantLamps(t, w, "G")
		if got := told.take(); got != `[light.property="G"]` || b.Faults() != nil {
			t.Errorf("reported %s, faults %v", got, b.Faults())
		}

		// What somebody else reports meanwhile need not be reported again.
		w.fail("GPIO27", errors.New("no such device"))
		b.Desired("light", []byte(`{"property":"Y"}`), nil)
		b.Desired("light", []byte(`{"property":"Y"}`), []byte(`{"property":"Y"}`))
		w.fail("GPIO27", nil)
		time.Sleep(time.Minute)
		wantLamps(t, w, "Y")
		if got := told.take(); got != "[]" {
			t.Errorf("reported %s", got)
		}
	})
}

func TestLit(t *testing.T) {
	for _, c := range []struct {
		on        string
		lit, dark []string
	}{
		{"true", []string{"true", `"true"`, `"on"`, `"ON"`, `"1"`, "1"}, []string{"false", "0", `"off"`, `"toggle"`, "2", "null", `""`, "{}", "[true]"}},
		{"R", []string{`"R"`, `"\u0052"`}, []string{`"r"`, `"RR"`, "1", "true", "null", `["R"]`}},
		{"1", []string{"1", "1.0", "1e0", `"1"`}, []string{"true", `"on"`, "11", `"1.0"`}},
		{"off", []string{`"off"`}, []string{"false", "0", `"on"`}},
		{"false", []string{"false", `"false"`}, []string{"true", "0", "null"}},
		{"21.5", []string{"21.5", "21.50"}, []string{"21"}},
		{"", []string{`""`}, []string{"0", "false", "null"}},
		{"null", nil, []string{"null"}},
	} {
		for _, v := range c.lit {
			if !lit(c.on, json.RawMessage(v)) {
				t.Errorf("on: %s is dark at %s", c.on, v)
			}
		}
		for _, v := range c.dark {
			if lit(c.on, json.RawMessage(v)) {
				t.Errorf("on: %s is lit at %s", c.on, v)
			}
		}
	}
}

func TestSameJSON(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{`1`, `1`, true}, {`{"a":1,"b":2}`, `{"b":2, "a":1}`, true}, {`"R"`, `"\u0052"`, true}, {`1`, `"1"`, false},
		{`12345678901234567890`, `12345678901234567891`, false}, {`[1,2]`, `[2,1]`, false}, {``, `1`, false}, {`{`, `{}`, false},
	} {
		a, b := json.RawMessage(c.a), json.RawMessage(c.b)
		if c.a == "" {
			a = nil
		}
		if sameJSON(a, b) != c.same || sameJSON(b, a) != c.same {
			t.Errorf("%s and %s are the same: %v", c.a, c.b, !c.same)
		}
	}
}
