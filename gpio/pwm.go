package gpio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// kernelPWM finds the PWM channels of the kernel (Documentation/driver-api/pwm.rst),
// which a Pi has where an overlay gives them.
type kernelPWM struct {
	class string // /sys/class/pwm
	tree  string // the device tree: /sys/firmware/devicetree/base
}

func newKernelPWM() kernelPWM {
	return kernelPWM{"/sys/class/pwm", "/sys/firmware/devicetree/base"}
}

// find returns the channel that is led out at that line, or that has that name
// (pwmchip0/1). Without one the error is errNoPWM.
func (k kernelPWM) find(line string) (channel, error) {
	if chip, n, err := chipAndNumber(line, "pwmchip"); err == nil {
		count, err := readNumber(filepath.Join(k.class, chip, "npwm"))
		if err != nil || n >= count {
			return nil, errNoPWM
		}
		return kernelChannel{filepath.Join(k.class, chip), n}, nil
	}
	number, isGPIO := strings.CutPrefix(line, "GPIO")
	pin, err := strconv.Atoi(number)
	if !isGPIO || err != nil {
		return nil, errNoPWM
	}
	chips, err := filepath.Glob(filepath.Join(k.class, "pwmchip*"))
	if err != nil {
		return nil, errNoPWM
	}
	for _, chip := range chips {
		if n, ok := k.pinsOf(chip)[pin]; ok {
			return kernelChannel{chip, n}, nil
		}
	}
	return nil, errNoPWM
}

// The channel of its PWM block for each pin of a Pi that has one: BCM2835 ARM
// Peripherals 6.2 and BCM2711 ARM Peripherals 5.3 for the Pi 0 to 4, RP1 Peripherals
// 3.1.1 for the Pi 5.
var (
	bcmChannel = map[int]int{12: 0, 13: 1, 18: 0, 19: 1, 40: 0, 41: 1, 45: 1}
	rp1Channel = map[int]int{12: 0, 13: 1, 14: 2, 15: 3, 18: 2, 19: 3}
)

// pinsOf returns at which pins the device tree leads the channels of a PWM chip
// out: its pinctrl-0 names nodes with brcm,pins, which are numbers, or on a Pi 5
// with pins, which are names.
func (k kernelPWM) pinsOf(chip string) map[int]int {
	pins := map[int]int{}
	wanted, err := os.ReadFile(filepath.Join(chip, "device", "of_node", "pinctrl-0"))
	if err != nil {
		return pins
	}
	lead := func(pin int, channels map[int]int) {
		if n, ok := channels[pin]; ok {
			pins[pin] = n
		}
	}
	// What cannot be read names no pins, so there is no error to return.
	_ = filepath.WalkDir(k.tree, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() != "phandle" {
			return nil
		}
		handle, err := os.ReadFile(path)
		if err != nil || len(handle) != 4 || !slices.Contains(cells(wanted), binary.BigEndian.Uint32(handle)) {
			return nil
		}
		numbers, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "brcm,pins"))
		for _, n := range cells(numbers) {
			lead(int(n), bcmChannel)
		}
		names, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "pins"))
		for name := range strings.SplitSeq(string(names), "\x00") {
			if n, err := strconv.Atoi(strings.TrimPrefix(name, "gpio")); err == nil {
				lead(n, rp1Channel)
			}
		}
		return nil
	})
	return pins
}

// cells splits a property of the device tree into its numbers.
func cells(property []byte) (list []uint32) {
	for ; len(property) >= 4; property = property[4:] {
		list = append(list, binary.BigEndian.Uint32(property))
	}
	return list
}

// kernelChannel is one channel of a chip.
type kernelChannel struct {
	chip   string // its folder
	number int
}

func (c kernelChannel) String() string { return fmt.Sprintf("%s/%d", filepath.Base(c.chip), c.number) }

func (c kernelChannel) takes() any { return c }

// open exports the channel, unless an earlier process has, and makes it ours.
func (c kernelChannel) open(period, width time.Duration) (pulser, error) {
	p := &kernelPulser{dir: filepath.Join(c.chip, fmt.Sprintf("pwm%d", c.number)), period: period}
	err := os.WriteFile(filepath.Join(c.chip, "export"), []byte(strconv.Itoa(c.number)), 0)
	if err != nil && !errors.Is(err, syscall.EBUSY) { // EBUSY: it is exported
		return nil, fmt.Errorf("export the PWM channel %s: %w", c, err)
	}
	// udev gives the new files to the group gpio some time after they appear.
	if p.duty, err = openSoon(filepath.Join(p.dir, "duty_cycle")); err != nil {
		return nil, fmt.Errorf("open the PWM channel %s: %w", c, err)
	}
	// sysfs has no owner of a channel, so the lock on this file is that.
	if err := syscall.Flock(int(p.duty.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		p.duty.Close()
		return nil, fmt.Errorf("%w by another process", errInUse)
	}
	if err := p.setUp(width); err != nil {
		p.duty.Close()
		return nil, fmt.Errorf("set up the PWM channel %s: %w", c, err)
	}
	return p, nil
}

// udevTime is how long udev may take to make the files of a channel ours.
const udevTime = 2 * time.Second

// openSoon opens a file for writing, and waits while it may not yet.
func openSoon(file string) (*os.File, error) {
	for begin := time.Now(); ; {
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err == nil || !errors.Is(err, os.ErrPermission) && !errors.Is(err, os.ErrNotExist) || time.Since(begin) > udevTime {
			return f, err
		}
		<-time.After(20 * time.Millisecond)
	}
}

// kernelPulser is an exported channel.
type kernelPulser struct {
	dir    string
	period time.Duration
	duty   *os.File
}

// setUp begins with pulses of that width. A channel that makes pulses of this
// period already goes on with them.
func (p *kernelPulser) setUp(width time.Duration) error {
	enabled, _ := readNumber(filepath.Join(p.dir, "enable"))
	period, _ := readNumber(filepath.Join(p.dir, "period"))
	polarity, _ := os.ReadFile(filepath.Join(p.dir, "polarity"))
	inversed := strings.TrimSpace(string(polarity)) == "inversed"
	if enabled == 1 && int64(period) == p.period.Nanoseconds() && !inversed {
		return p.Pulse(width)
	}
	// The kernel takes no polarity while it is enabled, and no period shorter than
	// the pulse.
	steps := []func() error{
		func() error { return p.write("enable", 0) },
		func() error { return p.Pulse(0) },
		func() error { return p.write("period", p.period.Nanoseconds()) },
		func() error { return p.Pulse(width) },
		func() error { return p.write("enable", 1) },
	}
	if period == 0 {
		steps = steps[2:] // it was never set up, and takes neither
	}
	if inversed {
		if err := p.write("enable", 0); err != nil {
			return err
		}
		if err := p.writeText("polarity", "normal"); err != nil {
			return err
		}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (p *kernelPulser) write(name string, n int64) error {
	return p.writeText(name, strconv.FormatInt(n, 10))
}

func (p *kernelPulser) writeText(name, text string) error {
	f, err := openSoon(filepath.Join(p.dir, name))
	if err != nil {
		return err
	}
	_, err = f.WriteString(text + "\n")
	return errors.Join(err, f.Close())
}

func (p *kernelPulser) Pulse(width time.Duration) error {
	n := min(max(width, 0), p.period).Nanoseconds()
	_, err := p.duty.WriteAt(append(strconv.AppendInt(nil, n, 10), '\n'), 0)
	return err
}

func (p *kernelPulser) Err() error { return nil }

// Close leaves the channel as it is: its level is the safe one, and stays.
func (p *kernelPulser) Close() { p.duty.Close() }

func readNumber(file string) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
