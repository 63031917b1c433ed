package gpio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// busKind is what a bus speaks.
type busKind int

const (
	busI2C busKind = iota
	busSPI
	busOneWire
)

// busID names a bus of the board.
type busID struct {
	kind   busKind
	number int
	chip   int // the chip select of an SPI port
}

// String is the name of the bus as the kernel has it.
func (id busID) String() string {
	switch id.kind {
	case busSPI:
		return fmt.Sprintf("spi%d.%d", id.number, id.chip)
	case busOneWire:
		return fmt.Sprintf("w1_bus_master%d", id.number)
	}
	return fmt.Sprintf("i2c-%d", id.number)
}

// parseBus reads the bus of a sensor that is on I2C (and may be on SPI) or on
// 1-wire: a number, or the kernel's name of it. Empty is bus 1.
func parseBus(name string, k *sensorKind) (busID, error) {
	id := busID{kind: k.bus, number: 1}
	number := strings.TrimPrefix(name, "/dev/")
	if port, isSPI := strings.CutPrefix(strings.TrimPrefix(number, "spidev"), "spi"); k.spi && (isSPI || strings.HasPrefix(number, "spidev")) {
		a, b, found := strings.Cut(port, ".")
		n, errN := strconv.ParseUint(a, 10, 8)
		c, errC := strconv.ParseUint(b, 10, 8)
		if !found || errN != nil || errC != nil {
			return id, fmt.Errorf("%.40q is no SPI port", name)
		}
		return busID{busSPI, int(n), int(c)}, nil
	}
	prefix := "i2c-"
	if k.bus == busOneWire {
		prefix = "w1_bus_master"
	}
	number = strings.TrimPrefix(number, prefix)
	if number == "" && name == "" {
		return id, nil
	}
	n, err := strconv.ParseUint(number, 10, 8)
	if err != nil {
		return id, fmt.Errorf("%.40q is no such bus", name)
	}
	id.number = int(n)
	return id, nil
}

// transferTime bounds one transfer: the kernel gives up after a second.
const transferTime = 3 * time.Second

// What is wrong with a bus.
var (
	errStuck = errors.New("the bus is stuck: a transfer does not come back")
	errNoBus = errors.New("there is no such bus")
)

// bus is one bus of the board. It is opened when somebody has something to say,
// and anew after each error: a socket to the kernel may have the answer to an
// older question in it.
//
// One transfer at a time is on it, and each runs in a goroutine of its own: one
// that the kernel does not give back costs that goroutine, and no sensor.
type bus struct {
	id   busID
	open func(busID) (io.Closer, error)
	turn chan struct{} // full while a transfer is on
	raw  io.Closer     // of who has the turn; nil: not open

	mu      sync.Mutex
	devices map[string]chan struct{} // full while a reading of the device is on
}

func newBus(id busID, open func(busID) (io.Closer, error)) *bus {
	return &bus{id: id, open: open, turn: make(chan struct{}, 1), devices: map[string]chan struct{}{}}
}

// device returns the channel that is full while somebody uses the device of that
// address: two sensors of the file may be the inputs of one chip.
func (b *bus) device(address string) chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.devices[address]
	if c == nil {
		c = make(chan struct{}, 1)
		b.devices[address] = c
	}
	return c
}

// do makes one transfer. It returns when that is done, when ctx is, or when the
// transfer takes too long; in the last two cases transfer may run on, and must
// touch nothing that the caller uses.
func (b *bus) do(ctx context.Context, transfer func(io.Closer) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, transferTime, errStuck)
	defer cancel()
	if ctx.Err() != nil { // a select with both would toss a coin
		return context.Cause(ctx)
	}
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-b.turn }()
		done <- b.transfer(transfer)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// transfer makes one transfer for the one who has the turn. It runs in a goroutine
// that nobody else guards: periph cuts up what the kernel sends without looking
// how long it is.
func (b *bus) transfer(transfer func(io.Closer) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the driver of the bus panicked: %v", p)
			b.close()
		}
	}()
	if b.raw == nil {
		raw, err := b.open(b.id)
		if err != nil {
			return err
		}
		b.raw = raw
	}
	if err = transfer(b.raw); err != nil {
		b.close()
	}
	return err
}

func (b *bus) close() {
	if b.raw != nil {
		b.raw.Close()
		b.raw = nil
	}
}

// release closes the bus unless a transfer is on, which will not come back.
func (b *bus) release() {
	select {
	case b.turn <- struct{}{}:
		b.close()
		<-b.turn
	default:
	}
}

// buses are the buses of the board, each made when it is asked for first.
type buses struct {
	open func(busID) (io.Closer, error)
	mu   sync.Mutex
	all  map[busID]*bus
}

func newBuses(open func(busID) (io.Closer, error)) *buses {
	return &buses{open: open, all: map[busID]*bus{}}
}

func (b *buses) get(id busID) *bus {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.all[id]
	if one == nil {
		one = newBus(id, b.open)
		b.all[id] = one
	}
	return one
}

// release closes all of them.
func (b *buses) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, one := range b.all {
		one.release()
	}
}
