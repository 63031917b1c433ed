package gpio

import (
	"errors"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"greengate/gpio/simbus"
)

// A BMP280 is often sold as a BME280.
func TestOtherChip(t *testing.T) {
	for _, c := range []struct {
		kind    string
		address uint16
		text    string
	}{
		{"bme280", 0x76, "the chip is a BMP280: write `kind: bmp280`"},
		{"mcp9808", 0x18, "the chip is no MCP9808"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStation(t, aSensor(c.kind))
				st.wires.i2c[1].Attach(c.address, simbus.NewBMP280(st.measure))
				st.run(t, func() { wantSensorFault(t, st, c.text) })
			})
		})
	}
}

// An HDC302x goes on measuring when the gateway is killed, and takes no command
// but to stop.
func TestStillMeasuring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStation(t, aSensor("hdc302x"))
		if err := st.wires.i2c[1].Tx(0x44, []byte{0x20, 0x32}, nil); err != nil {
			t.Fatal(err)
		}
		st.run(t, func() {
			time.Sleep(4500 * time.Millisecond)
			if s := st.List()[0]; len(st.taken()) < 4 || s.Errors != 0 {
				t.Errorf("listed as %+v", s)
			}
		})
	})
}

// SPI does not tell that the chip has gone, and its driver would ask for ever.
func TestSPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := aSensor("bme280")
		s.Bus = "spi0.1"
		st := newStation(t, s)
		port := st.wires.spi[busID{busSPI, 0, 1}]
		st.run(t, func() {
			time.Sleep(2500 * time.Millisecond)
			posts := st.taken()
			if len(posts) != 3 || !near(posts[2].body["temperature"].(float64), 21.5, 0.02) || !near(posts[2].body["humidity"].(float64), 40, 0.1) {
				t.Errorf("published %v; %v", posts, st.Faults())
			}
			port.Detach()
			wantSensorFault(t, st, "0xff", "look at the wiring of spi0.1")
			if s := st.List()[0]; s.Pin != "bme280 spi0.1" {
				t.Errorf("listed as %+v", s)
			}
			port.Attach(simbus.NewBME280(st.measure))
			mended(t, st)
		})
	})
}

// A converter has several inputs, and one sensor or several in the file. The
// clock of the simulated one is a tenth slower than its driver believes.
func TestConverter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, one := aSensor("ads1115"), aSensor("ads1115")
		all.Channels, all.Gain = []string{"0", "1", "0-1", "2-3"}, "1"
		one.Name, one.Channels, one.Gain, one.Unit, one.Scale, one.Offset = "tank", []string{"2"}, "8", "l", 400, -20
		st := newStation(t, all, one)
		st.run(t, func() {
			time.Sleep(1500 * time.Millisecond)
			want := map[string]map[string]float64{
				all.Name: {"a0": 1.25, "a1": 0.5, "a0-1": 0.75, "a2-3": -2.75},
				"tank":   {"a2": 80},
			}
			posts := st.taken()
			if len(posts) != 4 {
				t.Errorf("published %d times: %v", len(posts), st.Faults())
			}
			for _, p := range posts {
				for q, v := range want[p.body["name"].(string)] {
					if got, _ := p.body[q].(float64); !near(got, v, 0.005) {
						t.Errorf("%s: %v, want %v", q, p.body[q], v)
					}
				}
				if u := p.body["units"].(map[string]any)["a2"]; p.body["name"] == "tank" && u != "l" {
					t.Errorf("the unit is %v", u)
				}
			}
			for _, s := range st.List() {
				if s.Errors != 0 {
					t.Errorf("one disturbs the other: %+v", s)
				}
			}
			st.set("voltage2", 0.6) // more than gain 8 reaches
			time.Sleep(4 * time.Second)
			if f := st.Faults(); len(f) != 1 || !strings.Contains(f[0].Problem, "can measure -0.51175 to 0.51175") {
				t.Errorf("faults %+v", f)
			}
		})
	})
}

// A shunt of another value, and a current that is too much for it.
func TestShunt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := aSensor("ina219")
		s.Shunt = 0.01
		st := newStation(t, s)
		st.set("current", -12.5)
		st.run(t, func() {
			time.Sleep(500 * time.Millisecond)
			if p := st.taken(); len(p) != 1 || !near(p[0].body["current"].(float64), -12.5, 0.01) {
				t.Errorf("published %v; %v", p, st.Faults())
			}
			st.set("current", 40)
			wantSensorFault(t, st, "a current of 31.99", "can measure -31.968 to 31.968")
		})
	})
}

// A driver that sleeps for 20 s after its chip has gone holds nobody up, itself
// included.
func TestSlowDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, other := aSensor("am2320"), aSensor("tmp102")
		st := newStation(t, slow, other)
		st.run(t, func() {
			time.Sleep(10 * time.Second)
			st.taken()
			chip := st.wires.i2c[1].Detach(0x5C)
			time.Sleep(time.Minute)
			if n := len(st.taken()); n < 60 {
				t.Errorf("the other one published %d times in a minute", n)
			}
			if f := st.Faults(); len(f) != 1 || !strings.Contains(f[0].Problem, "nothing answers at 0x5c") {
				t.Errorf("faults %+v", f)
			}
			st.wires.i2c[1].Attach(0x5C, chip)
			time.Sleep(lastRetry + 30*time.Second)
			if f := st.Faults(); len(f) != 0 {
				t.Errorf("faults %+v", f)
			}
		})
	})
}

// A driver that panics is a fault, and no end of the gateway; one that reads
// nonsense publishes nothing.
func TestNonsense(t *testing.T) {
	for _, c := range []struct {
		name    string
		read    reader
		problem string
	}{
		{"panic", func() ([]float64, error) { var zero int; return []float64{float64(1 / zero)}, nil }, "the driver panicked: runtime error: integer divide by zero"},
		{"NaN", func() ([]float64, error) { return []float64{math.NaN()}, nil }, "it reads a temperature of NaN"},
		{"0 K", func() ([]float64, error) { return []float64{-273.15}, nil }, "it reads a temperature of -273.15 °C, and can measure -40 to 125"},
		{"infinity", func() ([]float64, error) { return []float64{math.Inf(1)}, nil }, "a temperature of +Inf"},
		{"nothing", func() ([]float64, error) { return nil, nil }, "0 values instead of 1"},
		{"an error", func() ([]float64, error) { return []float64{20}, errors.New("it burns") }, "it burns"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStation(t, aSensor("tmp102"))
				kind := *st.sensors[0].kind
				kind.open = func(*Sensor, *session) (reader, error) { return c.read, nil }
				st.sensors[0].kind = &kind
				st.run(t, func() { wantSensorFault(t, st, c.problem) })
			})
		})
	}
}

// A driver that goes on after its time gets nothing more from the bus, also not
// when it would be time for the next reading.
func TestLateReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStation(t, aSensor("tmp102"))
		kind := *st.sensors[0].kind
		var good atomic.Int64
		kind.open = func(_ *Sensor, p *session) (reader, error) {
			return func() ([]float64, error) {
				for range 60 {
					time.Sleep(time.Second)
					if _, err := readWord(i2cSession{p}, p.address, 0); err == nil {
						good.Add(1)
					}
				}
				return nil, errors.New("too late")
			}, nil
		}
		st.sensors[0].kind = &kind
		st.run(t, func() {
			wantSensorFault(t, st, "the reading before has not come back")
			if n := good.Load(); n > 5 {
				t.Errorf("it had %d transfers after its time", n-4)
			}
		})
	})
}

// A driver that asks for ever is stopped when its time is over.
func TestEndlessDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStation(t, aSensor("tmp102"))
		kind := *st.sensors[0].kind
		var transfers atomic.Int64
		kind.open = func(_ *Sensor, p *session) (reader, error) {
			return func() ([]float64, error) {
				for {
					transfers.Add(1)
					if _, err := readWord(i2cSession{p}, p.address, 0); err != nil {
						return nil, err
					}
				}
			}, nil
		}
		st.sensors[0].kind = &kind
		st.run(t, func() {
			time.Sleep(6 * time.Second)
			if n := transfers.Load(); n < 200 || n > 2200 {
				t.Errorf("%d transfers in 5 s", n)
			}
			wantSensorFault(t, st, "a reading takes longer than 5s")
		})
	})
}
