package gpio_test

import (
	"strings"
	"testing"
	"time"
)

const contracts = `  leds:
    - {name: red, pin: GPIO17, interlock: [red, green]}
    - {name: green, pin: GPIO22, interlock: [red, green], thing: light, key: property, on: G}
  outputs:
    - {name: relay, pin: GPIO6, active_low: true}
    - {name: pump, pin: GPIO12, max_on: 1s, min_off: 5s}
    - {name: heater, pin: GPIO13, hold: 2s}
  pwm:
    - {name: fan, pin: GPIO18, frequency: 20}
`

// What the group file promises of an output is kept on the line, whoever drives it.
func TestContract(t *testing.T) {
	inMachine(t)
	g := run(t, contracts,
		`{from: panel, topic: pump, to: "gpio:pump"}`,
		`{from: panel, topic: heater, to: "gpio:heater"}`,
		`{from: panel, topic: fan, to: "gpio:fan"}`)
	panel := connect(t, "panel")

	t.Run("ActiveLow", func(t *testing.T) {
		if !level(t, 6) {
			t.Error("a relay that is off has its line low")
		}
		g.must("gpio", "set", "relay", "on")
		if level(t, 6) {
			t.Error("a relay that is on has its line high")
		}
	})
	t.Run("Interlock", func(t *testing.T) {
		g.must("gpio", "set", "red", "on")
		if _, stderr, code := g.command("gpio", "set", "green", "on"); code == 0 || !strings.Contains(stderr, `"green" may not be on while "red" is on`) {
			t.Errorf("by hand: exit code %d: %s", code, stderr)
		}
		g.must("shadow", "update", "light", `{"state": {"desired": {"property": "G"}}}`)
		eventually(t, "the refusals are counted", func() bool { return g.pins()["green"].Violations["interlock"] >= 2 })
		if level(t, 22) || !level(t, 17) {
			t.Error("both may not be on, and red was first")
		}
		g.must("gpio", "set", "red", "off")
		eventually(t, "green has what its shadow desires", func() bool { return level(t, 22) })
	})
	t.Run("MaxOnMinOff", func(t *testing.T) {
		// It does not know for how long it was off before the start.
		turnOn := func() bool { panel.publish("pump", "on"); return level(t, 12) }
		eventually(t, "the pump is on", turnOn)
		on := time.Now()
		eventually(t, "the pump goes off by itself", func() bool { return !level(t, 12) })
		off := time.Now()
		if was := off.Sub(on); was > 3*time.Second {
			t.Errorf("the pump was on for %v, want 1s", was)
		}
		before := g.pins()["pump"].Violations["min-off"]
		panel.publish("pump", "on")
		eventually(t, "the refusal is counted", func() bool { return g.pins()["pump"].Violations["min-off"] > before })
		eventually(t, "the pump may be on again", turnOn)
		if paused := time.Since(off); paused < 4*time.Second {
			t.Errorf("the pump was on again after %v, want 5s", paused)
		}
	})
	t.Run("Hold", func(t *testing.T) {
		panel.publish("heater", "on")
		eventually(t, "the heater is on", func() bool { return level(t, 13) })
		said := time.Now()
		eventually(t, "the heater goes off: nobody speaks to it", func() bool { return !level(t, 13) })
		if held := time.Since(said); held < time.Second || held > 10*time.Second {
			t.Errorf("the heater was on for %v, want 2s", held)
		}
	})
	t.Run("PWM", func(t *testing.T) {
		for payload, want := range map[string][2]float64{"100": {1, 1}, "0": {0, 0}, "70": {0.5, 0.9}} {
			panel.publish("fan", payload)
			eventually(t, "the fan turns with "+payload+" %", func() bool {
				share := share(t, 18)
				return share >= want[0] && share <= want[1]
			})
		}
	})
}

// share watches a line for a second, and returns for what part of it that was high.
func share(t *testing.T, line int) float64 {
	t.Helper()
	end := time.After(time.Second)
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	high, looks := 0, 0
	for {
		select {
		case <-end:
			return float64(high) / float64(looks)
		case <-again.C:
			if looks++; level(t, line) {
				high++
			}
		}
	}
}
