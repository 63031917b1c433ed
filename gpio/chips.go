package gpio

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"
)

// chips is the board whose lines the kernel offers through its GPIO character
// devices. Of periph's drivers only this one is linked in: the one for the
// BCM283x writes registers behind the kernel's back, so that a line that another
// program uses is not noticed, and maps /dev/mem; sysfs lost its edges with Linux
// 6.6. So a line is the same thing on a Pi 0 to 5 and on any other board.
type chips struct {
	// find returns the line of that name, nil if there is none.
	find func(name string) line

	mu    sync.Mutex
	taken map[line]string // the lines that are claimed, by the name they were asked for
}

// line is what this package uses of a *gpioioctl.GPIOLine.
type line interface {
	Out(gpio.Level) error
	In(gpio.Pull, gpio.Edge) error
	Read() gpio.Level
	WaitForEdge(time.Duration) bool
	Consumer() string
	Close()
}

var _ line = (*gpioioctl.GPIOLine)(nil)

func newChips(find func(name string) line) *chips {
	return &chips{find: find, taken: map[line]string{}}
}

func (c *chips) String() string { return "ioctl-gpio" }

func (c *chips) hint() string { return "`gpioinfo` lists the lines of this board" }

// probe starts periph, once in a process: it can be done once only.
var probe = sync.OnceValues(func() (failed []string, err error) {
	err = keepStdin(func() error {
		state, err := driverreg.Init()
		if err != nil {
			return fmt.Errorf("start periph: %w", err)
		}
		// No error is no news: which drivers did not load stands there only.
		for _, f := range append(state.Failed, state.Skipped...) {
			failed = append(failed, f.String())
		}
		return nil
	})
	return failed, err
})

// openChips finds the GPIO chips of this machine. Without one the error is
// errNoGPIO.
func openChips(log *slog.Logger) (*chips, error) {
	devices, err := filepath.Glob("/dev/gpiochip*")
	if err != nil || len(devices) == 0 {
		return nil, errNoGPIO
	}
	failed, err := probe()
	if err != nil {
		return nil, err
	}
	if len(gpioioctl.Chips) == 0 {
		return nil, whyNone(devices[0], failed)
	}
	for _, f := range failed {
		log.Warn("A periph driver did not load", "driver", f)
	}
	for _, c := range gpioioctl.Chips {
		log.Info("Found a GPIO chip", "device", c.Path(), "chip", c.Label(), "lines", c.LineCount())
	}
	return newChips(findLine), nil
}

// whyNone says why there is a device but no chip, which periph only logs.
func whyNone(device string, failed []string) error {
	f, err := os.Open(device)
	if err == nil {
		f.Close()
		err = errors.New(strings.Join(failed, "; "))
	}
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("open the GPIO chip: %w (add the user to the group gpio, or write driver: sim)", err)
	}
	return fmt.Errorf("open the GPIO chip: %w", err)
}

// findLine finds a line by its name. Not every kernel names the lines of a Pi
// GPIOnn (Debian calls GPIO2 SDA_I2C1), but nn is their place on the Pi's chip.
func findLine(name string) line {
	for _, c := range gpioioctl.Chips {
		if l := c.ByName(name); l != nil {
			return l
		}
	}
	number, isGPIO := strings.CutPrefix(name, "GPIO")
	n, err := strconv.Atoi(number)
	if !isGPIO || err != nil || strconv.Itoa(n) != number {
		return nil
	}
	for _, c := range gpioioctl.Chips {
		pi := strings.HasPrefix(c.Label(), "pinctrl-bcm2") || strings.HasPrefix(c.Label(), "pinctrl-rp1")
		if pi && n < c.LineCount() {
			return c.ByNumber(n)
		}
	}
	return nil
}

func (c *chips) output(name string, on bool) (output, error) {
	// periph cannot ask for a line together with a level: one that is to be on
	// is off for some microseconds first.
	return c.claim(name, func(l line) error { return l.Out(gpio.Level(on)) })
}

func (c *chips) input(name, pull string) (input, error) {
	// periph cannot switch a resistor off: `none` leaves the one that is there.
	p := gpio.PullNoChange
	switch pull {
	case "up":
		p = gpio.PullUp
	case "down":
		p = gpio.PullDown
	}
	return c.claim(name, func(l line) error { return l.In(p, gpio.BothEdges) })
}

// claim finds the line and has request claim it.
func (c *chips) claim(name string, request func(line) error) (*chipLine, error) {
	l := c.find(name)
	if l == nil {
		return nil, errNoLine
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// One line may have two names, and periph lets a process claim it twice.
	if other, ok := c.taken[l]; ok {
		return nil, fmt.Errorf("%w as %s", errInUse, other)
	}
	consumer := l.Consumer()
	if err := request(l); err != nil {
		l.Close() // else it believes that it has the line, and uses descriptor 0
		// periph keeps the text of an error number only.
		if strings.Contains(err.Error(), syscall.EBUSY.Error()) {
			if consumer == "" { // it was free when periph started
				return nil, errInUse
			}
			return nil, fmt.Errorf("%w by %q", errInUse, consumer)
		}
		return nil, err
	}
	c.taken[l] = name
	return &chipLine{line: l, board: c}, nil
}

// chipLine is a claimed line.
type chipLine struct {
	line  line
	board *chips
}

func (l *chipLine) Set(on bool) error { return l.line.Out(gpio.Level(on)) }

func (l *chipLine) High() bool { return bool(l.line.Read()) }

func (l *chipLine) Wait(timeout time.Duration) bool { return l.line.WaitForEdge(timeout) }

func (l *chipLine) Close() {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	if _, ok := l.board.taken[l.line]; ok {
		l.line.Close()
		delete(l.board.taken, l.line)
	}
}

// keepStdin runs f, and gives file descriptor 0 back what it was: periph closes
// it when a chip has two devices, and the next file that is opened would become
// the standard input of this process and of those that it starts. A descriptor
// that was closed gets /dev/null, for the same reason.
func keepStdin(f func() error) error {
	saved, err := dup(0)
	if err != nil {
		null, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open a standard input: %w", err)
		}
		if saved, err = dup(null); err != nil {
			return fmt.Errorf("keep the standard input: %w", err)
		}
		if null != 0 { // else it is the standard input now
			syscall.Close(null)
		}
	}
	defer syscall.Close(saved)
	err = f()
	if e := syscall.Dup3(saved, 0, 0); e != nil && err == nil {
		err = fmt.Errorf("restore the standard input: %w", e)
	}
	return err
}

// dup copies a descriptor to one above 2 that no child inherits.
func dup(fd int) (int, error) {
	n, _, e := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 3)
	if e != 0 {
		return -1, e
	}
	return int(n), nil
}
