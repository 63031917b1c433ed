package gpio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"periph.io/x/conn/v3/onewire"
	"periph.io/x/devices/v3/ds18b20"
)

// w1Address reads the id of a 1-wire device as the kernel writes it, the family
// and the serial number: 28-0316a2793cff.
func w1Address(id string) (onewire.Address, error) {
	family, serial, found := strings.Cut(id, "-")
	f, errF := strconv.ParseUint(family, 16, 8)
	n, errN := strconv.ParseUint(serial, 16, 48)
	if !found || errF != nil || errN != nil || len(family) != 2 || len(serial) != 12 {
		return 0, fmt.Errorf("%.40q is no 1-wire id", id)
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n<<8|f)
	b[7] = onewire.CalcCRC(b[:7])
	return onewire.Address(binary.LittleEndian.Uint64(b[:])), nil
}

// w1ID writes an address as the kernel does.
func w1ID(a onewire.Address) string {
	return fmt.Sprintf("%02x-%012x", byte(a), uint64(a)<<8>>16)
}

// find returns the address of the device: the one in the file, or the only one
// of its family on the bus.
func (s *Sensor) find(bus w1Session, family byte) (onewire.Address, error) {
	if s.Address != "" {
		return w1Address(s.Address)
	}
	all, err := bus.Search(false)
	if err != nil {
		return 0, err
	}
	var mine, others []string
	var address onewire.Address
	for _, a := range all {
		if byte(a) == family {
			mine, address = append(mine, w1ID(a)), a
		} else {
			others = append(others, w1ID(a))
		}
	}
	switch {
	case len(mine) > 1:
		return 0, fmt.Errorf("several are on the bus: write `address:` with one of %s", strings.Join(mine, ", "))
	case len(mine) == 1:
		return address, nil
	case len(others) > 0:
		return 0, fmt.Errorf("no %s is on the bus, but %s", s.Kind, strings.Join(others, ", "))
	}
	return 0, errNobody
}

// errNobody is an empty 1-wire bus.
var errNobody = errors.New("nothing is on the bus")

// powerUp is what a thermometer has before it has converted, with a good checksum
// and no error; a temperature of exactly that is never told.
const powerUp = 85.0

var errPowerUp = errors.New("it has made no conversion: the 85 °C that it has after power-up")

// openDS18B20 sets up a thermometer of 12 bits. The netlink socket has no strong
// pull-up: a thermometer needs its third wire.
func openDS18B20(s *Sensor, p *session, family byte) (reader, error) {
	bus := w1Session{p}
	address, err := s.find(bus, family)
	if err != nil {
		return nil, err
	}
	dev, err := ds18b20.New(bus, address, 12)
	if err != nil {
		return nil, err
	}
	read := climate(dev.Sense, onlyTemperature)
	return func() ([]float64, error) {
		v, err := read()
		if err == nil && v[0] == powerUp || err != nil && strings.Contains(err.Error(), "has not performed a temperature conversion") {
			return nil, errPowerUp
		}
		return v, err
	}, nil
}

// openMAX31850 sets up a thermocouple converter, for which periph has no driver:
// its scratchpad is like that of a DS18B20, but for the fault bits.
func openMAX31850(s *Sensor, p *session, family byte) (reader, error) {
	bus := w1Session{p}
	address, err := s.find(bus, family)
	if err != nil {
		return nil, err
	}
	dev := onewire.Dev{Bus: bus, Addr: address}
	return func() ([]float64, error) {
		if err := dev.Tx([]byte{0x44}, nil); err != nil { // convert
			return nil, err
		}
		time.Sleep(110 * time.Millisecond) // at most 100 ms (data sheet)
		var pad [9]byte
		if err := dev.Tx([]byte{0xBE}, pad[:]); err != nil { // read the scratchpad
			return nil, err
		}
		switch {
		case pad == [9]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}:
			return nil, errors.New("max31850: device did not respond")
		case !onewire.CheckCRC(pad[:]):
			return nil, errors.New("max31850: incorrect scratchpad CRC")
		case pad[0]&1 != 0:
			return nil, coupleError(pad[2])
		}
		raw := int16(binary.LittleEndian.Uint16(pad[:2])) &^ 3
		return []float64{float64(raw) / 16}, nil
	}, nil
}

// coupleError says what is wrong with a thermocouple (MAX31850 data sheet, table 4).
func coupleError(bits byte) error {
	switch {
	case bits&1 != 0:
		return errors.New("no thermocouple is connected")
	case bits&2 != 0:
		return errors.New("the thermocouple has a short to ground")
	}
	return errors.New("the thermocouple has a short to the supply")
}
