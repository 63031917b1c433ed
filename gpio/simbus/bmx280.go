package simbus

import (
	"encoding/binary"
	"math"
	"time"
)

// BMX280 is a Bosch BME280 or BMP280, on I2C or SPI.
type BMX280 struct {
	world    World
	humid    bool // a BME280
	regs     [256]byte
	pointer  byte
	humidity byte      // ctrl_hum as it is in force: from the next ctrl_meas on
	ready    time.Time // when the measurement that is on ends
	busy     bool
}

// The calibration of a chip: the example of the BMP280's data sheet, table 16,
// and that of a BME280 for the humidity.
var cal280 = struct {
	t1     uint16
	t2, t3 int16
	p1     uint16
	p      [8]int16 // p2 to p9
	h1     uint8
	h2     int16
	h3     uint8
	h4, h5 int16
	h6     int8
}{27504, 26435, -1000, 36477, [8]int16{-10685, 3024, 2855, 140, -7, 15500, -14600, 6000}, 75, 370, 0, 313, 50, 30}

// NewBME280 makes a chip that measures temperature, pressure and humidity.
func NewBME280(w World) *BMX280 { return &BMX280{world: w, humid: true} }

// NewBMP280 makes a chip that measures temperature and pressure.
func NewBMP280(w World) *BMX280 { return &BMX280{world: w} }

// Reset is power-up: no measurement has been made, and none is set up.
func (c *BMX280) Reset() {
	c.regs, c.pointer, c.humidity, c.busy = [256]byte{}, 0, 0, false
	c.regs[0xD0] = 0x58
	if c.humid {
		c.regs[0xD0] = 0x60
		h := cal280
		c.regs[0xA1] = h.h1
		binary.LittleEndian.PutUint16(c.regs[0xE1:], uint16(h.h2))
		c.regs[0xE3] = h.h3
		c.regs[0xE4] = byte(h.h4 >> 4)
		c.regs[0xE5] = byte(h.h4&0xF) | byte(h.h5&0xF)<<4
		c.regs[0xE6] = byte(h.h5 >> 4)
		c.regs[0xE7] = byte(h.h6)
	}
	for i, v := range append([]int16{int16(cal280.t1), cal280.t2, cal280.t3, asInt16(cal280.p1)}, cal280.p[:]...) {
		binary.LittleEndian.PutUint16(c.regs[0x88+2*i:], uint16(v))
	}
	c.put(0x80000, 0x80000, 0x8000)
}

func asInt16(u uint16) int16 { return int16(u) }

// put stores raw values; those of what was not measured are 0x80000 and 0x8000.
func (c *BMX280) put(pressure, temperature, humidity int) {
	for i, v := range []int{pressure, temperature} {
		c.regs[0xF7+3*i], c.regs[0xF8+3*i], c.regs[0xF9+3*i] = byte(v>>12), byte(v>>4), byte(v<<4)
	}
	if c.humid {
		binary.BigEndian.PutUint16(c.regs[0xFD:], uint16(humidity))
	}
}

// Tx is a transfer over I2C: pairs of register and value are written, or a
// register is chosen from which reading goes on.
func (c *BMX280) Tx(w, r []byte) error {
	if len(r) == 0 {
		if len(w)%2 != 0 {
			return errNACK
		}
		for i := 0; i < len(w); i += 2 {
			if !c.write(w[i], w[i+1]) {
				return errNACK
			}
		}
		return nil
	}
	if len(w) > 1 {
		return errNACK
	}
	if len(w) == 1 {
		c.pointer = w[0]
	}
	c.read(c.pointer, r)
	return nil
}

// Transfer is one over SPI: bit 7 of the register says that it is read.
func (c *BMX280) Transfer(w []byte) []byte {
	r := make([]byte, len(w))
	if w[0]&0x80 != 0 {
		c.read(w[0], r[1:])
		return r
	}
	for i := 0; i+1 < len(w); i += 2 {
		c.write(w[i]|0x80, w[i+1])
	}
	return r
}

func (c *BMX280) read(register byte, r []byte) {
	c.measure()
	for i := range r {
		r[i] = c.regs[register+byte(i)]
	}
}

// write stores a value, and tells whether there is such a register.
func (c *BMX280) write(register, value byte) bool {
	switch {
	case register == 0xE0 && value == 0xB6:
		c.Reset()
	case register == 0xF2 && c.humid, register == 0xF5:
		c.regs[register] = value
	case register == 0xF4:
		c.regs[register] = value
		c.humidity = c.regs[0xF2] & 7
		if mode := value & 3; mode == 1 || mode == 2 {
			c.busy, c.ready = true, time.Now().Add(c.duration())
		}
	default:
		return false
	}
	return true
}

// duration is the longest that a measurement takes (BME280 data sheet, 9.1).
func (c *BMX280) duration() time.Duration {
	ms := 1.25
	for i, setting := range []byte{c.regs[0xF4] >> 5, c.regs[0xF4] >> 2 & 7, c.humidity} {
		if setting == 0 {
			continue
		}
		ms += 2.3 * float64(int(1)<<min(setting-1, 4))
		if i > 0 {
			ms += 0.575
		}
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// measure brings the registers up to now.
func (c *BMX280) measure() {
	c.regs[0xF3] = 0
	if !c.busy {
		return
	}
	if time.Now().Before(c.ready) {
		c.regs[0xF3] = 8
		return
	}
	c.busy = false
	c.regs[0xF4] &^= 3 // forced mode ends in sleep
	pressure, temperature, humidity := 0x80000, 0x80000, 0x8000
	if c.regs[0xF4]>>5 != 0 {
		temperature = search(1<<20, c.world("temperature"), func(raw float64) float64 { return fine280(raw) / 5120 })
	}
	fine := fine280(float64(temperature))
	if c.regs[0xF4]>>2&7 != 0 {
		pressure = search(1<<20, -c.world("pressure"), func(raw float64) float64 { return -pressure280(raw, fine) / 100 })
	}
	if c.humidity != 0 {
		humidity = search(1<<16, c.world("humidity"), func(raw float64) float64 { return humidity280(raw, fine) })
	}
	c.put(pressure, temperature, humidity)
}

// search finds the raw value below limit at which a rising function has that value.
func search(limit int, value float64, f func(raw float64) float64) int {
	low, high := 0, limit-1
	for low < high {
		if mid := (low + high) / 2; f(float64(mid)) < value {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// The formulas of the data sheet with floating point (BME280, 8.1), while the
// driver has those with integers: each checks the other.

func fine280(raw float64) float64 {
	t1, t2, t3 := float64(cal280.t1), float64(cal280.t2), float64(cal280.t3)
	d := raw/131072 - t1/8192
	return (raw/16384-t1/1024)*t2 + d*d*t3
}

func pressure280(raw, fine float64) float64 {
	p := cal280.p // p[0] is dig_P2
	v := fine/2 - 64000
	w := v*v*float64(p[4])/32768 + v*float64(p[3])*2
	w = w/4 + float64(p[2])*65536
	v = (float64(p[1])*v*v/524288 + float64(p[0])*v) / 524288
	v = (1 + v/32768) * float64(cal280.p1)
	x := (1048576 - raw - w/4096) * 6250 / v
	return x + (float64(p[7])*x*x/2147483648+x*float64(p[6])/32768+float64(p[5]))/16
}

func humidity280(raw, fine float64) float64 {
	c := cal280
	v := fine - 76800
	v = (raw - (float64(c.h4)*64 + float64(c.h5)/16384*v)) *
		(float64(c.h2) / 65536 * (1 + float64(c.h6)/67108864*v*(1+float64(c.h3)/67108864*v)))
	return math.Max(0, math.Min(100, v*(1-float64(c.h1)*v/524288)))
}
