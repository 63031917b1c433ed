package gpio

import (
	"fmt"
	"io"
	"os"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
	"periph.io/x/host/v3/netlink"
	"periph.io/x/host/v3/sysfs"
)

// w1Devices is where the kernel shows 1-wire buses and what is on them.
const w1Devices = "/sys/bus/w1/devices/"

// openKernelBus opens a bus that the kernel offers. periph's own registries know
// only those that were there at its start.
func openKernelBus(id busID) (io.Closer, error) {
	switch id.kind {
	case busSPI:
		port, err := sysfs.NewSPI(id.number, id.chip)
		if err != nil {
			return nil, err
		}
		return &spiWire{PortCloser: port}, nil
	case busOneWire:
		// The kernel's socket takes a question for any bus.
		if _, err := os.Stat(w1Devices + id.String()); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoBus, err)
		}
		b, err := netlink.New(uint32(id.number))
		if err != nil {
			return nil, err
		}
		return b, nil
	}
	b, err := sysfs.NewI2C(id.number)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// spiSpeed is slow enough for wires on a breadboard.
const spiSpeed = physic.MegaHertz

// spiWire is an open SPI port, which can be connected once.
type spiWire struct {
	spi.PortCloser
	conn spi.Conn
}

func (w *spiWire) connect(mode spi.Mode, bits int) (spi.Conn, error) {
	if w.conn == nil {
		c, err := w.Connect(spiSpeed, mode, bits)
		if err != nil {
			return nil, err
		}
		w.conn = c
	}
	return w.conn, nil
}
