package simbus

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"periph.io/x/conn/v3/onewire"
)

// errAbsent is what periph's netlink driver has when no chip says that it is
// there after a reset of the bus.
var errAbsent = errors.New("netlink-onewire: transaction failed: failed to receive response / acks: invalid w1_netlink_msg status 255")

// Slave is a chip on a 1-wire bus.
type Slave interface {
	// Command takes a function command with its data, and gives what is read.
	Command(w, r []byte)
	Reset()
}

// OneWire is a simulated 1-wire bus.
type OneWire struct {
	trouble
	name   string
	mu     sync.Mutex
	slaves map[onewire.Address]Slave
}

var _ onewire.BusCloser = (*OneWire)(nil)

// NewOneWire makes a bus without chips.
func NewOneWire(name string) *OneWire {
	return &OneWire{name: name, slaves: map[onewire.Address]Slave{}}
}

// Address makes the address of a chip of its family and serial number, with the
// checksum that each chip carries.
func Address(family byte, serial uint64) onewire.Address {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], serial<<8|uint64(family))
	b[7] = onewire.CalcCRC(b[:7])
	return onewire.Address(binary.LittleEndian.Uint64(b[:]))
}

func (b *OneWire) String() string { return b.name }

// Close does nothing: the bus is there to be opened again.
func (b *OneWire) Close() error { return nil }

// Attach puts a chip on the bus; it has its power from now on.
func (b *OneWire) Attach(a onewire.Address, s Slave) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Reset()
	b.slaves[a] = s
}

// Detach takes a chip off the bus and returns it, nil if there is none.
func (b *OneWire) Detach(a onewire.Address) Slave {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.slaves[a]
	delete(b.slaves, a)
	return s
}

// Slave returns the chip of that address, nil if there is none.
func (b *OneWire) Slave(a onewire.Address) Slave {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.slaves[a]
}

// Has tells whether a chip of that family is on the bus.
func (b *OneWire) Has(family byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for a := range b.slaves {
		if byte(a) == family {
			return true
		}
	}
	return false
}

// Search finds the chips, in the order of their addresses.
func (b *OneWire) Search(alarmOnly bool) ([]onewire.Address, error) {
	if err := b.meet(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []onewire.Address
	for a := range b.slaves {
		if !alarmOnly {
			all = append(all, a)
		}
	}
	slices.Sort(all)
	return all, nil
}

// Tx resets the bus, writes and reads. What nobody answers reads as ones.
func (b *OneWire) Tx(w, r []byte, _ onewire.Pullup) error {
	if err := b.meet(); err != nil {
		return err
	}
	// A reset takes a millisecond, a bit 70 microseconds.
	time.Sleep(time.Millisecond + time.Duration(len(w)+len(r))*560*time.Microsecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.slaves) == 0 {
		return errAbsent
	}
	for i := range r {
		r[i] = 0xFF
	}
	switch {
	case len(w) > 1 && w[0] == 0xCC: // skip ROM: all of them
		for _, s := range b.slaves {
			s.Command(w[1:], nil)
		}
	case len(w) > 9 && w[0] == 0x55: // match ROM
		if s := b.slaves[onewire.Address(binary.LittleEndian.Uint64(w[1:9]))]; s != nil {
			s.Command(w[9:], r)
		}
	}
	return nil
}
