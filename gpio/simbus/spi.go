package simbus

import (
	"errors"
	"sync"
	"time"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
)

// SPIChip is a chip that can be selected on an SPI bus.
type SPIChip interface {
	// Transfer takes the bytes that are clocked in and returns as many.
	Transfer(w []byte) []byte
	Reset()
}

// SPI is a simulated SPI port with one chip. Without it, nothing drives the line
// that is read: SPI has no acknowledgement.
type SPI struct {
	trouble
	name string
	mu   sync.Mutex
	chip SPIChip
}

// NewSPI makes a port without a chip.
func NewSPI(name string) *SPI { return &SPI{name: name} }

func (p *SPI) String() string { return p.name }

// Attach puts the chip there; it has its power from now on.
func (p *SPI) Attach(c SPIChip) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.Reset()
	p.chip = c
}

// Detach takes the chip away.
func (p *SPI) Detach() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chip = nil
}

// Open opens the port, which can be connected once, as the kernel's.
func (p *SPI) Open() spi.PortCloser { return &spiPort{port: p} }

type spiPort struct {
	port      *SPI
	connected bool
	closed    bool
}

func (p *spiPort) String() string { return p.port.name }

func (p *spiPort) Close() error {
	p.closed = true
	return nil
}

func (p *spiPort) LimitSpeed(physic.Frequency) error { return nil }

func (p *spiPort) Connect(f physic.Frequency, mode spi.Mode, bits int) (spi.Conn, error) {
	switch {
	case p.connected:
		return nil, errors.New("sysfs-spi: Connect() can only be called exactly once")
	case bits != 8:
		return nil, errors.New("sysfs-spi: invalid bits")
	}
	p.connected = true
	return &spiConn{p}, nil
}

type spiConn struct{ *spiPort }

func (c *spiConn) Duplex() conn.Duplex { return conn.Full }

func (c *spiConn) TxPackets([]spi.Packet) error { return errors.New("the simulation has no packets") }

func (c *spiConn) Tx(w, r []byte) error {
	if err := c.port.meet(); err != nil {
		return err
	}
	if len(r) != 0 && len(r) != len(w) {
		return errors.New("sysfs-spi: Tx(): when both w and r are used, they must be the same size")
	}
	time.Sleep(time.Duration(len(w)) * 8 * time.Microsecond) // at 1 MHz
	c.port.mu.Lock()
	defer c.port.mu.Unlock()
	switch {
	case c.closed:
		return errors.New("sysfs-spi: file already closed")
	case c.port.chip == nil:
		for i := range r {
			r[i] = 0xFF // the pull-up of the line
		}
	default:
		copy(r, c.port.chip.Transfer(w))
	}
	return nil
}
