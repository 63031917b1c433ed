package gpio_test

import (
	"encoding/json"
	"syscall"
	"testing"
	"time"
)

const contacts = `  inputs:
    - {name: door, pin: GPIO24, active_low: true, debounce: 20ms, topic: home/door, thing: light, key: door}
  counters:
    - {name: water, pin: GPIO25, every: 1s, scale: 0.5, unit: l, topic: home/water}
  buttons:
    - {name: bell, pin: GPIO23, debounce: 20ms, topic: home/bell, long: 3s, double: 5s}
`

// A contact tells its state from the start on, to its topic and its shadow.
func TestInput(t *testing.T) {
	inMachine(t)
	g := run(t, contacts, `{from: "gpio:door", topic: home/door, to: panel}`)
	eventually(t, "the shadow has the door of the start", func() bool { return g.reported("door") == "false" })
	panel := connect(t, "panel", "home/door")
	for _, on := range []bool{true, false, true} {
		drive(t, 24, !on)
		m := panel.next()
		var told struct {
			Name string
			On   bool
		}
		if err := json.Unmarshal(m.payload, &told); err != nil || told.Name != "door" || told.On != on {
			t.Errorf("the door says %s, want on %v", m.payload, on)
		}
		want := map[bool]string{true: "true", false: "false"}[on]
		eventually(t, "the shadow has the door", func() bool { return g.reported("door") == want })
	}
}

// A counter loses no edge, however fast they come, nor while the gateway has no time for
// them at all: the kernel's queue overflows then.
func TestCounter(t *testing.T) {
	inMachine(t)
	g := run(t, contacts, `{from: "gpio:water", topic: home/water, to: panel}`)
	panel := connect(t, "panel", "home/water")
	world := reach(t, 25)
	const pulses = 3000
	drivePulses := func() {
		for range pulses {
			world.to(false)
			world.to(true)
		}
	}
	expect := func(want float64) {
		t.Helper()
		var told struct{ Pulses, Total float64 }
		for late := time.Now().Add(patience); told.Pulses < want && time.Now().Before(late); {
			m := panel.next()
			if err := json.Unmarshal(m.payload, &told); err != nil {
				t.Fatalf("the counter says %s: %v", m.payload, err)
			}
		}
		if told.Pulses != want || told.Total != want/2 {
			t.Errorf("the counter has %v pulses, %v l; there were %v", told.Pulses, told.Total, want)
		}
	}
	began := time.Now()
	drivePulses()
	took := time.Since(began)
	t.Logf("%d edges in %v: %.0f a second", 2*pulses, took, 2*pulses/took.Seconds())
	expect(pulses)

	if err := g.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	drivePulses()
	if err := g.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// What the kernel no longer has is known by the number of the next edge.
	world.to(false)
	world.to(true)
	expect(2*pulses + 1)
}

// A press that lasts is a long one, and two in a short time are a double one.
func TestLongAndDouble(t *testing.T) {
	inMachine(t)
	run(t, contacts, `{from: "gpio:bell", topic: home/bell, to: panel}`)
	panel := connect(t, "panel", "home/bell")
	expect := func(events ...string) {
		t.Helper()
		for _, want := range events {
			m := panel.next()
			var told struct{ Event string }
			if err := json.Unmarshal(m.payload, &told); err != nil || told.Event != want {
				t.Errorf("the button says %s, want %s", m.payload, want)
			}
		}
	}
	drive(t, 23, false)
	expect("press")
	drive(t, 23, true)
	expect("release")
	drive(t, 23, false)
	expect("press", "double")
	drive(t, 23, true)
	expect("release")
	drive(t, 23, false)
	expect("press", "long")
	drive(t, 23, true)
	expect("release")
}
