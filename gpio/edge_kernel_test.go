package gpio

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"
)

// The time of an edge is that of its stamp, by both clocks of Go.
func TestStampTime(t *testing.T) {
	for range 100 {
		before, stamp, after := exactNow(), monotonic(), exactNow()
		at := stampTime(stamp, exactNow().Add(time.Second)) // read late
		const slack = 100 * time.Microsecond
		if at.Before(before.Add(-slack)) || at.After(after.Add(slack)) {
			t.Fatalf("between %v and %v: %v", before, after, at)
		}
		if wall := at.Round(0); wall.Before(before.Round(0).Add(-slack)) || wall.After(after.Round(0).Add(slack)) {
			t.Fatalf("by the clock of the day between %v and %v: %v", before, after, wall)
		}
	}
	now := time.Now()
	if one, other := stampTime(1e9, now), stampTime(2e9, now.Add(time.Hour)); other.Sub(one) != time.Second {
		t.Errorf("stamps of a second are %v apart", other.Sub(one))
	}
}

// What the kernel tells of an edge, as linux/gpio.h has it.
func TestDecodeEdge(t *testing.T) {
	stamp := monotonic()
	event := make([]byte, lineEventSize)
	put := func(at int, n uint32) { native.PutUint32(event[at:], n) }
	native.PutUint64(event, uint64(stamp))
	w := &watched{last: 0xfffffffe}
	for _, c := range []struct {
		id, number uint32
		rising     bool
		missed     uint32
	}{{1, 0xffffffff, true, 0}, {2, 0, false, 0}, {2, 5, false, 4}} { // the number begins anew after 32 bits
		put(8, c.id)
		put(16, 12345) // of the request
		put(20, c.number)
		now := time.Now()
		if e := w.decode(event, now); e.rising != c.rising || e.missed != c.missed || !e.at.Equal(stampTime(stamp, now)) {
			t.Errorf("%+v: %+v", c, e)
		}
	}
}

// A line whose chip has no interrupt is told with what to do, at its place.
func TestNoEdges(t *testing.T) {
	request := fmt.Errorf("request the line: %w", syscall.ENODEV)
	err := pinError(newSim(), "gpio.buttons[0]", "PIN_3", edgeError(request, bothEdges))
	const want = `gpio.buttons[0].pin: the pin "PIN_3" cannot be used: its chip tells no edges: request the line: no such device (an input needs a line with interrupts, such as those of the board itself)`
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	if err := edgeError(request, 0); errors.Is(err, errNoEdges) {
		t.Error("nobody has asked for edges")
	}
}
