package gpio

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"
)

// gpioSim is where a machine with the kernel's GPIO simulator shows the world's
// side of its lines: sim_gpioN/value and sim_gpioN/pull.
const gpioSim = "/run/gpiosim/pi"

// simKernel is the world around the lines of a real kernel.
type simKernel struct {
	found *chips
	mu    *sync.Mutex
	pulls map[string]*os.File // kept open: a thousand edges a second are driven
}

func openSimKernel(t testing.TB) simKernel {
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
	w := simKernel{found, new(sync.Mutex), map[string]*os.File{}}
	t.Cleanup(func() {
		for _, f := range w.pulls {
			f.Close()
		}
	})
	return w
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
	if err := w.pull(line, level); err != nil {
		t.Error(err)
	}
}

func (w simKernel) pull(line string, level bool) error {
	pull := "pull-down"
	if level {
		pull = "pull-up"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.pulls[line]
	if f == nil {
		var err error
		if f, err = os.OpenFile(w.file(line, "pull"), os.O_WRONLY, 0); err != nil {
			return err
		}
		w.pulls[line] = f
	}
	_, err := f.WriteAt([]byte(pull), 0)
	return err
}

func (w simKernel) occupy(t *testing.T, line string) { occupyLine(t, line) }

// occupyLine takes a line of the kernel as another program would: by a request of its
// own.
func occupyLine(t *testing.T, line string) {
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

// An output begins at its level, without a moment at the other one: the kernel
// tells every level that it drives a line to.
func TestNoGlitchOnGPIOSim(t *testing.T) {
	if _, err := os.Stat(gpioSim); err != nil {
		t.Skip("this machine has no gpio-sim")
	}
	w := openSimKernel(t)
	trace := t.TempDir()
	if err := syscall.Mount("tracefs", trace, "tracefs", 0, ""); err != nil {
		t.Skip("this kernel cannot be traced: ", err)
	}
	defer syscall.Unmount(trace, 0)
	write := func(file, text string) {
		if err := os.WriteFile(filepath.Join(trace, file), []byte(text), 0); err != nil {
			t.Fatal(err)
		}
	}
	write("events/gpio/enable", "1")
	defer write("events/gpio/enable", "0")
	for range 2 {
		write("trace", "")
		out := mustOutput(t, w.board(), "GPIO17", true)
		events, err := os.ReadFile(filepath.Join(trace, "trace"))
		out.Close()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(events), " set 0") || !strings.Contains(string(events), " set 1") {
			t.Errorf("the line was driven so:\n%s", events)
		}
	}
}
