package gpio

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"periph.io/x/host/v3/gpioioctl"
)

// chipPin is a line that periph has found, with its chip.
type chipPin struct {
	*gpioioctl.GPIOLine
	chip *gpioioctl.GPIOChip
}

var _ line = chipPin{}

// Drive claims the line as an output at that level. It asks the kernel itself:
// periph cannot ask for a line together with a level, so with it an output that
// is to be high is low at first, and what is on while its line is low is on for a
// moment at each start.
func (p chipPin) Drive(high bool) (output, error) {
	fd, err := p.request(func(r *lineRequest) {
		r.config.flags = lineFlagOutput
		r.config.attrs = 1
		r.config.attr[0] = lineConfigAttr{id: lineAttrValues, mask: 1}
		if high {
			r.config.attr[0].value = 1
		}
	})
	if err != nil {
		return nil, err
	}
	return &driven{fd: fd}, nil
}

// request asks the kernel for the line; set says for what.
func (p chipPin) request(set func(*lineRequest)) (fd int, err error) {
	chip, err := os.Open(p.chip.Path())
	if err != nil {
		return -1, fmt.Errorf("open the GPIO chip: %w", err)
	}
	defer chip.Close()
	r := lineRequest{lines: 1}
	r.offsets[0] = uint32(p.Number())
	copy(r.consumer[:], "greengate")
	set(&r)
	if err := ioctl(int(chip.Fd()), getLine, unsafe.Pointer(&r)); err != nil {
		return -1, fmt.Errorf("request the line: %w", err)
	}
	return int(r.fd), nil
}

// driven is an output line that the kernel has given to us.
type driven struct {
	mu sync.Mutex
	fd int // -1: closed
}

func (d *driven) Set(on bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd < 0 {
		return os.ErrClosed
	}
	v := lineValues{mask: 1}
	if on {
		v.bits = 1
	}
	return ioctl(d.fd, setValues, unsafe.Pointer(&v))
}

func (d *driven) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd >= 0 {
		syscall.Close(d.fd)
		d.fd = -1
	}
}

// What follows is of linux/gpio.h, version 2 of the interface (Linux 5.10).
const (
	lineFlagInput    = 1 << 2
	lineFlagOutput   = 1 << 3
	lineFlagRising   = 1 << 4
	lineFlagFalling  = 1 << 5
	lineFlagPullUp   = 1 << 8
	lineFlagPullDown = 1 << 9
	lineFlagNoPull   = 1 << 10

	lineAttrValues = 2

	lineEventSize   = 48
	lineEventRising = 1
)

var (
	getLine   = ioctlCode(0x07, unsafe.Sizeof(lineRequest{}))
	getValues = ioctlCode(0x0E, unsafe.Sizeof(lineValues{}))
	setValues = ioctlCode(0x0F, unsafe.Sizeof(lineValues{}))
)

// ioctlCode is _IOWR(0xB4, number, size).
func ioctlCode(number, size uintptr) uintptr { return 3<<30 | size<<16 | 0xB4<<8 | number }

type lineValues struct{ bits, mask uint64 }

type lineConfigAttr struct {
	id, _ uint32
	value uint64
	mask  uint64
}

type lineConfig struct {
	flags uint64
	attrs uint32
	_     [5]uint32
	attr  [10]lineConfigAttr
}

type lineRequest struct {
	offsets  [64]uint32
	consumer [32]byte
	config   lineConfig
	lines    uint32
	queue    uint32 // how many edges the kernel keeps, at most 1024; 0: 16
	_        [5]uint32
	fd       int32
}

func ioctl(fd int, code uintptr, arg unsafe.Pointer) error {
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), code, uintptr(arg)); e != 0 {
		return e
	}
	return nil
}
