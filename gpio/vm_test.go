package gpio

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"
)

// gpioSim is where a machine with the kernel's GPIO simulator shows the world's
// side of its lines: sim_gpioN/value and sim_gpioN/pull.
const gpioSim = "/run/gpiosim/pi"

// simKernel is the world around the lines of a real kernel.
type simKernel struct{ found *chips }

func openSimKernel(t *testing.T) simKernel {
	var before, after syscall.Stat_t
	if err := syscall.Fstat(0, &before); err != nil {
		t.Fatal(err)
	}
	b, err := openBoard("auto", slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	found, ok := b.(*chips)
	if !ok {
		t.Fatalf("a machine with a GPIO chip gets the board %v", b)
	}
	if err := syscall.Fstat(0, &after); err != nil || before.Ino != after.Ino {
		t.Errorf("descriptor 0 was lost: %v", err)
	}
	return simKernel{found}
}

func (w simKernel) board() board { return w.found }

func (w simKernel) file(line, name string) string {
	return filepath.Join(gpioSim, "sim_gpio"+strings.TrimPrefix(line, "GPIO"), name)
}

func (w simKernel) level(t *testing.T, line string) bool {
	value, err := os.ReadFile(w.file(line, "value"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(value)) == "1"
}

func (w simKernel) drive(t *testing.T, line string, level bool) {
	pull := "pull-down"
	if level {
		pull = "pull-up"
	}
	if err := os.WriteFile(w.file(line, "pull"), []byte(pull), 0); err != nil {
		t.Error(err)
	}
}

// occupy takes the line as another program would: by a request of its own.
func (w simKernel) occupy(t *testing.T, line string) {
	for _, c := range gpioioctl.Chips {
		if c.ByName(line) == nil {
			continue
		}
		set, err := c.LineSet(gpioioctl.LineInput, gpio.NoEdge, gpio.PullNoChange, line)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { set.Close() })
	}
}
