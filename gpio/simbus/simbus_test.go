package simbus_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/onewire"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"

	"greengate/gpio/simbus"
)

// mild is a world that stays as it is.
func mild(quantity string) float64 {
	return map[string]float64{"temperature": 21.5, "humidity": 40, "pressure": 1013.25, "voltage0": 1, "voltage": 5, "current": 0.5}[quantity]
}

// What a chip does not know it does not acknowledge.
func TestStrict(t *testing.T) {
	b := simbus.NewI2C("test")
	chips := map[uint16]simbus.Chip{
		0x76: simbus.NewBME280(mild), 0x77: simbus.NewBMP180(mild), 0x48: simbus.NewADS1115(mild), 0x40: simbus.NewINA219(mild, 0.1),
		0x49: simbus.NewTMP102(mild), 0x18: simbus.NewMCP9808(mild), 0x23: simbus.NewBH1750(mild), 0x38: simbus.NewAHT20(mild),
		0x44: simbus.NewHDC302X(mild), 0x62: simbus.NewSCD4X(mild), 0x5C: simbus.NewAM2320(mild),
	}
	for address, c := range chips {
		b.Attach(address, c)
	}
	b.Tx(0x5C, []byte{0}, nil) // wakes it
	for address := range chips {
		for _, w := range [][]byte{{0xAB, 1, 2, 3, 4}, {0x99, 0x98, 0x97}} {
			err := b.Tx(address, w, nil)
			if err == nil || err.Error() != "sysfs-i2c: remote I/O error" {
				t.Errorf("the chip at 0x%02x takes %x: %v", address, w, err)
			}
		}
	}
	if err := b.Tx(0x10, []byte{0}, nil); err == nil {
		t.Error("nobody acknowledged at 0x10")
	}
	if err := b.Tx(0x80, nil, make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "invalid address") {
		t.Errorf("an address of 8 bits: %v", err)
	}
	b.Detach(0x48)
	if err := b.Tx(0x48, []byte{0}, make([]byte, 2)); err == nil {
		t.Error("a chip that was taken off the bus answers")
	}
	if err := b.SetSpeed(physic.MegaHertz); err == nil {
		t.Error("the speed of a Pi's bus cannot be set")
	}
}

// A measurement takes its time, and a chip without power forgets.
func TestBME280Forgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := simbus.NewBME280(mild)
		c.Reset()
		read := func(register byte, n int) []byte {
			r := make([]byte, n)
			if err := c.Tx([]byte{register}, r); err != nil {
				t.Fatal(err)
			}
			return r
		}
		nothing := []byte{0x80, 0, 0, 0x80, 0, 0, 0x80, 0}
		if got := read(0xF7, 8); !slices.Equal(got, nothing) {
			t.Errorf("after power-up it has %x", got)
		}
		if err := c.Tx([]byte{0xF2, 1, 0xF4, 1<<5 | 1<<2 | 1}, nil); err != nil {
			t.Fatal(err)
		}
		if s := read(0xF3, 1); s[0]&8 == 0 || !slices.Equal(read(0xF7, 8), nothing) {
			t.Error("it has measured at once")
		}
		time.Sleep(10 * time.Millisecond) // 9.3 ms (data sheet, 9.1)
		got := read(0xF7, 8)
		if s := read(0xF3, 1); s[0]&8 != 0 || slices.Equal(got, nothing) || read(0xF4, 1)[0]&3 != 0 {
			t.Errorf("after 10 ms it has %x, status %x", got, s)
		}
		c.Reset()
		if got := read(0xF7, 8); !slices.Equal(got, nothing) || read(0xF2, 1)[0] != 0 {
			t.Errorf("after another power-up it has %x", got)
		}
	})
}

// The slow clock of the converter: at 128 samples a second a result is there
// after 8.6 ms, and until then that of the conversion before.
func TestConverterIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := simbus.NewADS1115(mild)
		c.Reset()
		word := func(register byte) uint16 {
			r := make([]byte, 2)
			if err := c.Tx([]byte{register}, r); err != nil {
				t.Fatal(err)
			}
			return binary.BigEndian.Uint16(r)
		}
		if err := c.Tx([]byte{1, 0xC3, 0x83}, nil); err != nil { // channel 0, 4.096 V
			t.Fatal(err)
		}
		time.Sleep(time.Second / 128)
		if word(1)&0x8000 != 0 || word(0) != 0 {
			t.Error("it is done after the nominal time")
		}
		time.Sleep(time.Millisecond)
		if word(1)&0x8000 == 0 || word(0) != 8000 {
			t.Errorf("1 V is %d", word(0))
		}
	})
}

func TestSPIPort(t *testing.T) {
	p := simbus.NewSPI("test")
	port := p.Open()
	c, err := port.Connect(physic.MegaHertz, spi.Mode3, 8)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := port.Connect(physic.MegaHertz, spi.Mode3, 8); err == nil {
		t.Error("it was connected twice")
	}
	r := make([]byte, 2)
	if err := c.Tx([]byte{0xD0, 0}, r); err != nil || r[1] != 0xFF {
		t.Errorf("nobody answers %x, %v", r, err)
	}
	p.Attach(simbus.NewBMP280(mild))
	if err := c.Tx([]byte{0xD0, 0}, r); err != nil || r[1] != 0x58 {
		t.Errorf("the chip answers %x, %v", r, err)
	}
	if err := c.Tx([]byte{0xD0, 0}, r[:1]); err == nil {
		t.Error("it reads another number of bytes than it writes")
	}
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Tx([]byte{0xD0, 0}, r); err == nil {
		t.Error("it works when it is closed")
	}
}

func TestOneWireBus(t *testing.T) {
	b := simbus.NewOneWire("test")
	pad := make([]byte, 9)
	if err := b.Tx([]byte{0xCC, 0xBE}, pad, onewire.WeakPullup); err == nil || !strings.Contains(err.Error(), "status 255") {
		t.Errorf("an empty bus: %v", err)
	}
	a := simbus.Address(0x28, 0x55A)
	chip := simbus.NewThermometer(mild, 0x28)
	b.Attach(a, chip)
	if all, err := b.Search(false); err != nil || !slices.Equal(all, []onewire.Address{a}) {
		t.Errorf("found %x, %v", all, err)
	}
	d := onewire.Dev{Bus: b, Addr: a}
	read := func() int16 {
		t.Helper()
		if err := d.Tx([]byte{0xBE}, pad); err != nil {
			t.Fatal(err)
		}
		return int16(binary.LittleEndian.Uint16(pad))
	}
	if raw := read(); raw != 85*16 || !onewire.CheckCRC(pad) {
		t.Errorf("after power-up it has %d, %x", raw, pad)
	}
	chip.BadCRC(true)
	if read(); onewire.CheckCRC(pad) {
		t.Errorf("the checksum of %x is good", pad)
	}
	other := onewire.Dev{Bus: b, Addr: simbus.Address(0x28, 1)}
	if err := other.Tx([]byte{0xBE}, pad); err != nil || pad[0] != 0xFF || pad[8] != 0xFF {
		t.Errorf("one that is not there answers %x, %v", pad, err)
	}
}

func TestTrouble(t *testing.T) {
	b := simbus.NewI2C("test")
	b.Attach(0x48, simbus.NewTMP102(mild))
	read := func() error { return b.Tx(0x48, []byte{0}, make([]byte, 2)) }
	down := errors.New("connection timed out")
	b.Fail(down)
	if err := read(); err != down {
		t.Errorf("a bus that fails: %v", err)
	}
	b.Fail(nil)
	release := b.Hang()
	done := make(chan error)
	go func() { done <- read() }()
	select {
	case <-done:
		t.Error("a bus that hangs comes back")
	case <-time.After(50 * time.Millisecond):
	}
	release()
	if err := <-done; err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// The weather changes, and is within what it may be.
func TestWeather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := simbus.Weather("room")
		low, high := w("temperature"), w("temperature")
		for range 300 {
			time.Sleep(time.Second)
			v := w("temperature")
			low, high = min(low, v), max(high, v)
		}
		if low < 18.9 || high > 23.1 || high-low < 3 {
			t.Errorf("%v to %v °C", low, high)
		}
	})
}
