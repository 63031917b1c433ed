package gpio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// kernelLine behaves as a line of a Linux GPIO chip, with the traps that were
// measured in periph v3.8.5 there. What falls into one is remembered.
type kernelLine struct {
	mu       sync.Mutex
	fd       bool // the kernel has given the line to us
	dir      string
	pull     string
	level    gpio.Level // as an output
	world    *gpio.Level
	consumer string // who else has it
	broken   error
	edges    *edgeQueue
	driven   []gpio.Level // every level that it was driven to
	trapped  []string
}

func newKernelLine() *kernelLine { return &kernelLine{} }

// request gives the line to us.
func (l *kernelLine) request(dir string) error {
	switch {
	case l.broken != nil:
		return l.broken
	case l.consumer != "":
		return fmt.Errorf("request the line: %w", syscall.EBUSY)
	}
	l.fd, l.dir = true, dir
	return nil
}

func (l *kernelLine) Drive(high bool) (output, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.request("out"); err != nil {
		return nil, err
	}
	l.level = gpio.Level(high)
	l.driven = append(l.driven, l.level)
	return kernelOutput{l}, nil
}

// kernelOutput is the line as an output.
type kernelOutput struct{ *kernelLine }

func (l kernelOutput) Set(on bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.fd || l.dir != "out":
		l.trapped = append(l.trapped, "an output was written that is none")
	case l.broken != nil:
		return l.broken
	}
	l.level = gpio.Level(on)
	l.driven = append(l.driven, l.level)
	return nil
}

func (l *kernelLine) Watch(pull string, want edgeSet) (input, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.request("in"); err != nil {
		return nil, err
	}
	l.pull, l.edges = pull, newEdgeQueue(want)
	return kernelInput{l}, nil
}

// kernelInput is the line as an input.
type kernelInput struct{ *kernelLine }

func (l kernelInput) High() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dir != "in" {
		l.trapped = append(l.trapped, "a line was read that is no input")
	}
	return bool(l.high()), l.broken
}

// Edges waits for ever for 0, and not at all for less, as periph does (trap 2).
func (l kernelInput) Edges(into []edge, timeout time.Duration) (int, error) {
	l.mu.Lock()
	if timeout <= 0 {
		l.trapped = append(l.trapped, "a wait of "+timeout.String())
	}
	broken, edges := l.broken, l.edges
	l.mu.Unlock()
	if broken != nil {
		return 0, broken
	}
	return edges.wait(into, timeout, nil), nil
}

func (l *kernelLine) high() gpio.Level {
	if l.dir == "out" {
		return l.level
	}
	if l.world != nil {
		return *l.world
	}
	return l.pull == "up"
}

func (l *kernelLine) Consumer() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.consumer
}

func (l *kernelLine) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fd, l.dir, l.pull, l.edges = false, "", "", nil
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
	name = strings.Replace(name, "gpiochip0/", "GPIO", 1)
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
	if l.edges != nil && l.high() != before {
		l.edges.put(time.Now(), bool(l.high()))
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

// A line that could not be had the first time is asked for anew.
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
	if _, err := b.input("SDA_I2C1", "up", bothEdges); !errors.Is(err, errInUse) {
		t.Errorf("the second user: %v", err)
	}
	first.Close()
	first.Close() // a second time does not take it away from the next user
	if _, err := b.input("SDA_I2C1", "up", bothEdges); err != nil {
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

// The numbers of linux/gpio.h: GPIO_V2_GET_LINE_IOCTL and those that get and set
// values, in which the sizes of the structs are.
func TestRequestIsThatOfTheKernel(t *testing.T) {
	if getLine != 0xC250B407 || getValues != 0xC010B40E || setValues != 0xC010B40F {
		t.Errorf("%#x, %#x, %#x", getLine, getValues, setValues)
	}
}

// An output begins at its level: periph would drive it low first (trap 4).
func TestNoGlitch(t *testing.T) {
	k := newKernel()
	mustOutput(t, k.board(), "GPIO17", true)
	if l := k.line("GPIO17"); len(l.driven) != 1 || !bool(l.driven[0]) {
		t.Errorf("the line was driven so: %v", l.driven)
	}
}
