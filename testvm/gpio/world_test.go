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
	h := reach(t, line)
	h.to(high)
	_ = h.file.Close()
}

// hand is the world's hand on an input.
type hand struct {
	t    *testing.T
	file *os.File
}

// reach takes a line into the hand, for what goes up and down fast.
func reach(t *testing.T, line int) hand {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(simulator, fmt.Sprintf("sim_gpio%d/pull", line)), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() }) // it may be closed already
	return hand{t, file}
}

// to pulls it up or down.
func (h hand) to(high bool) {
	h.t.Helper()
	pull := "pull-down"
	if high {
		pull = "pull-up"
	}
	if _, err := h.file.WriteAt([]byte(pull), 0); err != nil {
		h.t.Fatal(err)
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
