package gpio

import (
	"fmt"
	"io"

	"greengate/gpio/simbus"
)

// simWires are the simulated buses of a board: those that the sensors of the file
// name, each with the chips that it says are there. Nobody changes the maps.
type simWires struct {
	i2c map[int]*simbus.I2C
	spi map[busID]*simbus.SPI
	w1  map[int]*simbus.OneWire
}

// newSimWires wires up the sensors, those with an address first: on 1-wire one
// without is the only one of its kind, perhaps the one that another names.
func newSimWires(sensors []*sensor) *simWires {
	w := &simWires{i2c: map[int]*simbus.I2C{}, spi: map[busID]*simbus.SPI{}, w1: map[int]*simbus.OneWire{}}
	for _, addressed := range []bool{true, false} {
		for i, s := range sensors {
			if s.wrong == nil && (s.Address != "") == addressed {
				w.wire(s, simbus.Weather(s.Name), i)
			}
		}
	}
	return w
}

// wire puts the chip of a sensor on its bus, unless it is there: two sensors may
// be the inputs of one chip.
func (w *simWires) wire(s *sensor, world simbus.World, n int) {
	switch s.id.kind {
	case busI2C:
		b := w.i2c[s.id.number]
		if b == nil {
			b = simbus.NewI2C(s.id.String())
			w.i2c[s.id.number] = b
		}
		if address := s.i2cAddress(s.kind); b.Chip(address) == nil {
			b.Attach(address, simChip(&s.Sensor, world))
		}
	case busSPI:
		if w.spi[s.id] == nil {
			w.spi[s.id] = simbus.NewSPI(s.id.String())
			w.spi[s.id].Attach(simChip(&s.Sensor, world).(*simbus.BMX280))
		}
	case busOneWire:
		b := w.w1[s.id.number]
		if b == nil {
			b = simbus.NewOneWire(s.id.String())
			w.w1[s.id.number] = b
		}
		address := simbus.Address(s.kind.family, 0x055A00+uint64(n))
		if s.Address != "" {
			var err error
			if address, err = w1Address(s.Address); err != nil {
				return
			}
		} else if b.Has(s.kind.family) {
			return
		}
		if b.Slave(address) == nil {
			b.Attach(address, simSlave(s, world))
		}
	}
}

// simChip makes the chip of a sensor on I2C or SPI.
func simChip(s *Sensor, world simbus.World) simbus.Chip {
	switch s.Kind {
	case "ads1015":
		return simbus.NewADS1015(world)
	case "ads1115":
		return simbus.NewADS1115(world)
	case "aht20":
		return simbus.NewAHT20(world)
	case "am2320":
		return simbus.NewAM2320(world)
	case "bh1750":
		return simbus.NewBH1750(world)
	case "bme280":
		return simbus.NewBME280(world)
	case "bmp180":
		return simbus.NewBMP180(world)
	case "bmp280":
		return simbus.NewBMP280(world)
	case "hdc302x":
		return simbus.NewHDC302X(world)
	case "ina219":
		return simbus.NewINA219(world, s.shunt())
	case "mcp9808":
		return simbus.NewMCP9808(world)
	case "scd4x":
		return simbus.NewSCD4X(world)
	}
	return simbus.NewTMP102(world)
}

// simSlave makes a 1-wire thermometer.
func simSlave(s *sensor, world simbus.World) simbus.Slave {
	if s.Kind == "max31850" {
		return simbus.NewMAX31850(world)
	}
	return simbus.NewThermometer(world, s.kind.family)
}

// open opens a simulated bus. One that the file does not name is not there.
func (w *simWires) open(id busID) (io.Closer, error) {
	switch id.kind {
	case busI2C:
		if b := w.i2c[id.number]; b != nil {
			return b, nil
		}
	case busSPI:
		if p := w.spi[id]; p != nil {
			return &spiWire{PortCloser: p.Open()}, nil
		}
	case busOneWire:
		if b := w.w1[id.number]; b != nil {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", errNoBus, id)
}
