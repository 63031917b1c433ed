package simbus

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
)

// errNACK is what periph has of a transfer that nobody acknowledged: the text of
// EREMOTEIO, which the Pi's own I2C driver says, and no error number.
var errNACK = errors.New("sysfs-i2c: " + syscall.EREMOTEIO.Error())

// Chip is a chip on an I2C bus.
type Chip interface {
	// Tx takes what is written, then gives what is read; either may be empty. Its
	// error is errNACK, or nil.
	Tx(w, r []byte) error
	// Reset takes the power away and gives it back.
	Reset()
}

// trouble is what a bus can have.
type trouble struct {
	mu    sync.Mutex
	fault error
	hang  chan struct{} // nil: it does not
}

// Fail makes every transfer end with that error, nil: no more.
func (t *trouble) Fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fault = err
}

// Hang lets no transfer come back until release is called.
func (t *trouble) Hang() (release func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	hang := make(chan struct{})
	t.hang = hang
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.hang = nil
		close(hang)
	})
}

// meet lets a transfer meet the trouble there is.
func (t *trouble) meet() error {
	t.mu.Lock()
	hang := t.hang
	t.mu.Unlock()
	if hang != nil {
		<-hang
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fault
}

// I2C is a simulated I2C bus.
type I2C struct {
	trouble
	name  string
	mu    sync.Mutex // one transfer at a time
	chips map[uint16]Chip
}

var _ i2c.BusCloser = (*I2C)(nil)

// NewI2C makes a bus without chips.
func NewI2C(name string) *I2C { return &I2C{name: name, chips: map[uint16]Chip{}} }

func (b *I2C) String() string { return b.name }

// Attach puts a chip on the bus; it has its power from now on.
func (b *I2C) Attach(address uint16, c Chip) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.Reset()
	b.chips[address] = c
}

// Detach takes a chip off the bus and returns it, nil if there is none.
func (b *I2C) Detach(address uint16) Chip {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.chips[address]
	delete(b.chips, address)
	return c
}

// Chip returns the chip at that address, nil if there is none.
func (b *I2C) Chip(address uint16) Chip {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.chips[address]
}

// Tx makes one transfer.
func (b *I2C) Tx(address uint16, w, r []byte) error {
	if err := b.meet(); err != nil {
		return err
	}
	if address >= 0x80 {
		return errors.New("sysfs-i2c: invalid address")
	}
	// 9 bits a byte at 400 kHz. A driver that asks again and again is slowed down
	// by this only.
	time.Sleep(time.Duration(1+len(w)+len(r)) * 9 * time.Second / 400_000)
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.chips[address]
	if c == nil {
		return errNACK
	}
	return c.Tx(w, r)
}

// SetSpeed fails, as on a Pi, where the device tree says it.
func (b *I2C) SetSpeed(physic.Frequency) error { return errors.New("sysfs-i2c: not supported") }

// Close does nothing: the bus is there to be opened again.
func (b *I2C) Close() error { return nil }
