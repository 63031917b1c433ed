package gpio_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	simulator = "/run/gpiosim/pi"               // of the lines; see init
	buses     = "/sys/module/pisim/parameters/" // see driver/pisim.c
)

// patience is for what is only slow when something is wrong. The processor is emulated.
const patience = 30 * time.Second

// level returns what a line carries, as the world sees it.
func level(t *testing.T, line int) bool {
	t.Helper()
	value, err := os.ReadFile(filepath.Join(simulator, fmt.Sprintf("sim_gpio%d/value", line)))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(value)) == "1"
}

// drive has the world pull an input up or down. The gateway's own resistor overwrites
// that when it claims the line, so it is for afterwards.
func drive(t *testing.T, line int, high bool) {
	t.Helper()
	pull := "pull-down"
	if high {
		pull = "pull-up"
	}
	if err := os.WriteFile(filepath.Join(simulator, fmt.Sprintf("sim_gpio%d/pull", line)), []byte(pull), 0); err != nil {
		t.Fatal(err)
	}
}

// set sets a parameter of the pretended buses.
func set(t *testing.T, parameter, value string) {
	t.Helper()
	if err := os.WriteFile(buses+parameter, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until check is true.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !check() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}
