package gpio_test

import (
	"slices"
	"testing"
	"time"

	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"
)

const quick = `  leds:
    - {name: chime, pin: GPIO5}
  inputs:
    - {name: door, pin: GPIO24, debounce: 0s, topic: home/door}
`

// How long it takes a device over MQTT and TLS from a message to the level of a line, and
// from an edge to a message, beside a bare write to the line. The processor, which
// encrypts, is emulated; on a Pi all of it is faster. The log has the figures. What the
// gateway itself takes of it is in TestGateToLine.
func TestFigures(t *testing.T) {
	inMachine(t)
	const rounds = 200
	t.Logf("a bare write: %v", bareWrite(t, rounds))

	run(t, quick, `{from: panel, topic: chime, to: "gpio:chime"}`, `{from: "gpio:door", topic: home/door, to: panel}`)
	panel := connect(t, "panel", "home/door")
	toLine := median(rounds, func(i int) {
		payload, on := "on", true
		if i%2 == 1 {
			payload, on = "off", false
		}
		panel.send("chime", payload)
		for level(t, 5) != on {
		}
	})
	for range rounds {
		panel.acknowledged()
	}
	toMessage := median(rounds, func(i int) {
		drive(t, 24, i%2 == 1)
		panel.next()
	})
	t.Logf("a message with QoS 1 to the level of its line: %v; an edge to its message: %v", toLine, toMessage)
	if toLine > time.Second || toMessage > time.Second {
		t.Error("that is too long, on any computer")
	}
}

// bareWrite writes to a line as a program without a gateway does, and returns the median.
func bareWrite(t *testing.T, rounds int) time.Duration {
	t.Helper()
	if _, err := driverreg.Init(); err != nil {
		t.Fatal(err)
	}
	line := gpioioctl.Chips[0].ByName("GPIO7")
	defer line.Close()
	return median(rounds, func(i int) {
		if err := line.Out(gpio.Level(i%2 == 0)); err != nil {
			t.Fatal(err)
		}
	})
}

// median does something so often, and returns how long it took in the middle.
func median(rounds int, work func(round int)) time.Duration {
	took := make([]time.Duration, rounds)
	for i := range took {
		began := time.Now()
		work(i)
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[rounds/2]
}
