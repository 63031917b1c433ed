package simbus

import (
	"encoding/binary"
	"math"
	"time"
)

// TMP102 is a Texas Instruments TMP102.
type TMP102 struct {
	world   World
	pointer byte
	regs    [4]uint16
}

// NewTMP102 makes a thermometer.
func NewTMP102(w World) *TMP102 { return &TMP102{world: w} }

// Reset is power-up.
func (c *TMP102) Reset() { c.pointer, c.regs = 0, [4]uint16{0, 0x60A0, 0x4B00, 0x5000} }

// Tx is one transfer.
func (c *TMP102) Tx(w, r []byte) error {
	if len(w) > 0 {
		if w[0] > 3 {
			return errNACK
		}
		c.pointer = w[0]
	}
	switch {
	case len(w) == 3 && c.pointer > 0:
		c.regs[c.pointer] = binary.BigEndian.Uint16(w[1:])
	case len(w) > 1:
		return errNACK
	}
	c.regs[0] = uint16(int16(math.Round(c.world("temperature")/0.0625))) << 4
	put16(r, c.regs[c.pointer])
	return nil
}

// put16 gives a register of two bytes, again and again.
func put16(r []byte, value uint16) {
	for i := range r {
		r[i] = byte(value >> (8 * (1 - i%2)))
	}
}

// MCP9808 is a Microchip MCP9808.
type MCP9808 struct {
	world   World
	pointer byte
	regs    [9]uint16
}

// NewMCP9808 makes a thermometer.
func NewMCP9808(w World) *MCP9808 { return &MCP9808{world: w} }

// Reset is power-up.
func (c *MCP9808) Reset() { c.pointer, c.regs = 0, [9]uint16{6: 0x0054, 7: 0x0400, 8: 3} }

// Tx is one transfer.
func (c *MCP9808) Tx(w, r []byte) error {
	if len(w) > 0 {
		if w[0] < 1 || w[0] > 8 {
			return errNACK
		}
		c.pointer = w[0]
	}
	switch {
	case len(w) == 2 && c.pointer == 8:
		c.regs[8] = uint16(w[1])
	case len(w) == 3 && c.pointer < 5:
		c.regs[c.pointer] = binary.BigEndian.Uint16(w[1:])
	case len(w) > 1:
		return errNACK
	}
	if c.regs[1]&0x0100 == 0 { // not shut down
		c.regs[5] = uint16(int16(math.Round(c.world("temperature")*16))) & 0x1FFF
	}
	if c.pointer == 8 {
		put16(r, c.regs[8]<<8|c.regs[8])
		return nil
	}
	put16(r, c.regs[c.pointer])
	return nil
}

// BH1750 is a Rohm BH1750 light sensor.
type BH1750 struct {
	world  World
	ready  time.Time
	busy   bool
	result uint16
}

// NewBH1750 makes a light sensor.
func NewBH1750(w World) *BH1750 { return &BH1750{world: w} }

// Reset is power-up.
func (c *BH1750) Reset() { c.busy, c.result = false, 0 }

// Tx is one transfer.
func (c *BH1750) Tx(w, r []byte) error {
	if c.busy && !time.Now().Before(c.ready) {
		c.busy, c.result = false, uint16(math.Max(0, math.Min(65535, c.world("illuminance")*1.2)))
	}
	if len(w) > 1 {
		return errNACK
	}
	if len(w) == 1 {
		switch w[0] {
		case 0x00, 0x01:
		case 0x07:
			c.result = 0
		case 0x10, 0x11, 0x20, 0x21: // the longest that it may take
			c.busy, c.ready = true, time.Now().Add(180*time.Millisecond)
		case 0x13, 0x23:
			c.busy, c.ready = true, time.Now().Add(24*time.Millisecond)
		default:
			return errNACK
		}
	}
	put16(r, c.result)
	return nil
}
