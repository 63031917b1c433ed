package gpio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// kernelLine behaves as a line of periph v3.8.5 on a Linux GPIO chip, with the
// traps that were measured there. What falls into one is remembered.
type kernelLine struct {
	mu       sync.Mutex
	fd       bool // the kernel has given the line to us
	dir      string
	pull     gpio.Pull
	level    gpio.Level // as an output
	world    *gpio.Level
	consumer string // who else has it
	broken   error
	edges    chan struct{}
	driven   []gpio.Level // every level that it was driven to, the first glitch too
	trapped  []string
}

func newKernelLine() *kernelLine { return &kernelLine{edges: make(chan struct{}, 16)} }

// request gives the line to us; as with periph the direction is noted even if
// that fails.
func (l *kernelLine) request(dir string) error {
	l.dir = dir
	switch {
	case l.broken != nil:
		return l.broken
	case l.consumer != "":
		return fmt.Errorf("line_request ioctl: %w", errors.New(syscall.EBUSY.Error()))
	}
	l.fd = true
	return nil
}

func (l *kernelLine) Out(level gpio.Level) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dir != "out" {
		if err := l.request("out"); err != nil {
			return err
		}
		l.driven = append(l.driven, gpio.Low) // trap 4: low first, whatever is asked for
	}
	if !l.fd {
		l.trapped = append(l.trapped, "an ioctl on descriptor 0")
	}
	if l.broken != nil {
		return l.broken
	}
	l.level = level
	l.driven = append(l.driven, level)
	return nil
}

func (l *kernelLine) In(pull gpio.Pull, edge gpio.Edge) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pull = pull
	return l.request("in")
}

func (l *kernelLine) high() gpio.Level {
	if l.dir == "out" {
		return l.level
	}
	if l.world != nil {
		return *l.world
	}
	return l.pull == gpio.PullUp
}

// Read makes an input of an output (trap 1).
func (l *kernelLine) Read() gpio.Level {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dir == "out" {
		l.trapped = append(l.trapped, "an output was read")
		l.dir, l.pull = "in", gpio.PullUp
	}
	return l.high()
}

// WaitForEdge waits for ever for 0, and not at all for less (trap 2). A line
// that is lost returns at once.
func (l *kernelLine) WaitForEdge(timeout time.Duration) bool {
	l.mu.Lock()
	if timeout <= 0 {
		l.trapped = append(l.trapped, "WaitForEdge of "+timeout.String())
	}
	broken := l.broken
	l.mu.Unlock()
	if timeout < 0 || broken != nil {
		return false
	}
	var end <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		end = t.C
	}
	select {
	case <-l.edges:
		return true
	case <-end:
		return false
	}
}

func (l *kernelLine) Consumer() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.consumer
}

func (l *kernelLine) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fd, l.dir, l.pull = false, "", gpio.PullNoChange
	for len(l.edges) > 0 {
		<-l.edges
	}
}

// kernel is a board of such lines, and the world around it.
type kernel struct {
	lines [simLines]*kernelLine
}

func newKernel() *kernel {
	k := &kernel{}
	for i := range k.lines {
		k.lines[i] = newKernelLine()
	}
	return k
}

func (k *kernel) line(name string) *kernelLine {
	var n int
	if _, err := fmt.Sscanf(name, "GPIO%d", &n); err != nil || n >= len(k.lines) {
		return nil
	}
	return k.lines[n]
}

func (k *kernel) board() board {
	return newChips(func(name string) line {
		if l := k.line(name); l != nil {
			return l
		}
		return nil
	})
}

func (k *kernel) level(_ *testing.T, name string) bool {
	l := k.line(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	return bool(l.high())
}

func (k *kernel) drive(_ *testing.T, name string, level bool) {
	l := k.line(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	before, now := l.high(), gpio.Level(level)
	l.world = &now
	if l.high() != before {
		select {
		case l.edges <- struct{}{}:
		default: // trap 5: the kernel keeps 16
		}
	}
}

func (k *kernel) occupy(_ *testing.T, name string) {
	l := k.line(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.consumer = "somebody"
}

// trapped returns what fell into a trap.
func (k *kernel) trapped() []string {
	var list []string
	for i, l := range k.lines {
		l.mu.Lock()
		for _, what := range l.trapped {
			list = append(list, fmt.Sprintf("GPIO%d: %s", i, what))
		}
		l.mu.Unlock()
	}
	return list
}

// A line that could not be had the first time is asked for anew, although periph
// believes that it has it.
func TestChipsAskAgain(t *testing.T) {
	k := newKernel()
	l := k.line("GPIO17")
	k.occupy(t, "GPIO17")
	b := k.board()
	for range 2 {
		if _, err := b.output("GPIO17", true); !errors.Is(err, errInUse) || err.Error() != `the line is in use by "somebody"` {
			t.Fatalf("a line in use: %v", err)
		}
	}
	l.consumer = ""
	if _, err := b.output("GPIO17", true); err != nil || !bool(l.high()) {
		t.Fatalf("a line that is free again: %v, high %v", err, l.high())
	}
	if list := k.trapped(); list != nil {
		t.Error(list)
	}
}

// One line under two names (GPIO2 is SDA_I2C1 on Debian) has one user.
func TestChipsTwoNames(t *testing.T) {
	l := newKernelLine()
	b := newChips(func(string) line { return l })
	first, err := b.output("GPIO2", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.input("SDA_I2C1", "up"); !errors.Is(err, errInUse) {
		t.Errorf("the second user: %v", err)
	}
	first.Close()
	first.Close() // a second time does not take it away from the next user
	if _, err := b.input("SDA_I2C1", "up"); err != nil {
		t.Errorf("the next user: %v", err)
	}
}

// periph's start-up closes descriptor 0 when a chip has two devices (trap 3).
func TestKeepStdin(t *testing.T) {
	inode := func() (s syscall.Stat_t, err error) { return s, syscall.Fstat(0, &s) }
	before, err := inode()
	if err != nil {
		t.Skip("there is no standard input")
	}
	fault := errors.New("no chip")
	if err := keepStdin(func() error { syscall.Close(0); return fault }); err != fault {
		t.Errorf("error %v", err)
	}
	after, err := inode()
	if err != nil || after.Ino != before.Ino || after.Dev != before.Dev {
		t.Errorf("descriptor 0 is another file: %v", err)
	}

	// A process without a standard input gets an empty one.
	saved, err := dup(0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(saved)
	defer syscall.Dup3(saved, 0, 0)
	syscall.Close(0)
	if err := keepStdin(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if n, err := os.Stdin.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the standard input gives %d bytes, %v", n, err)
	}
}
