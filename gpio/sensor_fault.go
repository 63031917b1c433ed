package gpio

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"time"
)

// backOff returns how long to wait before the next try after so many failures in
// a row: anything up to twice as long as for the one before, so that sensors that
// failed together do not try together.
func backOff(failures int) time.Duration {
	return rand.N(min(firstRetry<<min(failures-1, 10), lastRetry)) + 1
}

// faultAfter is how many readings in a row fail until that is a fault. A single
// wrong checksum on a long wire is none; it is counted.
const faultAfter = 2

// advice returns what to do about an error of a sensor; empty: the error says it.
// periph keeps the texts of error numbers only.
func advice(id busID, s *Sensor, address uint16, err error) string {
	text := err.Error()
	says := func(errs ...error) bool {
		for _, e := range errs {
			if errors.Is(err, e) || strings.Contains(text, e.Error()) {
				return true
			}
		}
		return false
	}
	switch {
	case says(errStuck, syscall.ETIMEDOUT):
		return "a device holds the bus down: take the devices off one by one, and look at the pull-up resistors"
	case says(errNoBus, syscall.ENOENT) || strings.Contains(text, "is not configured"):
		return "switch it on in /boot/firmware/config.txt and restart the board: " + overlay(id)
	case says(os.ErrPermission, syscall.EACCES, syscall.EPERM, syscall.EAFNOSUPPORT):
		return "the user of the gateway may not use " + id.String() + ": see to its groups (i2c, spi) and to the unit's DeviceAllow and RestrictAddressFamilies"
	case id.kind == busI2C && says(syscall.EREMOTEIO, syscall.ENXIO):
		return fmt.Sprintf("nothing answers at 0x%02x: look at the wiring, and with `i2cdetect -y %d` at the address", address, id.number)
	case id.kind == busSPI && strings.Contains(text, "chip id"), id.kind == busSPI && strings.Contains(text, "with the id"):
		return "look at the wiring of " + id.String() + ": 0xff and 0x00 are what nobody answers"
	case says(errPowerUp):
		return "it gets too little power: connect its third wire to 3.3 V, and 4.7 kilo-ohm between data and 3.3 V"
	case id.kind == busOneWire && (says(errNobody) || strings.Contains(text, "status 255") || strings.Contains(text, "did not respond")):
		return "look at the wiring, the 4.7 kilo-ohm between data and 3.3 V, and the id in " + w1Devices
	case strings.Contains(strings.ToLower(text), "crc"):
		return "the wire is long, close to another, or its pull-up is missing"
	}
	return ""
}

// overlay is the line of config.txt that gives a bus.
func overlay(id busID) string {
	switch {
	case id.kind == busSPI:
		return "dtparam=spi=on"
	case id.kind == busOneWire:
		return "dtoverlay=w1-gpio"
	case id.number != 1:
		return fmt.Sprintf("dtoverlay=i2c%d", id.number)
	}
	return "dtparam=i2c_arm=on"
}

// explain makes of the error of a driver what is wrong, and what to do.
func (s *sensor) explain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("a reading takes longer than %v", s.kind.timeout)
	}
	// Some drivers say that a reading failed, and not why.
	if why := s.session.failed(); why != nil && !strings.Contains(err.Error(), why.Error()) {
		err = fmt.Errorf("%w: %w", err, why)
	}
	if do := advice(s.session.bus.id, &s.Sensor, s.session.address, err); do != "" {
		return fmt.Errorf("%w (%s)", err, do)
	}
	return err
}
