package gpio

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// say sends a payload, and tells why it was refused: "" when it was not.
func say(t *testing.T, b *Bank, name, payload string) string {
	t.Helper()
	err := b.Deliver(name, []byte(payload))
	var r *Refusal
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &r) || r.Detail == "":
		t.Fatalf("%s to %s: %v", payload, name, err)
	}
	return r.Reason
}

// expect fails the test unless the reason is the one that is wanted.
func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("refused because of %q, want %q", got, want)
	}
}

func find(t *testing.T, b *Bank, name string) State {
	t.Helper()
	for _, s := range b.List() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("%s is not listed", name)
	return State{}
}

// runBank opens and runs a Bank with those outputs in a bubble of its own time.
func runBank(t *testing.T, c Config, test func(t *testing.T, b *Bank, w simWorld, told *reports)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		told := &reports{}
		b, w := openBank(t, Options{Config: c, Report: told.add})
		stop := run(t, b)
		test(t, b, w, told)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func outputs(list ...Output) Config {
	for i := range list {
		if list[i].Safe == "" {
			list[i].Safe = "off"
		}
		if list[i].On == "" {
			list[i].On = "true"
		}
	}
	return Config{Driver: "sim", Outputs: list}
}

func TestHold(t *testing.T) {
	c := outputs(
		Output{Name: "valve", Pin: "GPIO5", Hold: 10 * time.Second},
		Output{Name: "alarm", Pin: "GPIO6", Hold: 10 * time.Second, Safe: "on"},
		Output{Name: "lamp", Pin: "GPIO7"},
	)
	runBank(t, c, func(t *testing.T, b *Bank, w simWorld, _ *reports) {
		time.Sleep(time.Minute) // nobody has said anything: they are safe
		say(t, b, "valve", "on")
		say(t, b, "alarm", "off")
		say(t, b, "lamp", "on")
		time.Sleep(9 * time.Second)
		say(t, b, "valve", "on") // the same again is a word, too
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !w.level(t, "GPIO5") || !w.level(t, "GPIO6") {
			t.Errorf("after 11 s the valve is on: %v, the alarm: %v", w.level(t, "GPIO5"), w.level(t, "GPIO6"))
		}
		time.Sleep(8500 * time.Millisecond)
		synctest.Wait()
		if w.level(t, "GPIO5") || !w.level(t, "GPIO7") {
			t.Errorf("after 10 s of silence the valve is on: %v, the lamp, which has no hold: %v", w.level(t, "GPIO5"), w.level(t, "GPIO7"))
		}
	})
}

func TestMaxOn(t *testing.T) {
	runBank(t, outputs(Output{Name: "pump", Pin: "GPIO5", MaxOn: 10 * time.Second}), func(t *testing.T, b *Bank, w simWorld, _ *reports) {
		expect(t, say(t, b, "pump", "on"), "")
		for range 4 { // to say it again does not make it longer
			time.Sleep(2400 * time.Millisecond)
			expect(t, say(t, b, "pump", "on"), "")
		}
		if !w.level(t, "GPIO5") {
			t.Error("it is off before its time")
		}
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if s := find(t, b, "pump"); w.level(t, "GPIO5") || s.Level != "off" || s.MaxOn != 1 {
			t.Errorf("after max_on: %+v", s)
		}
		expect(t, say(t, b, "pump", "on"), "") // without min_off it may
		if !w.level(t, "GPIO5") {
			t.Error("it is not on again")
		}
	})
}

// Another brightness is no pause.
func TestMaxOnOfPWM(t *testing.T) {
	c := Config{PWM: []PWM{{Name: "heater", Pin: "GPIO18", Frequency: 100, MaxOn: 10 * time.Second}}}
	runBank(t, c, func(t *testing.T, b *Bank, _ simWorld, _ *reports) {
		for _, percent := range []string{"10", "100", "50"} {
			expect(t, say(t, b, "heater", percent), "")
			time.Sleep(3 * time.Second)
		}
		if s := find(t, b, "heater"); s.Level != "50" {
			t.Errorf("after 9 s: %+v", s)
		}
		time.Sleep(2 * time.Second)
		if s := find(t, b, "heater"); s.Level != "0" || s.MaxOn != 1 {
			t.Errorf("after 11 s: %+v", s)
		}
	})
}

func TestMinOff(t *testing.T) {
	runBank(t, outputs(Output{Name: "cooler", Pin: "GPIO5", MinOff: 3 * time.Minute}), func(t *testing.T, b *Bank, w simWorld, _ *reports) {
		// Before this process it was on, perhaps.
		expect(t, say(t, b, "cooler", "on"), MinOff)
		time.Sleep(3 * time.Minute)
		expect(t, say(t, b, "cooler", "on"), "")
		expect(t, say(t, b, "cooler", "off"), "")
		for _, command := range []string{"on", "toggle", `{"state":"on"}`} {
			expect(t, say(t, b, "cooler", command), MinOff)
		}
		var r *Refusal
		if err := b.Set("cooler", true); !errors.As(err, &r) || r.Reason != MinOff {
			t.Errorf("a person: %v", err)
		}
		if err := b.Identify(t.Context(), "cooler"); !errors.As(err, &r) || r.Reason != MinOff {
			t.Errorf("Identify: %v", err)
		}
		if s := find(t, b, "cooler"); w.level(t, "GPIO5") || s.Violations[MinOff] != 6 || s.Fault != "" {
			t.Errorf("%+v", s)
		}
		time.Sleep(3*time.Minute - time.Second)
		expect(t, say(t, b, "cooler", "on"), MinOff)
		time.Sleep(2 * time.Second) // a refused command is forgotten
		if w.level(t, "GPIO5") {
			t.Error("a refused message was carried out later")
		}
		expect(t, say(t, b, "cooler", "on"), "")
		if !w.level(t, "GPIO5") {
			t.Error("it is off")
		}
	})
}

// A compressor that is safe when it runs does not start again at once, although
// its controller has gone silent.
func TestMinOffBeforeHold(t *testing.T) {
	c := outputs(Output{Name: "freezer", Pin: "GPIO5", Safe: "on", Hold: 10 * time.Second, MinOff: time.Minute})
	runBank(t, c, func(t *testing.T, b *Bank, w simWorld, _ *reports) {
		expect(t, say(t, b, "freezer", "off"), "")
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if s := find(t, b, "freezer"); w.level(t, "GPIO5") || s.Pending != "on" || s.Violations[MinOff] != 1 {
			t.Errorf("after hold: %+v", s)
		}
		time.Sleep(50 * time.Second)
		synctest.Wait()
		if s := find(t, b, "freezer"); !w.level(t, "GPIO5") || s.Pending != "" {
			t.Errorf("after min_off: %+v", s)
		}
	})
}

// What a shadow desires is a state: it comes when the contract allows it, and
// until then the shadow reports what the pin is.
func TestMinOffOfShadow(t *testing.T) {
	c := outputs(Output{Name: "cooler", Pin: "GPIO5", MinOff: time.Minute, MaxOn: time.Hour, Thing: "light", Key: "cool"})
	runBank(t, c, func(t *testing.T, b *Bank, w simWorld, told *reports) {
		// What was reported before, say by the process before, is not what the pin is.
		b.Desired("light", []byte(`{"cool":true}`), []byte(`{"cool":true}`))
		synctest.Wait()
		s := find(t, b, "cooler")
		if got := told.take(); w.level(t, "GPIO5") || s.Pending != "on" || s.Violations[MinOff] != 1 || got != "[light.cool=false]" {
			t.Errorf("at first: %+v, reported %s", s, got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		s = find(t, b, "cooler")
		if got := told.take(); !w.level(t, "GPIO5") || s.Pending != "" || s.Violations[MinOff] != 1 || got != "[light.cool=true]" {
			t.Errorf("after min_off: %+v, reported %s", s, got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := told.take(); w.level(t, "GPIO5") || got != "[light.cool=false]" {
			t.Errorf("after max_on: on %v, reported %s", w.level(t, "GPIO5"), got)
		}
		b.Desired("light", []byte(`{"cool":true}`), []byte(`{"cool":false}`)) // the echo of the report
		time.Sleep(2 * time.Minute)
		if w.level(t, "GPIO5") {
			t.Error("the echo of the report turned it on")
		}
		// A word that comes later takes the place of what is held back.
		b.Desired("light", []byte(`{"cool":false}`), nil)
		b.Desired("light", []byte(`{"cool":true}`), nil)
		say(t, b, "cooler", "off")
		b.Desired("light", []byte(`{"cool":false}`), nil)
		time.Sleep(2 * time.Minute)
		if w.level(t, "GPIO5") || find(t, b, "cooler").Pending != "" {
			t.Error("it came although nobody wants it any more")
		}
	})
}

// After hold a bound output reports the level that it really has.
func TestHoldOfShadow(t *testing.T) {
	c := Config{PWM: []PWM{{Name: "fan", Pin: "GPIO5", Mode: "auto", Frequency: 100, Hold: time.Minute, Thing: "light", Key: "fan"}}}
	runBank(t, c, func(t *testing.T, b *Bank, _ simWorld, told *reports) {
		b.Desired("light", []byte(`{"fan":100}`), nil)
		time.Sleep(30 * time.Second)
		b.Desired("light", []byte(`{"fan":"fast"}`), nil) // is no level, but a word
		synctest.Wait()
		if got, s := told.take(), find(t, b, "fan"); got != "[light.fan=100 light.fan=100]" || s.Level != "100" || s.Violations[BadPayload] != 1 {
			t.Errorf("%+v, reported %s", s, got)
		}
		time.Sleep(31 * time.Second)
		if got, s := told.take(), find(t, b, "fan"); got != "[light.fan=0]" || s.Level != "0" || s.Unit != "%" {
			t.Errorf("after hold: %+v, reported %s", s, got)
		}
	})
}

func TestInterlock(t *testing.T) {
	both := []string{"open", "close"} // its own name means nothing
	c := outputs(
		Output{Name: "open", Pin: "GPIO5", Interlock: both},
		Output{Name: "close", Pin: "GPIO6"}, // one side is enough
		Output{Name: "lamp", Pin: "GPIO7"},
	)
	runBank(t, c, func(t *testing.T, b *Bank, w simWorld, _ *reports) {
		on := func(want string) {
			t.Helper()
			got := ""
			for _, l := range []string{"GPIO5", "GPIO6", "GPIO7"} {
				if w.level(t, l) {
					got += l[4:]
				}
			}
			if got != want {
				t.Errorf("on are %q, want %q", got, want)
			}
		}
		expect(t, say(t, b, "open", "on"), "")
		expect(t, say(t, b, "open", "on"), "")
		expect(t, say(t, b, "close", "on"), Interlocked)
		expect(t, say(t, b, "close", "toggle"), Interlocked)
		expect(t, say(t, b, "lamp", "on"), "")
		var r *Refusal
		if err := b.Identify(t.Context(), "close"); !errors.As(err, &r) || r.Reason != Interlocked {
			t.Errorf("Identify: %v", err)
		}
		on("57")
		if s := find(t, b, "close"); s.Violations[Interlocked] != 3 {
			t.Errorf("%+v", s)
		}
		// While it blinks it keeps its place.
		ended := make(chan error)
		go func() { ended <- b.Identify(t.Context(), "open") }()
		time.Sleep(100 * time.Millisecond)
		on("7")
		expect(t, say(t, b, "close", "on"), Interlocked)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		on("57")
		expect(t, say(t, b, "open", "off"), "")
		expect(t, say(t, b, "close", "on"), "")
		on("67")
	})
}

// One that fails while it may be on keeps the others off until it works again.
func TestInterlockOfFailed(t *testing.T) {
	c := outputs(
		Output{Name: "open", Pin: "GPIO5", Interlock: []string{"close"}},
		Output{Name: "close", Pin: "GPIO6", Interlock: []string{"open"}, Thing: "light", Key: "close"},
	)
	runBank(t, c, func(t *testing.T, b *Bank, w simWorld, told *reports) {
		w.fail("GPIO5", errors.New("no such device"))
		expect(t, say(t, b, "open", "on"), PinFault)
		expect(t, say(t, b, "close", "on"), Interlocked)
		b.Desired("light", []byte(`{"close":true}`), nil)
		w.fail("GPIO5", nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if w.level(t, "GPIO5") || !w.level(t, "GPIO6") {
			t.Errorf("open %v, close %v", w.level(t, "GPIO5"), w.level(t, "GPIO6"))
		}
		if got := told.take(); got != "[light.close=false light.close=true]" {
			t.Errorf("reported %s", got)
		}
	})
}

// Never two at once, whoever asks and however often.
func TestInterlockUnderLoad(t *testing.T) {
	var list []Output
	all := []string{"p0", "p1", "p2"}
	for i, name := range all {
		list = append(list, Output{Name: name, Pin: fmt.Sprintf("GPIO%d", 5+i), Interlock: all})
	}
	on := map[string]bool{}
	seen := make(chan string, 10000) // Changed is called under locks of several pins
	b, _ := openBank(t, Options{Config: outputs(list...), Changed: func(name string, lit bool) { seen <- name + word(lit, "+", "-") }})
	done := make(chan bool)
	for _, name := range all {
		go func() {
			for range 500 {
				b.Deliver(name, []byte("toggle"))
			}
			done <- true
		}()
	}
	for range all {
		<-done
	}
	turnedOn := 0
	for len(seen) > 0 {
		s := <-seen
		name := s[:2]
		if s[2] == '-' {
			delete(on, name)
			continue
		}
		turnedOn++
		if on[name] = true; len(on) > 1 {
			t.Fatalf("on at once: %v", on)
		}
	}
	if turnedOn < 3 {
		t.Errorf("turned on %d times", turnedOn)
	}
}
