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

	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/host/v3/gpioioctl"
)

// chips is the board whose lines the kernel offers through its GPIO character
// devices. Of periph's drivers of lines only this one is used. The one for the
// BCM283x is not linked in: it writes registers behind the kernel's back, so that
// a line that another program uses is not noticed, and maps /dev/mem. The one for
// sysfs lost its edges with Linux 6.6, and comes with that for I2C. So a line is
// the same thing on a Pi 0 to 5 and on any other board.
type chips struct {
	// find returns the line of that name, nil if there is none.
	find func(name string) line
	pwms kernelPWM

	mu    sync.Mutex
	taken map[line]string // the lines that are claimed, by the name they were asked for
}

// line is what this package uses of a chipPin.
type line interface {
	Drive(high bool) (output, error)
	Watch(pull string, want edgeSet) (input, error)
	Consumer() string
}

func newChips(find func(name string) line) *chips {
	return &chips{find: find, pwms: newKernelPWM(), taken: map[line]string{}}
}

func (c *chips) String() string { return chipDriver }

func (c *chips) hint() string { return "`gpioinfo` lists the lines of this board" }

// chipDriver is periph's name of the driver for GPIO character devices.
const chipDriver = "ioctl-gpio"

// probe starts periph, once in a process: it can be done once only.
var probe = sync.OnceValues(func() (failed []string, err error) {
	err = keepStdin(func() error {
		state, err := driverreg.Init()
		if err != nil {
			return fmt.Errorf("start periph: %w", err)
		}
		// No error is no news: which drivers did not load stands there only.
		for _, f := range append(state.Failed, state.Skipped...) {
			// Those of buses are not used (see openKernelBus) and may well be missing.
			if f.D.String() == chipDriver {
				failed = append(failed, f.String())
			}
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
	if chip, n, err := chipAndNumber(name, "gpiochip"); err == nil {
		return findOffset(chip, n)
	}
	for _, c := range gpioioctl.Chips {
		if l := c.ByName(name); l != nil {
			return chipPin{l, c}
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
			return chipPin{c.ByNumber(n), c}
		}
	}
	return nil
}

// findOffset finds the line at an offset of the chip with that device. A Pi has
// links from names of before to its chip (/dev/gpiochip4 to gpiochip0), of which
// periph keeps one only.
func findOffset(chip string, n int) line {
	device, err := filepath.EvalSymlinks(filepath.Join("/dev", chip))
	if err != nil {
		return nil
	}
	for _, c := range gpioioctl.Chips {
		path, err := filepath.EvalSymlinks(c.Path())
		if err == nil && path == device && n < c.LineCount() {
			return chipPin{c.ByNumber(n), c}
		}
	}
	return nil
}

func (c *chips) pwm(name string) (channel, error) { return c.pwms.find(name) }

func (c *chips) resolve(name string) (any, error) {
	l := c.find(name)
	if l == nil {
		return nil, errNoLine
	}
	return l, nil
}

func (c *chips) output(name string, on bool) (output, error) {
	out := &chipOutput{}
	taken, err := c.claim(name, func(l line) (err error) {
		out.output, err = l.Drive(on)
		return err
	})
	if err != nil {
		return nil, err
	}
	out.taken = taken
	return out, nil
}

func (c *chips) input(name, pull string, want edgeSet) (input, error) {
	in := &chipInput{}
	taken, err := c.claim(name, func(l line) (err error) {
		in.input, err = l.Watch(pull, want)
		return err
	})
	if err != nil {
		return nil, err
	}
	in.taken = taken
	return in, nil
}

// claim finds the line and has request claim it.
func (c *chips) claim(name string, request func(line) error) (*takenLine, error) {
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
		if errors.Is(err, syscall.EBUSY) {
			if consumer == "" { // it was free when periph started
				return nil, errInUse
			}
			return nil, fmt.Errorf("%w by %q", errInUse, consumer)
		}
		return nil, err
	}
	c.taken[l] = name
	return &takenLine{line: l, board: c}, nil
}

// takenLine is a line that has a user.
type takenLine struct {
	line  line
	board *chips
}

// release has the line closed, the first time, and lets others claim it.
func (t *takenLine) release(closeLine func()) {
	t.board.mu.Lock()
	defer t.board.mu.Unlock()
	if t.line != nil {
		closeLine()
		delete(t.board.taken, t.line)
		t.line = nil
	}
}

type chipOutput struct {
	output
	taken *takenLine
}

func (o *chipOutput) Close() { o.taken.release(o.output.Close) }

type chipInput struct {
	input
	taken *takenLine
}

func (i *chipInput) Close() { i.taken.release(i.input.Close) }

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
