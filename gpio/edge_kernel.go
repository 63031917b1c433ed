package gpio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
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
		return nil, edgeError(err, want)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // else a read has no deadline
		syscall.Close(fd)
		return nil, fmt.Errorf("prepare the line: %w", err)
	}
	return &watched{fd: fd, file: os.NewFile(uintptr(fd), "gpio line")}, nil
}

// edgeError says what the kernel means with the error of a request for edges: a chip
// without an interrupt, as most that hang on I2C have none.
func edgeError(err error, want edgeSet) error {
	if (want.has(true) || want.has(false)) && (errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ENXIO)) {
		return fmt.Errorf("%w: %w", errNoEdges, err)
	}
	return err
}

// pullFlags switch the resistors; a chip that has none does not mind, nor say so.
var pullFlags = map[string]uint64{"up": lineFlagPullUp, "down": lineFlagPullDown, "none": lineFlagNoPull}

// native is the byte order of what the kernel tells.
var native = binary.NativeEndian

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
	now := exactNow()
	n := got / lineEventSize
	for i := range n {
		into[i] = w.decode(w.raw[i*lineEventSize:], now)
	}
	return n, nil
}

// decode reads a gpio_v2_line_event: its time by the kernel's monotonic clock, its
// direction, the line, its number among all edges of the request and among those
// of the line.
func (w *watched) decode(event []byte, now time.Time) edge {
	stamp := int64(native.Uint64(event))
	kind := native.Uint32(event[8:])
	number := native.Uint32(event[20:])
	missed := number - w.last - 1
	w.last = number
	return edge{at: stampTime(stamp, now), rising: kind == lineEventRising, missed: missed}
}

func (w *watched) Close() { w.file.Close() }

// stampTime returns the time of a stamp of the kernel, which was before now. Its age
// says when that was even if the clock of the day was set since.
func stampTime(stamp int64, now time.Time) time.Time {
	same := sameTime()
	age := now.Sub(same.at) - time.Duration(stamp-same.stamp)
	return now.Add(-age)
}

// sameTime is one moment by Go's monotonic clock and by the kernel's. They run
// alike, from other zeros.
var sameTime = sync.OnceValue(func() (same struct {
	at    time.Time
	stamp int64
}) {
	for best, n := int64(math.MaxInt64), 0; n < 20; n++ { // something may come in between
		before, at, after := monotonic(), time.Now(), monotonic()
		if took := after - before; took < best {
			best, same.at, same.stamp = took, at, before+took/2
		}
	}
	return same
})

// exactNow is time.Now, which reads the clock of the day and the monotonic clock
// one after the other: it tries again when something came in between, as happens
// on a busy board, and an edge would seem to be before the one before it.
func exactNow() (now time.Time) {
	const close = 20_000 // ns
	for range 4 {
		before := monotonic()
		now = time.Now()
		if monotonic()-before < close {
			break
		}
	}
	return now
}

// monotonic returns the kernel's clock by which it stamps edges, in ns.
func monotonic() int64 {
	const clockMonotonic = 1
	var t syscall.Timespec
	if _, _, e := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&t)), 0); e != 0 {
		panic(e) // every kernel has it
	}
	return t.Nano()
}
