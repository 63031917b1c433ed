package gpio

import (
	"encoding/binary"
	"fmt"
	"time"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/ads1x15"
	"periph.io/x/devices/v3/ina219"
)

// Gains are those of an ADS1015 or ADS1115, from the largest voltage to the
// smallest.
var Gains = []string{"2/3", "1", "2", "4", "8", "16"}

// fullScale is the voltage in V that a gain reaches.
var fullScale = map[string]float64{"2/3": 6.144, "1": 4.096, "2": 2.048, "4": 1.024, "8": 0.512, "16": 0.256}

// adsChannels are the inputs of an ADS1015 or ADS1115.
var adsChannels = map[string]ads1x15.Channel{
	"0": ads1x15.Channel0, "1": ads1x15.Channel1, "2": ads1x15.Channel2, "3": ads1x15.Channel3,
	"0-1": ads1x15.Channel0Minus1, "0-3": ads1x15.Channel0Minus3, "1-3": ads1x15.Channel1Minus3, "2-3": ads1x15.Channel2Minus3,
}

func (s *Sensor) channels() []string {
	if len(s.Channels) == 0 {
		return []string{"0"}
	}
	return s.Channels
}

func (s *Sensor) fullScale() float64 {
	if s.Gain == "" {
		return fullScale["1"]
	}
	return fullScale[s.Gain]
}

// channelsOf are the quantities of a converter: a0, or a0-1 for a difference. A
// voltage at the end of its range may be any beyond it, and is none.
func channelsOf(s *Sensor) []quantity {
	var q []quantity
	limit := s.fullScale() * (1 - 1.0/2048)
	for _, c := range s.channels() {
		q = append(q, quantity{"a" + c, "V", 5, -limit, limit})
	}
	return q
}

// adsRate is the least of the rates in samples a second that both converters
// have: a slow one is a quiet one.
const adsRate = 128 * physic.Hertz

// openADS sets up a converter, which knows nothing until it is asked.
func openADS(s *Sensor, p *session) (reader, error) {
	bus, address := i2cSession{p}, p.address
	create := ads1x15.NewADS1115
	if s.Kind == "ads1015" {
		create = ads1x15.NewADS1015
	}
	dev, err := create(bus, &ads1x15.Opts{I2cAddress: address})
	if err != nil {
		return nil, err
	}
	var reads []func() (float64, error)
	for _, c := range s.channels() {
		channel := adsChannels[c]
		pin, err := dev.PinForChannel(channel, physic.ElectricPotential(s.fullScale()*float64(physic.Volt)), adsRate, ads1x15.BestQuality)
		if err != nil {
			return nil, err
		}
		reads = append(reads, func() (float64, error) {
			if _, err := pin.Read(); err != nil {
				return 0, err
			}
			return adsResult(bus, address, uint16(channel), s.fullScale())
		})
	}
	return func() ([]float64, error) {
		var values []float64
		for _, read := range reads {
			v, err := read()
			if err != nil {
				return nil, err
			}
			values = append(values, v)
		}
		return values, nil
	}, nil
}

// adsResult reads the result once it is there. The driver waits for as long as a
// conversion should take; the clock of a chip may be a tenth slower, and then the
// driver has the voltage of the channel before.
func adsResult(bus i2cSession, address, channel uint16, full float64) (float64, error) {
	for {
		config, err := readWord(bus, address, 1)
		switch {
		case err != nil:
			return 0, err
		case config>>12&7 != channel:
			return 0, errForgot
		case config&0x8000 != 0:
			raw, err := readWord(bus, address, 0)
			return float64(int16(raw)) / (1 << 15) * full, err
		}
		time.Sleep(time.Second / 128 / 10)
	}
}

// readWord reads a register of two bytes.
func readWord(bus i2cSession, address uint16, register byte) (uint16, error) {
	var r [2]byte
	err := bus.Tx(address, []byte{register}, r[:])
	return binary.BigEndian.Uint16(r[:]), err
}

// shuntDrop is the voltage in V that an INA219 measures over its shunt.
const shuntDrop = 0.32

func (s *Sensor) shunt() float64 {
	if s.Shunt == 0 {
		return 0.1
	}
	return s.Shunt
}

// powerOf are the quantities of an INA219. A current at the end of the range may
// be any beyond it, and is none.
func powerOf(s *Sensor) []quantity {
	most := shuntDrop / s.shunt() * 0.999
	return []quantity{{"voltage", "V", 3, 0, 26.5}, {"current", "A", 4, -most, most}, {"power", "W", 3, 0, 26.5 * most}}
}

func openINA219(s *Sensor, p *session) (reader, error) {
	bus, address := i2cSession{p}, p.address
	dev, err := ina219.New(bus, &ina219.Opts{
		Address:       int(address),
		SenseResistor: physic.ElectricResistance(s.shunt() * float64(physic.Ohm)),
		MaxCurrent:    physic.ElectricCurrent(shuntDrop / s.shunt() * float64(physic.Ampere)),
	})
	if err != nil {
		return nil, err
	}
	return func() ([]float64, error) {
		m, err := dev.Sense()
		if err != nil {
			return nil, err
		}
		// Without its calibration the chip says that no current flows.
		switch calibration, err := readWord(bus, address, 5); {
		case err != nil:
			return nil, err
		case calibration == 0:
			return nil, errForgot
		}
		return []float64{
			float64(m.Voltage) / float64(physic.Volt),
			float64(m.Current) / float64(physic.Ampere),
			float64(m.Power) / float64(physic.Watt),
		}, nil
	}, nil
}

// checkAnalog checks what only converters and current sensors have.
func (s *Sensor) checkAnalog(wrong func(problem, hint string, path ...any)) {
	isADS := s.Kind == "ads1015" || s.Kind == "ads1115"
	if !isADS && len(s.Channels) > 0 {
		wrong("is for ads1015 and ads1115", "take it out", "channels")
	}
	if !isADS && s.Gain != "" {
		wrong("is for ads1015 and ads1115", "take it out", "gain")
	}
	if s.Kind != "ina219" && s.Shunt != 0 {
		wrong("is for ina219", "take it out", "shunt")
	}
	if isADS {
		seen := map[string]bool{}
		for i, c := range s.Channels {
			if _, ok := adsChannels[c]; !ok {
				wrong(fmt.Sprintf("there is no channel %.20q", c), "write 0 to 3, or one of 0-1, 0-3, 1-3 and 2-3", "channels", i)
			} else if seen[c] {
				wrong("stands here a second time", "take it out", "channels", i)
			}
			seen[c] = true
		}
		if _, ok := fullScale[s.Gain]; !ok && s.Gain != "" {
			wrong(fmt.Sprintf("there is no gain %.20q", s.Gain), "write one of 2/3 (6.144 V), 1 (4.096 V), 2, 4, 8, 16", "gain")
		}
	}
	if s.Shunt != 0 && (s.Shunt < 0.0001 || s.Shunt > 100) {
		wrong(fmt.Sprintf("%v ohm is out of range", s.Shunt), "write 0.0001 to 100, as it stands on the resistor: R100 is 0.1", "shunt")
	}
}
