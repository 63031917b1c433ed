package simbus

import (
	"encoding/binary"
	"time"
)

// BMP180 is a Bosch BMP180 on I2C. Its calibration is the example of the data
// sheet (figure 4).
type BMP180 struct {
	world   World
	pointer byte
	command byte // what is being measured; 0: nothing
	ready   time.Time
	out     [3]byte
}

var cal180 = [11]int{408, -72, -14383, 32741, 32757, 23153, 6190, 4, -32768, -8711, 2868}

// lowest180 is the raw temperature from which on the formula rises: that of about
// -80 °C.
const lowest180 = 22000

// NewBMP180 makes a chip that measures temperature and pressure.
func NewBMP180(w World) *BMP180 { return &BMP180{world: w} }

// Reset is power-up.
func (c *BMP180) Reset() { c.pointer, c.command, c.out = 0, 0, [3]byte{0x80} }

// Tx is one transfer.
func (c *BMP180) Tx(w, r []byte) error {
	switch {
	case len(r) == 0 && len(w) == 2 && w[0] == 0xF4:
		c.command, c.ready = w[1], time.Now().Add(conversion180(w[1]))
		return nil
	case len(r) == 0 || len(w) > 1:
		return errNACK
	case len(w) == 1:
		c.pointer = w[0]
	}
	c.measure()
	for i := range r {
		r[i] = c.register(c.pointer + byte(i))
	}
	return nil
}

func conversion180(command byte) time.Duration {
	if command == 0x2E {
		return 4500 * time.Microsecond
	}
	return [4]time.Duration{4500, 7500, 13500, 25500}[command>>6] * time.Microsecond
}

func (c *BMP180) register(n byte) byte {
	switch {
	case n == 0xD0:
		return 0x55
	case n >= 0xAA && n <= 0xBF:
		var two [2]byte
		binary.BigEndian.PutUint16(two[:], uint16(cal180[(n-0xAA)/2]))
		return two[n%2]
	case n >= 0xF6 && n <= 0xF8:
		return c.out[n-0xF6]
	}
	return 0
}

func (c *BMP180) measure() {
	if c.command == 0 || time.Now().Before(c.ready) {
		return
	}
	raw := lowest180 + search(1<<16-lowest180, c.world("temperature")*10, func(raw float64) float64 { return float64(b5of180(raw+lowest180)+8) / 16 })
	if c.command == 0x2E {
		c.out = [3]byte{byte(raw >> 8), byte(raw)}
	} else {
		setting := c.command >> 6
		b5 := b5of180(float64(raw))
		up := search(1<<(16+setting), c.world("pressure")*100, func(raw float64) float64 { return pressure180(int(raw), b5, setting) })
		up <<= 8 - setting
		c.out = [3]byte{byte(up >> 16), byte(up >> 8), byte(up)}
	}
	c.command = 0
}

// The formulas of the data sheet, figure 4.

func b5of180(raw float64) int {
	ac5, ac6, mc, md := cal180[4], cal180[5], cal180[9], cal180[10]
	x1 := (int(raw) - ac6) * ac5 >> 15
	if x1+md == 0 {
		return 0
	}
	return x1 + mc<<11/(x1+md)
}

func pressure180(up, b5 int, setting byte) float64 {
	ac1, ac2, ac3, ac4, b1, b2 := cal180[0], cal180[1], cal180[2], cal180[3], cal180[6], cal180[7]
	b6 := b5 - 4000
	x1 := b2 * (b6 * b6 >> 12) >> 11
	x3 := x1 + ac2*b6>>11
	b3 := ((ac1*4+x3)<<setting + 2) / 4
	x1, x2 := ac3*b6>>13, b1*(b6*b6>>12)>>16
	b4 := ac4 * ((x1+x2+2)>>2 + 32768) >> 15
	b7 := float64(up-b3) * float64(int(50000)>>setting)
	p := int(b7 * 2 / float64(b4))
	x1 = (p >> 8) * (p >> 8) * 3038 >> 16
	return float64(p + (x1+(-7357*p>>16)+3791)>>4)
}
