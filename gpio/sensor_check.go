package gpio

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SensorFault is what is wrong with a sensor of the group file.
type SensorFault struct {
	Path    []any // of the value below the sensor: keys, and places in lists
	Problem string
	Hint    string // what to write instead
}

// Check checks what no other entry of the file has a say in: all but its name,
// its topic, and whether its thing exists.
func (s *Sensor) Check() []SensorFault {
	var faults []SensorFault
	wrong := func(problem, hint string, path ...any) {
		faults = append(faults, SensorFault{path, problem, hint})
	}
	k := sensorKinds[s.Kind]
	if k == nil {
		wrong(fmt.Sprintf("there is no kind %.40q", s.Kind), "write one of "+strings.Join(Kinds, ", "), "kind")
		return faults
	}
	s.checkPlace(k, wrong)
	s.checkTimes(k, wrong)
	s.checkAnalog(wrong)
	s.checkCalibration(wrong)
	switch {
	case s.Thing == "" && s.Key != "":
		wrong("is missing beside key", "name the thing whose shadow has the key", "thing")
	case s.Thing != "" && s.Key == "":
		wrong("is missing beside thing", "name the key of the shadow that takes the reading", "key")
	case s.Thing == "" && s.Topic == "":
		wrong("is missing, and so are thing and key", "say where the readings go: `topic: TOPIC`", "topic")
	}
	return faults
}

// checkPlace checks where the sensor is.
func (s *Sensor) checkPlace(k *sensorKind, wrong func(problem, hint string, path ...any)) {
	id, err := parseBus(s.Bus, k)
	if err != nil {
		hint := "write the number of the I2C bus, as in /dev/i2c-1"
		switch {
		case k.bus == busOneWire:
			hint = "write the number of the 1-wire bus, as in /sys/bus/w1/devices/w1_bus_master1"
		case k.spi:
			hint += ", or the SPI port: spi0.0"
		}
		wrong(err.Error(), hint, "bus")
		return
	}
	switch {
	case s.Address == "":
	case id.kind == busSPI:
		wrong("an SPI port has no addresses", "take it out", "address")
	case id.kind == busOneWire:
		a, err := w1Address(s.Address)
		switch {
		case err != nil:
			wrong(err.Error(), "write it as in /sys/bus/w1/devices: 28-0316a2793cff", "address")
		case byte(a) != k.family:
			wrong(fmt.Sprintf("the id of a %s begins with %02x-", s.Kind, k.family), "write the id of that device, or the kind of this", "address")
		}
	default:
		n, err := strconv.ParseUint(s.Address, 0, 16)
		if err != nil || !slices.Contains(k.addresses, uint16(n)) {
			wrong(fmt.Sprintf("%.40q is no address of a %s", s.Address, s.Kind), "write "+addressList(k.addresses), "address")
		}
	}
}

// addressList writes addresses that follow each other, or two.
func addressList(all []uint16) string {
	first, last := all[0], all[len(all)-1]
	switch {
	case len(all) == 1:
		return fmt.Sprintf("0x%02x", first)
	case len(all) == int(last-first)+1 && len(all) > 2:
		return fmt.Sprintf("0x%02x to 0x%02x", first, last)
	}
	return fmt.Sprintf("0x%02x or 0x%02x", first, last)
}

// i2cAddress is the address on I2C of a sensor that was checked.
func (s *Sensor) i2cAddress(k *sensorKind) uint16 {
	if s.Address == "" && len(k.addresses) > 0 {
		return k.addresses[0]
	}
	n, err := strconv.ParseUint(s.Address, 0, 16)
	if err != nil {
		return 0 // at which nothing is
	}
	return uint16(n)
}

// Place tells where a checked sensor is: its bus, and its address there (i2c-1 0x48).
// Two sensors with one place are one device. On 1-wire, found tells that it has no
// address, and is the only one of its kind on the bus.
func (s *Sensor) Place() (place string, found bool) {
	k := sensorKinds[s.Kind]
	if k == nil {
		return "", false
	}
	id, err := parseBus(s.Bus, k)
	switch {
	case err != nil:
		return "", false
	case id.kind == busI2C:
		return fmt.Sprintf("%s 0x%02x", id, s.i2cAddress(k)), false
	case id.kind == busOneWire && s.Address == "":
		return id.String(), true
	}
	return strings.TrimSpace(id.String() + " " + strings.ToLower(s.Address)), false
}

// checkTimes checks the intervals.
func (s *Sensor) checkTimes(k *sensorKind, wrong func(problem, hint string, path ...any)) {
	const day = 24 * time.Hour
	if s.Every < k.every || s.Every > day {
		wrong(fmt.Sprintf("%v is out of range for a %s", s.Every, s.Kind), fmt.Sprintf("write %v to 24h", k.every), "every")
	}
	if s.MinInterval < 0 || s.MinInterval > day {
		wrong(fmt.Sprintf("%v is out of range", s.MinInterval), "write 0s to 24h", "min_interval")
	}
	switch {
	case s.Heartbeat < 0 || s.Heartbeat > day:
		wrong(fmt.Sprintf("%v is out of range", s.Heartbeat), "write 0s to 24h", "heartbeat")
	case s.Heartbeat != 0 && s.Heartbeat < max(s.Every, s.MinInterval):
		wrong(fmt.Sprintf("%v is shorter than every or min_interval", s.Heartbeat), "write a longer time", "heartbeat")
	}
}

// checkCalibration checks scales, offsets, units and deadbands.
func (s *Sensor) checkCalibration(wrong func(problem, hint string, path ...any)) {
	names := s.Quantities()
	if len(names) == 0 {
		return // its channels are wrong
	}
	if len(names) > 1 {
		own := map[string]bool{"scale": s.Scale != 1, "offset": s.Offset != 0, "unit": s.Unit != "", "deadband": s.Deadband != 0}
		for _, key := range []string{"scale", "offset", "unit", "deadband"} {
			if own[key] {
				wrong("is for sensors with one quantity; this one has "+strings.Join(names, ", "),
					fmt.Sprintf("write `calibrate: {%s: {%s: ...}}`", names[0], key), key)
			}
		}
	} else {
		s.ownCalibration().check(wrong)
	}
	keys := make([]string, 0, len(s.Calibrate))
	for name := range s.Calibrate {
		keys = append(keys, name)
	}
	slices.Sort(keys)
	for _, name := range keys {
		if !slices.Contains(names, name) {
			wrong(fmt.Sprintf("a %s measures no %.40q", s.Kind, name), "write "+strings.Join(names, ", "), "calibrate", name)
			continue
		}
		s.Calibrate[name].check(func(problem, hint string, path ...any) {
			wrong(problem, hint, append([]any{"calibrate", name}, path...)...)
		})
	}
}

// check checks the numbers of a calibration.
func (c Calibration) check(wrong func(problem, hint string, path ...any)) {
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) && math.Abs(v) <= 1e12 }
	if !finite(c.Scale) || c.Scale == 0 {
		wrong(fmt.Sprintf("%v makes nothing of a reading", c.Scale), "write 1, or what to multiply by", "scale")
	}
	if !finite(c.Offset) {
		wrong(fmt.Sprintf("%v is out of range", c.Offset), "write what to add", "offset")
	}
	if !finite(c.Deadband) || c.Deadband < 0 {
		wrong(fmt.Sprintf("%v is no deadband", c.Deadband), "write how far a reading has to move to be told, 0 or more", "deadband")
	}
	if len(c.Unit) > 16 || strings.ContainsFunc(c.Unit, func(r rune) bool { return r < ' ' }) {
		wrong(fmt.Sprintf("%.20q is no unit", c.Unit), "write at most 16 bytes", "unit")
	}
}
