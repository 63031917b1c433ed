package simbus

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

// ADS1X15 is a Texas Instruments ADS1015 or ADS1115.
type ADS1X15 struct {
	world   World
	bits    int // of the result
	rates   [8]int
	pointer byte
	config  uint16
	result  int16
	ready   time.Time
	busy    bool
}

// NewADS1015 makes a converter of 12 bits.
func NewADS1015(w World) *ADS1X15 {
	return &ADS1X15{world: w, bits: 12, rates: [8]int{128, 250, 490, 920, 1600, 2400, 3300, 3300}}
}

// NewADS1115 makes a converter of 16 bits.
func NewADS1115(w World) *ADS1X15 {
	return &ADS1X15{world: w, bits: 16, rates: [8]int{8, 16, 32, 64, 128, 250, 475, 860}}
}

// Reset is power-up.
func (c *ADS1X15) Reset() { c.pointer, c.config, c.result, c.busy = 0, 0x8583, 0, false }

// Tx is one transfer.
func (c *ADS1X15) Tx(w, r []byte) error {
	if len(w) > 0 {
		if w[0] > 3 {
			return errNACK
		}
		c.pointer = w[0]
	}
	c.convert()
	switch {
	case len(w) == 3 && c.pointer == 1:
		c.config = binary.BigEndian.Uint16(w[1:])
		if c.config&0x8000 != 0 {
			// The clock of a chip may be a tenth slower than it says (data sheet,
			// 7.5); this one is.
			c.busy = true
			c.ready = time.Now().Add(time.Second * 11 / 10 / time.Duration(c.rates[c.config>>5&7]))
		}
	case len(w) == 3 && c.pointer > 1:
	case len(w) > 1:
		return errNACK
	}
	if len(r) == 0 {
		return nil
	}
	var value uint16
	switch c.pointer {
	case 0:
		value = uint16(c.result)
	case 1:
		value = c.config | 0x8000
		if c.busy {
			value &^= 0x8000
		}
	}
	for i := range r {
		r[i] = byte(value >> (8 * (1 - i%2)))
	}
	return nil
}

// convert ends the conversion whose time is over.
func (c *ADS1X15) convert() {
	if !c.busy || time.Now().Before(c.ready) {
		return
	}
	c.busy = false
	pin := func(n uint16) float64 { return c.world("voltage" + strconv.Itoa(int(n))) }
	mux := c.config >> 12 & 7
	var v float64
	switch {
	case mux >= 4:
		v = pin(mux - 4)
	case mux == 0:
		v = pin(0) - pin(1)
	default:
		v = pin(mux-1) - pin(3)
	}
	full := [8]float64{6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256}[c.config>>9&7]
	steps := math.Round(v / full * float64(int(1)<<(c.bits-1)))
	limit := float64(int(1) << (c.bits - 1))
	c.result = int16(int(math.Max(-limit, math.Min(limit-1, steps))) << (16 - c.bits))
}

// INA219 is a Texas Instruments INA219 with a shunt resistor.
type INA219 struct {
	world   World
	shunt   float64 // in ohm
	pointer byte
	config  uint16
	cal     uint16
}

// NewINA219 makes a current sensor over a shunt in ohm.
func NewINA219(w World, shunt float64) *INA219 { return &INA219{world: w, shunt: shunt} }

// Reset is power-up: the chip has no calibration and computes no current.
func (c *INA219) Reset() { c.pointer, c.config, c.cal = 0, 0x399F, 0 }

// Tx is one transfer.
func (c *INA219) Tx(w, r []byte) error {
	if len(w) > 0 {
		if w[0] > 5 {
			return errNACK
		}
		c.pointer = w[0]
	}
	if len(w) == 3 {
		value := binary.BigEndian.Uint16(w[1:])
		switch c.pointer {
		case 0:
			c.config = value
		case 5:
			c.cal = value &^ 1 // bit 0 is always 0
		default:
			return errNACK
		}
	} else if len(w) > 1 {
		return errNACK
	}
	value := c.register()
	for i := range r {
		r[i] = byte(value >> (8 * (1 - i%2)))
	}
	return nil
}

func (c *INA219) register() uint16 {
	volts, amps := c.world("voltage"), c.world("current")
	drop := math.Round(amps * c.shunt / 10e-6)
	drop = math.Max(-32000, math.Min(32000, drop))
	current := drop * float64(c.cal) / 4096
	bus := math.Round(volts / 4e-3)
	switch c.pointer {
	case 0:
		return c.config
	case 1:
		return uint16(int16(drop))
	case 2:
		return uint16(bus)<<3 | 2 // a conversion is there
	case 3:
		return uint16(math.Abs(current) * bus / 5000)
	case 4:
		return uint16(int16(current))
	}
	return c.cal
}
