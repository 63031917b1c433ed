package gpio

import (
	"maps"
	"slices"
	"time"
)

// sensorKind is what this package knows of a kind of sensor.
type sensorKind struct {
	bus busKind
	spi bool // it may be on SPI instead of I2C
	// addresses are the I2C addresses that it can have, the usual one first.
	addresses []uint16
	family    byte // of a 1-wire device
	// quantities are what it measures, in the order of its readings.
	quantities func(*Sensor) []quantity
	// every is the shortest interval, timeout the longest that a reading may take,
	// setting the device up included.
	every, timeout time.Duration
	// open sets the device up and returns what reads it.
	open func(*Sensor, *session) (reader, error)
}

// reader reads a device once. It is called by one goroutine, and may sleep.
type reader func() ([]float64, error)

// quantity is one of the values that a device measures. What is outside of the
// range of the data sheet is no value.
type quantity struct {
	name, unit string
	digits     int // after the decimal point that are worth telling
	low, high  float64
}

func temperature(low, high float64) quantity {
	return quantity{"temperature", "°C", 2, low, high}
}

var (
	humidity = quantity{"humidity", "%", 1, 0, 100}
	pressure = quantity{"pressure", "hPa", 2, 300, 1100}
)

func always(q ...quantity) func(*Sensor) []quantity {
	return func(*Sensor) []quantity { return q }
}

// i2cKind is a kind on I2C that answers at once.
func i2cKind(open func(*Sensor, *session) (reader, error), q func(*Sensor) []quantity, addresses ...uint16) *sensorKind {
	return &sensorKind{bus: busI2C, addresses: addresses, quantities: q, every: 100 * time.Millisecond, timeout: 5 * time.Second, open: open}
}

// slow is for a chip that measures less often than it can be asked.
func (k *sensorKind) slow(every, timeout time.Duration) *sensorKind {
	k.every, k.timeout = every, timeout
	return k
}

// orSPI is for a chip that speaks SPI, too.
func (k *sensorKind) orSPI() *sensorKind {
	k.spi = true
	return k
}

// w1Kind is a 1-wire thermometer, which converts for 750 ms.
func w1Kind(family byte, open func(*Sensor, *session, byte) (reader, error), low, high float64) *sensorKind {
	return &sensorKind{
		bus: busOneWire, family: family, quantities: always(temperature(low, high)), every: time.Second, timeout: 10 * time.Second,
		open: func(s *Sensor, p *session) (reader, error) { return open(s, p, family) },
	}
}

// span returns the addresses from first to last.
func span(first, last uint16) []uint16 {
	var all []uint16
	for a := first; a <= last; a++ {
		all = append(all, a)
	}
	return all
}

// sensorKinds are the devices whose periph drivers are sound, but for what this
// package makes up for. Not among them: sgp30 (it goes on telling its last value
// when the chip has gone), ccs811, hx711 and the ones that are no sensors.
var sensorKinds = map[string]*sensorKind{
	"ads1015": i2cKind(openADS, channelsOf, span(0x48, 0x4B)...),
	"ads1115": i2cKind(openADS, channelsOf, span(0x48, 0x4B)...),
	"aht20":   i2cKind(openAHT20, always(temperature(-40, 85), humidity), 0x38),
	"am2320":  i2cKind(openAM2320, always(temperature(-40, 80), humidity), 0x5C).slow(3*time.Second, 10*time.Second),
	"bh1750":  i2cKind(openBH1750, always(quantity{"illuminance", "lx", 0, 0, 54612}), 0x23, 0x5C).slow(500*time.Millisecond, 5*time.Second),
	"bme280":  i2cKind(openBMX, always(temperature(-40, 85), humidity, pressure), 0x76, 0x77).orSPI(),
	"bmp180":  i2cKind(openBMX, always(temperature(-40, 85), pressure), 0x77),
	"bmp280":  i2cKind(openBMX, always(temperature(-40, 85), pressure), 0x76, 0x77).orSPI(),
	"hdc302x": i2cKind(openHDC302X, always(temperature(-40, 125), humidity), span(0x44, 0x47)...),
	"ina219":  i2cKind(openINA219, powerOf, span(0x40, 0x4F)...),
	"mcp9808": i2cKind(openMCP9808, always(temperature(-40, 125)), span(0x18, 0x1F)...),
	"scd4x":   i2cKind(openSCD4X, always(quantity{"co2", "ppm", 0, 100, 40000}, temperature(-10, 60), humidity), 0x62).slow(5*time.Second, 20*time.Second),
	"tmp102":  i2cKind(openTMP102, always(temperature(-40, 125)), span(0x48, 0x4B)...),

	"ds18b20":  w1Kind(0x28, openDS18B20, -55, 125),
	"ds18s20":  w1Kind(0x10, openDS18B20, -55, 125),
	"ds1822":   w1Kind(0x22, openDS18B20, -55, 125),
	"ds1825":   w1Kind(0x3B, openDS18B20, -55, 125),
	"ds28ea00": w1Kind(0x42, openDS18B20, -40, 85),
	"max31850": w1Kind(0x3B, openMAX31850, -270, 1372),
}

// Kinds are the sensors that a group file may name, in the order of the alphabet.
var Kinds = slices.Sorted(maps.Keys(sensorKinds))

// Quantities returns what the sensor measures, the keys of Calibrate; nil for a
// kind that there is not.
func (s *Sensor) Quantities() []string {
	k := sensorKinds[s.Kind]
	if k == nil {
		return nil
	}
	var names []string
	for _, q := range k.quantities(s) {
		names = append(names, q.name)
	}
	return names
}
