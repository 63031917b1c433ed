package gpio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/onewire"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
)

// session is a bus in the hands of one driver, which knows neither time limits
// nor that it has to give up: while a reading is on, transfers are made until its
// context is done, and fail from then on. A driver that asks for ever whether a
// chip is ready comes to an end so.
type session struct {
	bus     *bus
	address uint16 // of the device on I2C

	mu        sync.Mutex
	ctx       context.Context
	err       error // of the last transfer that failed; some drivers do not tell
	transfers int   // since begin
}

// patience is how many transfers a reading may make at full speed: more than any
// driver needs that does not wait for a chip.
const patience = 100

// begin makes ctx that of the transfers from now on.
func (s *session) begin(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ctx, s.err, s.transfers = ctx, nil, 0
}

// failed returns the error of the last transfer that failed since begin.
func (s *session) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// do makes a transfer that reads into r. The bytes are copied, so that one that
// comes back late writes into nobody's memory.
func (s *session) do(w, r []byte, transfer func(raw io.Closer, w, r []byte) error) error {
	s.mu.Lock()
	ctx := s.ctx
	s.transfers++
	hurry := s.transfers > patience
	s.mu.Unlock()
	if hurry {
		time.Sleep(5 * time.Millisecond) // or it would keep a core busy
	}
	w2, r2 := append([]byte(nil), w...), make([]byte, len(r))
	err := s.bus.do(ctx, func(raw io.Closer) error { return transfer(raw, w2, r2) })
	switch {
	case err == nil:
		copy(r, r2)
	case ctx.Err() == nil: // else it says no more than that the time is over
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}
	return err
}

var errNotHere = errors.New("drivers do not do this here")

// i2cSession is a session on I2C.
type i2cSession struct{ *session }

var _ i2c.Bus = i2cSession{}

func (s i2cSession) String() string { return s.bus.id.String() }

func (s i2cSession) SetSpeed(physic.Frequency) error { return errNotHere }

func (s i2cSession) Tx(address uint16, w, r []byte) error {
	return s.do(w, r, func(raw io.Closer, w, r []byte) error {
		return raw.(i2c.Bus).Tx(address, w, r)
	})
}

// spiSession is a session on SPI.
type spiSession struct {
	*session
	mode spi.Mode
	bits int
}

func (s *spiSession) String() string { return s.bus.id.String() }

// Connect notes how the port is to be connected when it is opened.
func (s *spiSession) Connect(_ physic.Frequency, mode spi.Mode, bits int) (spi.Conn, error) {
	s.mode, s.bits = mode, bits
	return s, nil
}

func (s *spiSession) Duplex() conn.Duplex { return conn.Full }

func (s *spiSession) TxPackets([]spi.Packet) error { return errNotHere }

func (s *spiSession) Tx(w, r []byte) error {
	return s.do(w, r, func(raw io.Closer, w, r []byte) error {
		c, err := raw.(*spiWire).connect(s.mode, s.bits)
		if err != nil {
			return err
		}
		return c.Tx(w, r)
	})
}

// w1Session is a session on 1-wire.
type w1Session struct{ *session }

var _ onewire.Bus = w1Session{}

func (s w1Session) String() string { return s.bus.id.String() }

func (s w1Session) Tx(w, r []byte, power onewire.Pullup) error {
	return s.do(w, r, func(raw io.Closer, w, r []byte) error {
		return raw.(onewire.Bus).Tx(w, r, power)
	})
}

func (s w1Session) Search(alarmOnly bool) ([]onewire.Address, error) {
	found := make(chan []onewire.Address, 1)
	err := s.do(nil, nil, func(raw io.Closer, _, _ []byte) error {
		all, err := raw.(onewire.Bus).Search(alarmOnly)
		found <- all
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("search the bus: %w", err)
	}
	return <-found, nil
}
