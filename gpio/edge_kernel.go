package gpio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Watch claims the line as an input with that resistor and those edges. It asks
// the kernel itself: periph throws away what the kernel tells of an edge, which is
// its time, its direction and its number, keeps 16 of them, and cannot switch a
// resistor off.
func (p chipPin) Watch(pull string, want edgeSet) (input, error) {
	fd, err := p.request(func(r *lineRequest) {
		r.queue = queueSize
		r.config.flags = lineFlagInput | pullFlags[pull]
		if want.has(true) {
			r.config.flags |= lineFlagRising
		}
		if want.has(false) {
			r.config.flags |= lineFlagFalling
		}
	})
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // else a read has no deadline
		syscall.Close(fd)
		return nil, fmt.Errorf("prepare the line: %w", err)
	}
	return &watched{fd: fd, file: os.NewFile(uintptr(fd), "gpio line")}, nil
}

// pullFlags switch the resistors; a chip that has none does not mind.
var pullFlags = map[string]uint64{"up": lineFlagPullUp, "down": lineFlagPullDown, "none": lineFlagNoPull}

// watched is an input line that the kernel has given to us.
type watched struct {
	fd   int
	file *os.File                 // of fd
	last uint32                   // the number of the last edge
	raw  [64 * lineEventSize]byte // what the kernel tells of edges
}

func (w *watched) High() (bool, error) {
	v := lineValues{mask: 1}
	if err := ioctl(w.fd, getValues, unsafe.Pointer(&v)); err != nil {
		return false, fmt.Errorf("read the line: %w", err)
	}
	return v.bits&1 != 0, nil
}

func (w *watched) Edges(into []edge, timeout time.Duration) (int, error) {
	if err := w.file.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return 0, fmt.Errorf("wait for an edge: %w", err)
	}
	got, err := w.file.Read(w.raw[:min(len(into)*lineEventSize, len(w.raw))])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("wait for an edge: %w", err)
	}
	now, clock := time.Now(), monotonic()
	n := got / lineEventSize
	for i := range n {
		into[i] = w.decode(w.raw[i*lineEventSize:], now, clock)
	}
	return n, nil
}

// decode reads a gpio_v2_line_event: its time by the kernel's monotonic clock, its
// direction, the line, its number among all edges of the request and among those
// of the line.
func (w *watched) decode(event []byte, now time.Time, clock int64) edge {
	stamp := int64(binary.NativeEndian.Uint64(event))
	kind := binary.NativeEndian.Uint32(event[8:])
	number := binary.NativeEndian.Uint32(event[20:])
	missed := number - w.last - 1
	w.last = number
	// The age says when it was even if the clock of the day was set since.
	return edge{at: now.Add(time.Duration(stamp - clock)), rising: kind == lineEventRising, missed: missed}
}

func (w *watched) Close() { w.file.Close() }

// monotonic returns the kernel's clock by which it stamps edges, in ns.
func monotonic() int64 {
	const clockMonotonic = 1
	var t syscall.Timespec
	if _, _, e := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&t)), 0); e != 0 {
		panic(e) // every kernel has it
	}
	return t.Nano()
}
