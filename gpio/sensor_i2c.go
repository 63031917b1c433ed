package gpio

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/aht20"
	"periph.io/x/devices/v3/am2320"
	"periph.io/x/devices/v3/bh1750"
	"periph.io/x/devices/v3/bmxx80"
	"periph.io/x/devices/v3/hdc302x"
	"periph.io/x/devices/v3/mcp9808"
	"periph.io/x/devices/v3/scd4x"
	"periph.io/x/devices/v3/tmp102"
)

// errForgot is a chip that answers and has lost its settings: it was without
// power for a moment. Its values would look right and be wrong.
var errForgot = errors.New("the chip has lost its settings: it was without power")

func celsius(t physic.Temperature) float64 {
	return float64(t-physic.ZeroCelsius) / float64(physic.Kelvin)
}

func relative(h physic.RelativeHumidity) float64 { return float64(h) / float64(physic.PercentRH) }

func hectopascal(p physic.Pressure) float64 { return float64(p) / float64(100*physic.Pascal) }

// climate reads a driver of periph's SenseEnv into what the kind measures.
func climate(sense func(*physic.Env) error, values func(*physic.Env) []float64) reader {
	return func() ([]float64, error) {
		var e physic.Env
		if err := sense(&e); err != nil {
			return nil, err
		}
		return values(&e), nil
	}
}

func onlyTemperature(e *physic.Env) []float64 { return []float64{celsius(e.Temperature)} }

func temperatureAndHumidity(e *physic.Env) []float64 {
	return []float64{celsius(e.Temperature), relative(e.Humidity)}
}

// openBMX sets up a Bosch BME280, BMP280 or BMP180. Its driver finds out which
// it is; the one is often sold as the other.
func openBMX(s *Sensor, p *session) (reader, error) {
	opts := bmxx80.DefaultOpts
	var dev *bmxx80.Dev
	var err error
	var register func(n byte) (byte, error)
	if p.bus.id.kind == busSPI {
		port := &spiSession{session: p}
		dev, err = bmxx80.NewSPI(port, &opts)
		register = func(n byte) (byte, error) {
			var r [2]byte
			err := port.Tx([]byte{n | 0x80, 0}, r[:])
			return r[1], err
		}
	} else {
		address := p.address
		dev, err = bmxx80.NewI2C(i2cSession{p}, address, &opts)
		register = func(n byte) (byte, error) {
			var r [1]byte
			err := i2cSession{p}.Tx(address, []byte{n}, r[:])
			return r[0], err
		}
	}
	if err != nil {
		return nil, err
	}
	chip, _, _ := strings.Cut(strings.ToLower(dev.String()), "{")
	if chip != s.Kind {
		return nil, fmt.Errorf("the chip is a %s: write `kind: %s`", strings.ToUpper(chip), chip)
	}
	values := func(e *physic.Env) []float64 { return []float64{celsius(e.Temperature), hectopascal(e.Pressure)} }
	if chip == "bme280" {
		values = func(e *physic.Env) []float64 {
			return []float64{celsius(e.Temperature), relative(e.Humidity), hectopascal(e.Pressure)}
		}
	}
	read := climate(dev.Sense, values)
	if chip == "bmp180" {
		return read, nil
	}
	return func() ([]float64, error) {
		if err := checkBMX280(chip, register); err != nil {
			return nil, err
		}
		v, err := read()
		if err == nil && chip == "bme280" {
			var control byte
			if control, err = register(0xF2); err == nil && control&7 == 0 {
				err = errForgot // and measures no humidity
			}
		}
		return v, err
	}, nil
}

// checkBMX280 finds out whether the chip is still there, which SPI does not tell:
// the driver would ask nobody for ever whether he is ready.
func checkBMX280(chip string, register func(byte) (byte, error)) error {
	want := map[string]byte{"bme280": 0x60, "bmp280": 0x58}[chip]
	id, err := register(0xD0)
	if err == nil && id != want {
		err = fmt.Errorf("the chip answers with the id 0x%02x, not 0x%02x", id, want)
	}
	return err
}

func openAHT20(_ *Sensor, p *session) (reader, error) {
	dev, err := aht20.NewI2C(i2cSession{p}, nil)
	if err != nil {
		return nil, err
	}
	return climate(dev.Sense, temperatureAndHumidity), nil
}

// openAM2320 corrects temperatures below 0 °C: the chip has a sign bit, and the
// driver reads a complement of two.
func openAM2320(s *Sensor, p *session) (reader, error) {
	dev, err := am2320.NewI2C(i2cSession{p}, p.address)
	if err != nil {
		return nil, err
	}
	return climate(dev.Sense, func(e *physic.Env) []float64 {
		v := temperatureAndHumidity(e)
		if v[0] < -1000 {
			v[0] = -(v[0] + 3276.8)
		}
		return v
	}), nil
}

// openHDC302X lets the chip measure twice as often as it is read: it answers once
// for each of its measurements. One that measures since an earlier start would
// not take the command.
func openHDC302X(s *Sensor, p *session) (reader, error) {
	bus, address := i2cSession{p}, p.address
	if err := bus.Tx(address, []byte{0x30, 0x93}, nil); err != nil { // stop measuring
		return nil, err
	}
	rate := hdc302x.Rate10Hertz
	switch {
	case s.Every >= 2*time.Second:
		rate = hdc302x.RateHertz
	case s.Every >= time.Second:
		rate = hdc302x.RateTwoHertz
	case s.Every >= 500*time.Millisecond:
		rate = hdc302x.RateFourHertz
	}
	dev, err := hdc302x.NewI2C(bus, address, rate)
	if err != nil {
		return nil, err
	}
	return climate(dev.Sense, temperatureAndHumidity), nil
}

func openTMP102(s *Sensor, p *session) (reader, error) {
	dev, err := tmp102.NewI2C(i2cSession{p}, p.address, nil)
	if err != nil {
		return nil, err
	}
	return climate(dev.Sense, onlyTemperature), nil
}

// openMCP9808 makes sure of the chip, which its driver does not.
func openMCP9808(s *Sensor, p *session) (reader, error) {
	var id [2]byte
	if err := (i2cSession{p}).Tx(p.address, []byte{6}, id[:]); err != nil {
		return nil, err
	}
	if id != [2]byte{0x00, 0x54} {
		return nil, fmt.Errorf("the chip is no MCP9808: its manufacturer is 0x%x", id)
	}
	dev, err := mcp9808.New(i2cSession{p}, &mcp9808.Opts{Addr: int(p.address), Res: mcp9808.Maximum})
	if err != nil {
		return nil, err
	}
	return climate(dev.Sense, onlyTemperature), nil
}

// openSCD4X lets the chip measure, which it does every 5 s.
func openSCD4X(s *Sensor, p *session) (reader, error) {
	dev, err := scd4x.NewI2C(i2cSession{p}, p.address)
	if err != nil {
		return nil, err
	}
	return func() ([]float64, error) {
		var e scd4x.Env
		if err := dev.Sense(&e); err != nil {
			return nil, err
		}
		return []float64{float64(e.CO2), celsius(e.Temperature), relative(e.Humidity)}, nil
	}, nil
}

// openBH1750 throws the first reading away. The driver begins a measurement, waits
// for less than the 180 ms that one may take, reads, and begins another: it has what
// was measured after the reading before, and 0 after power-up.
func openBH1750(s *Sensor, p *session) (reader, error) {
	dev, err := bh1750.NewI2C(i2cSession{p}, p.address)
	if err != nil {
		return nil, err
	}
	read := func() ([]float64, error) {
		flux, err := dev.Sense()
		return []float64{float64(flux) / float64(physic.Lumen)}, err
	}
	_, err = read()
	time.Sleep(200 * time.Millisecond)
	return read, err
}
