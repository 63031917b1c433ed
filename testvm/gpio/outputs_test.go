package gpio_test

import (
	"strings"
	"syscall"
	"testing"
)

// lamps are the lines of the traffic light.
var lamps = map[string]int{"red": 17, "yellow": 27, "green": 22}

const trafficLight = `  leds:
    - {name: red, pin: P1_11, thing: light, key: property, on: R, safe: on}
    - {name: yellow, pin: GPIO27, thing: light, key: property, on: Y}
    - {name: green, pin: GPIO22, thing: light, key: property, on: G}
    - {name: chime, pin: GPIO5}
`

// lit writes the lamps that are on, as the world sees them.
func lit(t *testing.T) string {
	t.Helper()
	var on []string
	for _, name := range []string{"red", "yellow", "green"} {
		if level(t, lamps[name]) {
			on = append(on, name)
		}
	}
	return strings.Join(on, " ")
}

// A shadow and messages drive the lines of the chip; what the gateway lists is what the
// world sees, also after many looks.
func TestOutputs(t *testing.T) {
	inMachine(t)
	g := run(t, trafficLight, `{from: panel, topic: home/chime, to: "gpio:chime"}`)
	if got := lit(t); got != "red" {
		t.Errorf("at start these are on: %q, want the safe levels", got)
	}
	if strings.Contains(g.log.String(), "did not load") { // of buses that the file does not use
		t.Errorf("the gateway misses a driver that it has no use for: %s", g.log)
	}
	for _, c := range []struct{ colour, lamp string }{{"G", "green"}, {"Y", "yellow"}, {"R", "red"}, {"G", "green"}} {
		g.must("shadow", "update", "light", `{"state": {"desired": {"property": "`+c.colour+`"}}}`)
		eventually(t, c.lamp+" alone is on", func() bool { return lit(t) == c.lamp })
		eventually(t, "it is reported", func() bool { return g.reported("property") == `"`+c.colour+`"` })
	}

	panel := connect(t, "panel")
	for _, c := range []struct {
		payload string
		on      bool
	}{{"on", true}, {`{"state": "off"}`, false}, {"toggle", true}, {"0", false}, {"1", true}} {
		panel.publish("home/chime", c.payload)
		eventually(t, "the chime does "+c.payload, func() bool { return level(t, 5) == c.on })
	}

	for range 3 { // reading an output would make an input of it (hardware.md, trap 1)
		for name, p := range g.pins() {
			want := map[string]string{"green": "on", "chime": "on"}[name]
			if want == "" {
				want = "off"
			}
			if p.Level != want || p.Mode != "ioctl-gpio" || p.Fault != "" {
				t.Errorf("the list has %+v, want it %s", p, want)
			}
		}
		if !level(t, 5) || lit(t) != "green" {
			t.Error("an output was changed by being looked at")
		}
	}
}

// What a killed gateway leaves is taken over by the next one.
func TestOutputsAfterKill(t *testing.T) {
	inMachine(t)
	g := run(t, trafficLight)
	g.must("gpio", "set", "green", "on")
	if !level(t, lamps["green"]) {
		t.Fatal("green is not on")
	}
	g.end(syscall.SIGKILL)
	run(t, trafficLight)
	if got := lit(t); got != "red" {
		t.Errorf("after the next start these are on: %q, want the safe levels", got)
	}
}

// A line that the kernel gives to somebody else is told with its place in the file, and
// no other is claimed.
func TestLineInUse(t *testing.T) {
	inMachine(t)
	file := writeFile(t, "  leds:\n    - {name: red, pin: GPIO17, safe: on}\n    - {name: blue, pin: GPIO4}\n")
	_, stderr, code := command(t, "run", "--config", file)
	if code != 1 || !strings.Contains(stderr, `the pin "GPIO4" cannot be used: the line is in use by "onewire@0"`) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if !strings.Contains(stderr, "group.yaml:14:25") {
		t.Errorf("the place is not told: %s", stderr)
	}
	if level(t, 17) {
		t.Error("a gateway that did not start left a lamp on")
	}
}
