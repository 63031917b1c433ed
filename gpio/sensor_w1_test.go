package gpio

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greengate/gpio/simbus"
)

const probeID = "28-00000000055a"

// wantFault waits until the one sensor is a fault, and checks that it says so.
func wantSensorFault(t *testing.T, st *station, texts ...string) {
	t.Helper()
	time.Sleep(40 * time.Second)
	faults := st.Faults()
	if len(faults) != 1 {
		t.Fatalf("faults %+v", faults)
	}
	for _, text := range texts {
		if !strings.Contains(faults[0].Problem, text) {
			t.Errorf("the fault %q does not say %q", faults[0].Problem, text)
		}
	}
	if posts := st.taken(); len(posts) != 0 {
		t.Errorf("published %v", posts)
	}
}

// mended waits until the one sensor works again.
func mended(t *testing.T, st *station) {
	t.Helper()
	time.Sleep(lastRetry + 10*time.Second)
	if len(st.Faults()) != 0 || len(st.taken()) == 0 {
		t.Errorf("it does not work again: %+v", st.Faults())
	}
}

// What a 1-wire thermometer can have, each a fault of its own, never published.
func TestThermometerFaults(t *testing.T) {
	address, err := w1Address(probeID)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		break_      func(*simbus.OneWire, *simbus.Thermometer)
		mend        func(*simbus.OneWire, *simbus.Thermometer)
		texts       []string
		otherOnWire bool
	}{
		{"no power", func(_ *simbus.OneWire, c *simbus.Thermometer) { c.Starve(true) },
			func(_ *simbus.OneWire, c *simbus.Thermometer) { c.Starve(false) }, []string{"85 °C that it has after power-up", "third wire"}, false},
		{"bad checksum", func(_ *simbus.OneWire, c *simbus.Thermometer) { c.BadCRC(true) },
			func(_ *simbus.OneWire, c *simbus.Thermometer) { c.BadCRC(false) }, []string{"CRC", "pull-up"}, false},
		{"unplugged", func(b *simbus.OneWire, _ *simbus.Thermometer) { b.Detach(address) },
			func(b *simbus.OneWire, c *simbus.Thermometer) { b.Attach(address, c) }, []string{"status 255", "look at the wiring"}, false},
		{"unplugged, another stays", func(b *simbus.OneWire, _ *simbus.Thermometer) { b.Detach(address) },
			func(b *simbus.OneWire, c *simbus.Thermometer) { b.Attach(address, c) }, []string{"did not respond", "look at the wiring"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := aSensor("ds18b20")
				s.Address = probeID
				st := newStation(t, s)
				bus := st.wires.w1[1]
				chip := bus.Slave(address).(*simbus.Thermometer)
				if c.otherOnWire {
					bus.Attach(simbus.Address(0x28, 1), simbus.NewThermometer(st.measure, 0x28))
				}
				st.run(t, func() {
					time.Sleep(5 * time.Second)
					if len(st.taken()) < 4 {
						t.Fatal("it never worked")
					}
					c.break_(bus, chip)
					time.Sleep(2 * time.Second)
					st.taken() // the reading that was on
					wantSensorFault(t, st, c.texts...)
					c.mend(bus, chip)
					mended(t, st)
				})
			})
		})
	}
}

// A real 85 °C is not told, as it looks like none; its neighbours are.
func TestEightyFive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStation(t, aSensor("ds18b20"))
		st.set("temperature", 84.9375)
		st.run(t, func() {
			time.Sleep(5 * time.Second)
			st.set("temperature", 85.0625)
			time.Sleep(5 * time.Second)
			for i, p := range st.taken() {
				if v := p.body["temperature"]; v != 84.94 && v != 85.06 {
					t.Errorf("reading %d: %v", i, v)
				}
			}
			st.set("temperature", 85)
			time.Sleep(2 * time.Second)
			st.taken()
			wantSensorFault(t, st, "85 °C")
		})
	})
}

func TestThermometerIsFound(t *testing.T) {
	for _, c := range []struct {
		name     string
		families []byte
		problem  string // empty: it is found
	}{
		{"the only one", []byte{0x28}, ""},
		{"the only one of its kind", []byte{0x10, 0x28}, ""},
		{"two", []byte{0x28, 0x28}, "several are on the bus: write `address:` with one of 28-"},
		{"another kind", []byte{0x10}, "no ds18b20 is on the bus, but 10-"},
		{"none", nil, "nothing is on the bus (look at the wiring"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStation(t, aSensor("ds18b20"))
				bus := simbus.NewOneWire("test")
				st.wires.w1[1] = bus
				for i, family := range c.families {
					bus.Attach(simbus.Address(family, uint64(i+1)), simbus.NewThermometer(st.measure, family))
				}
				st.run(t, func() {
					if c.problem != "" {
						wantSensorFault(t, st, c.problem)
						return
					}
					time.Sleep(5 * time.Second)
					if len(st.taken()) == 0 {
						t.Errorf("faults %+v", st.Faults())
					}
				})
			})
		})
	}
}

// A simulated wire has the thermometers that the file names, and one of each kind
// that it names without an address, which may be one of those.
func TestSimulatedThermometers(t *testing.T) {
	thermometer := func(name, kind, address string) Sensor {
		s := aSensor(kind)
		s.Name, s.Address = name, address
		return s
	}
	for _, c := range []struct {
		name    string
		sensors []Sensor
		chips   int
		fault   string // of the sensor that has one
	}{
		{"two of one", []Sensor{thermometer("a", "ds18b20", ""), thermometer("b", "ds18b20", "")}, 1, ""},
		{"one by its address, too", []Sensor{thermometer("a", "ds18b20", ""), thermometer("b", "ds18b20", probeID)}, 1, ""},
		{"two kinds", []Sensor{thermometer("a", "ds18b20", ""), thermometer("b", "ds18s20", "")}, 2, ""},
		{"two, and one of them", []Sensor{thermometer("a", "ds18b20", ""), thermometer("b", "ds18b20", probeID), thermometer("c", "ds18b20", "28-00000000055b")}, 2, "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New(Options{Config: Config{Driver: "sim", Sensors: c.sensors}})
				if err := b.Open(); err != nil {
					t.Fatal(err)
				}
				wires := newSimWires(b.sensors)
				if all, err := wires.w1[1].Search(false); err != nil || len(all) != c.chips {
					t.Errorf("on the wire are %x, %v; want %d", all, err, c.chips)
				}
				(&station{Bank: b, wires: wires}).run(t, func() {
					time.Sleep(10 * time.Second)
					for _, s := range b.List() {
						if (s.Fault != "") != (s.Name == c.fault) {
							t.Errorf("%s: fault %q", s.Name, s.Fault)
						}
					}
				})
			})
		})
	}
}

func TestThermocouple(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := aSensor("max31850")
		s.Address = "3b-00000000055a"
		st := newStation(t, s)
		address, err := w1Address(s.Address)
		if err != nil {
			t.Fatal(err)
		}
		st.set("temperature", 640.25)
		st.run(t, func() {
			time.Sleep(2500 * time.Millisecond)
			if posts := st.taken(); len(posts) == 0 || posts[0].body["temperature"] != 640.25 {
				t.Errorf("published %v", posts)
			}
			st.wires.w1[1].Slave(address).(*simbus.Thermometer).OpenCouple(true)
			time.Sleep(time.Second)
			st.taken()
			wantSensorFault(t, st, "no thermocouple is connected")
		})
	})
}

func TestW1Address(t *testing.T) {
	a, err := w1Address(probeID)
	if err != nil || w1ID(a) != probeID || a != simbus.Address(0x28, 0x55A) {
		t.Errorf("%s is %x, written %s, %v", probeID, a, w1ID(a), err)
	}
	for _, bad := range []string{"", "28", "28-55a", "0x28-00000000055a", "28-00000000055g", "2800000000055a", "028-0000000055a"} {
		if a, err := w1Address(bad); err == nil {
			t.Errorf("%q is taken for %x", bad, a)
		}
	}
}
