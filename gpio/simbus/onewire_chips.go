package simbus

import (
	"math"
	"sync"
	"time"

	"periph.io/x/conn/v3/onewire"
)

// Thermometer is a 1-wire thermometer: a DS18B20 (family 28), DS18S20 (10),
// DS1822 (22), DS1825 (3b), DS28EA00 (42) or MAX31850 (3b).
type Thermometer struct {
	world  World
	family byte
	couple bool // a MAX31850

	mu      sync.Mutex
	pad     [8]byte
	eeprom  [3]byte // alarm high, alarm low, configuration
	ready   time.Time
	busy    bool
	badCRC  bool
	starved bool // too little power for a conversion
	open    bool // of a MAX31850: no thermocouple is connected
}

// NewThermometer makes a thermometer of that family.
func NewThermometer(w World, family byte) *Thermometer {
	return &Thermometer{world: w, family: family, eeprom: [3]byte{75, 70, 0x7F}}
}

// NewMAX31850 makes a thermocouple converter.
func NewMAX31850(w World) *Thermometer {
	return &Thermometer{world: w, family: 0x3B, couple: true, eeprom: [3]byte{0xFF, 0xFF, 0xF0}}
}

// BadCRC lets its answers have a wrong checksum.
func (c *Thermometer) BadCRC(bad bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.badCRC = bad
}

// Starve takes away the power that a conversion needs: it answers with the 85 °C
// that it has after power-up.
func (c *Thermometer) Starve(starved bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.starved = starved
	c.reset()
}

// OpenCouple takes the thermocouple off a MAX31850.
func (c *Thermometer) OpenCouple(open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = open
}

// Reset is power-up: 85 °C, which no conversion gave.
func (c *Thermometer) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reset()
}

func (c *Thermometer) reset() {
	c.busy = false
	c.pad = [8]byte{0x50, 0x05, c.eeprom[0], c.eeprom[1], c.eeprom[2], 0xFF, 0x0C, 0x10}
	switch {
	case c.couple:
		c.pad = [8]byte{0, 0, 0, 0, c.eeprom[2], 0xFF, 0xFF, 0xFF}
	case c.family == 0x10:
		c.pad[0], c.pad[1], c.pad[4] = 0xAA, 0x00, 0xFF
	}
}

// Command carries out a function command (DS18B20 data sheet, table 3).
func (c *Thermometer) Command(w, r []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy && !time.Now().Before(c.ready) {
		c.busy = false
		if !c.starved {
			c.convert()
		}
	}
	switch w[0] {
	case 0x44: // convert T
		c.busy, c.ready = true, time.Now().Add(c.duration())
	case 0x4E: // write scratchpad
		if !c.couple && len(w) == 4 {
			c.pad[2], c.pad[3], c.pad[4] = w[1], w[2], w[3]&0x60|0x1F
		}
	case 0x48: // copy scratchpad
		c.eeprom = [3]byte(c.pad[2:5])
	case 0xBE: // read scratchpad
		crc := onewire.CalcCRC(c.pad[:])
		if c.badCRC {
			crc ^= 0x55
		}
		copy(r, append(c.pad[:], crc))
	}
}

func (c *Thermometer) duration() time.Duration {
	switch {
	case c.couple:
		return 100 * time.Millisecond
	case c.family == 0x10:
		return 750 * time.Millisecond
	}
	return 750 * time.Millisecond >> (3 - c.pad[4]>>5&3)
}

// convert puts the temperature of the world into the scratchpad.
func (c *Thermometer) convert() {
	t := c.world("temperature")
	var raw int16
	switch {
	case c.couple:
		raw = int16(math.Round(t*4)) << 2
		if c.open {
			raw = 1
			c.pad[2] = 1
		} else {
			c.pad[2] = 0
		}
	case c.family == 0x10: // half degrees, and what remains of 16 steps
		steps := int16(math.Round(t*16)) + 4 // the datasheet's 0.25 °C
		raw = steps >> 4 << 1
		c.pad[6], c.pad[7] = byte(16-steps&15), 16
	default:
		raw = int16(math.Round(t*16)) &^ (1<<(3-c.pad[4]>>5&3) - 1)
	}
	c.pad[0], c.pad[1] = byte(raw), byte(raw>>8)
}
