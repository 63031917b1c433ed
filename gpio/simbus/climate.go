package simbus

import (
	"math"
	"time"
)

// crc8 is the checksum of Sensirion's words, which others use, too: polynomial
// 0x31, beginning with 0xFF.
func crc8(b []byte) byte {
	crc := byte(0xFF)
	for _, v := range b {
		crc ^= v
		for range 8 {
			top := crc & 0x80
			crc <<= 1
			if top != 0 {
				crc ^= 0x31
			}
		}
	}
	return crc
}

// words writes words with their checksums.
func words(r []byte, values ...uint16) {
	for i, v := range values {
		b := []byte{byte(v >> 8), byte(v)}
		copy(r[min(3*i, len(r)):], append(b, crc8(b)))
	}
}

// part returns that part of 65535.
func part(v float64) uint16 { return uint16(math.Round(math.Max(0, math.Min(1, v)) * 65535)) }

// AHT20 is an Aosong AHT20 (and the AHT21, which is the same to a driver).
type AHT20 struct {
	world   World
	enabled bool
	ready   time.Time
	data    [7]byte
}

// NewAHT20 makes a sensor of temperature and humidity.
func NewAHT20(w World) *AHT20 { return &AHT20{world: w} }

// Reset is power-up.
func (c *AHT20) Reset() { c.enabled, c.ready, c.data = false, time.Time{}, [7]byte{} }

// Tx is one transfer.
func (c *AHT20) Tx(w, r []byte) error {
	now := time.Now()
	switch {
	case len(w) == 0:
	case w[0] == 0x71 && len(w) == 1:
	case w[0] == 0xBE && len(w) == 3:
		c.enabled = true
	case w[0] == 0xAC && len(w) == 3:
		c.ready = now.Add(75 * time.Millisecond)
		h := uint32(c.world("humidity") / 100 * (1 << 20))
		t := uint32((c.world("temperature") + 50) / 200 * (1 << 20))
		c.data = [7]byte{0, byte(h >> 12), byte(h >> 4), byte(h<<4) | byte(t>>16), byte(t >> 8), byte(t)}
	case w[0] == 0xBA && len(w) == 1:
		c.Reset()
	default:
		return errNACK
	}
	c.data[0] = 0x10
	if c.enabled {
		c.data[0] |= 0x08
	}
	if now.Before(c.ready) {
		c.data[0] |= 0x80
	}
	c.data[6] = crc8(c.data[:6])
	copy(r, c.data[:])
	return nil
}

// HDC302X is a Texas Instruments HDC3020, HDC3021 or HDC3022.
type HDC302X struct {
	world World
	every time.Duration // 0: it does not measure
	next  time.Time
}

// NewHDC302X makes a sensor of temperature and humidity.
func NewHDC302X(w World) *HDC302X { return &HDC302X{world: w} }

// Reset is power-up.
func (c *HDC302X) Reset() { c.every = 0 }

// Tx is one transfer.
func (c *HDC302X) Tx(w, r []byte) error {
	if len(w) != 2 {
		return errNACK
	}
	rate, measure := map[byte]time.Duration{
		0x20: 2 * time.Second, 0x21: time.Second, 0x22: time.Second / 2, 0x23: time.Second / 4, 0x27: time.Second / 10,
	}[w[0]]
	switch {
	case w[0] == 0x30 && w[1] == 0x93: // stop
		c.every = 0
	case measure:
		if c.every != 0 {
			return errNACK // it measures already
		}
		c.every, c.next = rate, time.Now().Add(rate)
	case w[0] == 0xE0 && w[1] == 0:
		if c.every == 0 || time.Now().Before(c.next) {
			return errNACK // there is nothing new
		}
		for c.next = c.next.Add(c.every); !time.Now().Before(c.next); {
			c.next = c.next.Add(c.every)
		}
		words(r, part((c.world("temperature")+45)/175), part(c.world("humidity")/100))
	default:
		return errNACK
	}
	return nil
}

// SCD4X is a Sensirion SCD40 or SCD41.
type SCD4X struct {
	world     World
	measuring bool
	next      time.Time
}

// NewSCD4X makes a sensor of carbon dioxide, temperature and humidity.
func NewSCD4X(w World) *SCD4X { return &SCD4X{world: w} }

// Reset is power-up.
func (c *SCD4X) Reset() { c.measuring = false }

// Tx is one transfer.
func (c *SCD4X) Tx(w, r []byte) error {
	if len(w) != 2 {
		return errNACK
	}
	ready := c.measuring && !time.Now().Before(c.next)
	switch command := uint16(w[0])<<8 | uint16(w[1]); {
	case command == 0x21B1 && !c.measuring:
		c.measuring, c.next = true, time.Now().Add(5*time.Second)
	case command == 0x3F86:
		c.measuring = false
	case command == 0xE4B8:
		words(r, map[bool]uint16{true: 0x8006, false: 0x8000}[ready])
	case command == 0xEC05 && ready:
		c.next = time.Now().Add(5 * time.Second)
		words(r, uint16(c.world("co2")), part((c.world("temperature")+45)/175), part(c.world("humidity")/100))
	default: // 0x36F6, wake up, is never acknowledged
		return errNACK
	}
	return nil
}

// AM2320 is an Aosong AM2320. It sleeps, and does not acknowledge what wakes it.
type AM2320 struct {
	world World
	awake time.Time // until when
}

// NewAM2320 makes a sensor of temperature and humidity.
func NewAM2320(w World) *AM2320 { return &AM2320{world: w} }

// Reset is power-up.
func (c *AM2320) Reset() { c.awake = time.Time{} }

// Tx is one transfer.
func (c *AM2320) Tx(w, r []byte) error {
	now := time.Now()
	if !now.Before(c.awake) {
		c.awake = now.Add(3 * time.Second)
		return errNACK
	}
	if len(r) == 0 && len(w) == 1 && w[0] == 0 {
		return nil
	}
	if len(w) != 3 || w[0] != 3 || w[1] != 0 || w[2] != 4 || len(r) != 8 {
		return errNACK
	}
	h, t := uint16(math.Round(c.world("humidity")*10)), c.world("temperature")
	raw := uint16(math.Round(math.Abs(t) * 10))
	if t < 0 {
		raw |= 0x8000 // a sign, not a complement
	}
	answer := []byte{3, 4, byte(h >> 8), byte(h), byte(raw >> 8), byte(raw)}
	crc := crc16(answer)
	copy(r, append(answer, byte(crc), byte(crc>>8)))
	return nil
}

// crc16 is the checksum of Modbus.
func crc16(b []byte) uint16 {
	crc := uint16(0xFFFF)
	for _, v := range b {
		crc ^= uint16(v)
		for range 8 {
			low := crc & 1
			crc >>= 1
			if low != 0 {
				crc ^= 0xA001
			}
		}
	}
	return crc
}
