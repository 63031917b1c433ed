package gpio

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greengate/gpio/simbus"
)

// post is what a sensor has published.
type post struct {
	topic string
	body  map[string]any
	at    time.Time
}

// station is a Bank of sensors on simulated buses, whose world the test makes.
type station struct {
	*Bank
	wires *simWires
	world map[string]float64

	mu      sync.Mutex
	posts   []post
	reports []string
}

// newStation wires the sensors up. It is for inside of a synctest bubble.
func newStation(t *testing.T, sensors ...Sensor) *station {
	t.Helper()
	st := &station{world: map[string]float64{
		"temperature": 21.5, "humidity": 40, "pressure": 1013.25, "illuminance": 300, "co2": 800,
		"voltage": 5, "voltage0": 1.25, "voltage1": 0.5, "voltage2": 0.25, "voltage3": 3, "current": 0.5,
	}}
	st.Bank = New(Options{
		Config: Config{Driver: "sim", Sensors: sensors},
		Publish: func(topic string, payload []byte, from string) {
			var body map[string]any
			if err := json.Unmarshal(payload, &body); err != nil || body["name"] != from {
				t.Errorf("%s published %s: %v", from, payload, err)
			}
			st.mu.Lock()
			defer st.mu.Unlock()
			st.posts = append(st.posts, post{topic, body, time.Now()})
		},
		Report: func(_ context.Context, thing, key string, value json.RawMessage) error {
			st.mu.Lock()
			defer st.mu.Unlock()
			st.reports = append(st.reports, thing+" "+key+" "+string(value))
			return nil
		},
	})
	for _, s := range sensors {
		for _, f := range s.Check() {
			t.Errorf("%s: %v: %s (%s)", s.Name, f.Path, f.Problem, f.Hint)
		}
	}
	if err := st.Open(); err != nil {
		t.Fatal(err)
	}
	// Wired anew, with a world of the test's own.
	st.wires = &simWires{i2c: map[int]*simbus.I2C{}, spi: map[busID]*simbus.SPI{}, w1: map[int]*simbus.OneWire{}}
	for i, s := range st.sensors {
		st.wires.wire(s, st.measure, i)
	}
	st.buses.open = st.wires.open
	for _, b := range st.buses.all {
		b.open = st.wires.open
	}
	return st
}

func (st *station) measure(quantity string) float64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.world[quantity]
}

func (st *station) set(quantity string, value float64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.world[quantity] = value
}

// run runs the sensors until the test has done with them.
// Drivers sleep on for a while.
func (st *station) run(t *testing.T, test func()) {
	t.Helper()
	defer time.Sleep(time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- st.Run(ctx) }()
	test()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// taken returns what was published since the last call.
func (st *station) taken() []post {
	st.mu.Lock()
	defer st.mu.Unlock()
	posts := st.posts
	st.posts = nil
	return posts
}

func (st *station) reported() []string {
	st.mu.Lock()
	defer st.mu.Unlock()
	reports := st.reports
	st.reports = nil
	return reports
}

// aSensor is a sensor of a kind as the file has it, read as often as it can be.
func aSensor(kind string) Sensor {
	var s Sensor
	s.SetDefaults()
	s.Name, s.Kind, s.Topic = "a-"+kind, kind, "sensors/"+kind
	s.Every = max(time.Second, sensorKinds[kind].every)
	return s
}

func near(a, b, far float64) bool { return math.Abs(a-b) <= far }

// What each kind publishes of the world, through its periph driver and the
// registers of its chip.
func TestEveryKindMeasures(t *testing.T) {
	want := map[string]map[string]float64{ // with how far off the chip may be
		"ads1015": {"a0": 1.25}, "ads1115": {"a0": 1.25}, "bh1750": {"illuminance": 300},
		"ina219": {"voltage": 5, "current": 0.5, "power": 2.5},
		"bmp180": {"temperature": 21.5, "pressure": 1013.25}, "bmp280": {"temperature": 21.5, "pressure": 1013.25},
		"bme280": {"temperature": 21.5, "humidity": 40, "pressure": 1013.25},
		"scd4x":  {"co2": 800, "temperature": 21.5, "humidity": 40},
	}
	far := map[string]float64{"temperature": 0.07, "humidity": 0.1, "pressure": 0.2, "a0": 0.002, "illuminance": 1, "voltage": 0.004, "current": 0.001, "power": 0.01, "co2": 0}
	for _, kind := range Kinds {
		t.Run(kind, func(t *testing.T) {
			for _, temperature := range []float64{21.5, -11.25} {
				synctest.Test(t, func(t *testing.T) {
					st := newStation(t, aSensor(kind))
					st.set("temperature", temperature)
					st.run(t, func() {
						time.Sleep(30 * time.Second)
						posts := st.taken()
						if len(posts) < 3 {
							t.Fatalf("published %d times in 30 s: %+v", len(posts), st.Faults())
						}
						quantities := want[kind]
						if quantities == nil {
							quantities = map[string]float64{"temperature": 0}
							if strings.Contains(" aht20 am2320 hdc302x ", " "+kind+" ") {
								quantities["humidity"] = 40
							}
						}
						if kind == "scd4x" && temperature < -10 {
							t.Fatal("a temperature that the chip cannot have was published")
						}
						for q, v := range quantities {
							if q == "temperature" {
								v = temperature
							}
							for _, p := range posts { // the first, too
								if got, ok := p.body[q].(float64); !ok || !near(got, v, far[q]) {
									t.Fatalf("%s: %v, want %v in %v", q, got, v, p.body)
								}
							}
						}
						if _, ok := posts[1].body["units"].(map[string]any); !ok || posts[1].body["simulated"] != true {
							t.Errorf("published %v", posts[1].body)
						}
					})
				})
				if kind == "scd4x" {
					break
				}
			}
		})
	}
}

func TestPayload(t *testing.T) {
	at := time.Date(2026, 11, 25, 18, 40, 42, 286_000_000, time.UTC)
	v := []Value{{"temperature", 21.53, "°C"}, {"humidity", 40.1, "%"}}
	got := string(payload("room", v, at, false))
	want := `{"name":"room","temperature":21.53,"humidity":40.1,"units":{"temperature":"°C","humidity":"%"},"at":"2026-11-25T18:40:42.286Z"}`
	if got != want {
		t.Errorf("published\n%s, want\n%s", got, want)
	}
	if got := string(reported(v)); got != `{"temperature":21.53,"humidity":40.1}` {
		t.Errorf("reported %s", got)
	}
	if got := string(reported(v[:1])); got != `21.53` {
		t.Errorf("reported %s", got)
	}
}

// What the check of the file would refuse is a fault, and no end.
func TestUncheckedSensor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{Config: Config{Driver: "sim", Sensors: []Sensor{{Name: "a", Kind: "sgp30"}, {Name: "b", Kind: "tmp102", Bus: "none"}}}})
		if err := b.Open(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go b.Run(ctx)
		synctest.Wait()
		if f := b.Faults(); len(f) != 2 || !strings.Contains(f[0].Problem, `no kind "sgp30"`) || !strings.Contains(f[1].Problem, `"none" is no such bus`) {
			t.Errorf("faults %+v", f)
		}
		<-ctx.Done()
		b.Close()
	})
}

// A sensor that is unplugged is a fault that says what to do; the others go on.
// Plugged in again it works again, with its settings.
func TestUnplugged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room, power := aSensor("bme280"), aSensor("ina219")
		st := newStation(t, room, power)
		st.run(t, func() {
			time.Sleep(3500 * time.Millisecond)
			if n := len(st.taken()); n != 8 {
				t.Errorf("two sensors published %d times in 3.5 s", n)
			}
			chip := st.wires.i2c[1].Detach(0x76)
			time.Sleep(5 * time.Second)
			for _, p := range st.taken() {
				if p.body["name"] == room.Name {
					t.Errorf("published by nobody: %v", p.body)
				}
			}
			faults := st.Faults()
			if len(faults) != 1 || faults[0].Name != room.Name || !strings.Contains(faults[0].Problem, "nothing answers at 0x76") || !strings.Contains(faults[0].Problem, "i2cdetect -y 1") {
				t.Errorf("faults %+v", faults)
			}
			if s := st.List()[0]; s.Level != "unknown" || s.Fault == "" || s.Errors < 2 || len(s.Values) != 3 {
				t.Errorf("listed as %+v", s)
			}
			if s := st.List()[1]; s.Level != "5 V, 0.4999 A, 2.498 W" || s.Kind != "sensor" || s.Mode != "sim" || s.Pin != "ina219 i2c-1 0x40" {
				t.Errorf("the other one is listed as %+v", s)
			}
			st.wires.i2c[1].Attach(0x76, chip)
			st.taken()
			time.Sleep(lastRetry + 2*time.Second)
			posts := 0
			for _, p := range st.taken() {
				if p.body["name"] == room.Name {
					posts++
					if h := p.body["humidity"].(float64); !near(h, 40, 0.1) {
						t.Errorf("after it was plugged in it publishes %v", p.body)
					}
				}
			}
			if posts < 2 || len(st.Faults()) != 0 {
				t.Errorf("published %d times after it was plugged in; %v", posts, st.Faults())
			}
		})
	})
}

// A chip that lost its power between two readings answers, and would measure
// nothing: no humidity, no current.
func TestForgotten(t *testing.T) {
	for _, c := range []struct {
		kind, quantity string
		address        uint16
		want           float64
	}{{"bme280", "humidity", 0x76, 40}, {"ina219", "current", 0x40, 0.5}} {
		t.Run(c.kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStation(t, aSensor(c.kind))
				st.run(t, func() {
					time.Sleep(1500 * time.Millisecond)
					chip := st.wires.i2c[1].Detach(c.address)
					st.wires.i2c[1].Attach(c.address, chip)
					time.Sleep(5 * time.Second)
					posts := st.taken()
					for _, p := range posts {
						if v := p.body[c.quantity].(float64); !near(v, c.want, 0.1) {
							t.Errorf("published %v", p.body)
						}
					}
					if s := st.List()[0]; len(posts) < 5 || s.Errors != 1 {
						t.Errorf("published %d times with %d errors", len(posts), s.Errors)
					}
				})
			})
		})
	}
}

// A bus that hangs costs its own sensors, and one goroutine.
func TestStuckBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, other, w1 := aSensor("bme280"), aSensor("tmp102"), aSensor("ds18b20")
		second := aSensor("mcp9808")
		other.Bus = "3"
		st := newStation(t, stuck, second, other, w1)
		st.run(t, func() {
			time.Sleep(3 * time.Second)
			release := st.wires.i2c[1].Hang()
			time.Sleep(100 * time.Millisecond) // what was on its way
			st.taken()
			time.Sleep(20 * time.Second)
			count := map[any]int{}
			for _, p := range st.taken() {
				count[p.body["name"]]++
			}
			if count[stuck.Name]+count[second.Name] != 0 || count[other.Name] < 19 || count[w1.Name] < 19 {
				t.Errorf("published while the bus hung: %v", count)
			}
			faults := st.Faults()
			if len(faults) != 2 || !strings.Contains(faults[0].Problem, "the bus is stuck") || !strings.Contains(faults[1].Problem, "take the devices off") {
				t.Errorf("faults %+v", faults)
			}
			release()
			time.Sleep(lastRetry + 5*time.Second)
			if faults := st.Faults(); len(faults) != 0 {
				t.Errorf("faults after the bus works again: %+v", faults)
			}
		})
	})
}

// Run ends at once although a transfer does not come back.
func TestEndWithStuckBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStation(t, aSensor("bme280"))
		release := st.wires.i2c[1].Hang()
		ended := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ended <- st.Run(ctx) }()
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		select {
		case <-ended:
		default:
			t.Error("it waits for the bus")
		}
		release()
		time.Sleep(time.Minute)
	})
}

// The driver of the INA219 keeps for itself why it cannot read.
func TestErrorOfTheBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStation(t, aSensor("ina219"))
		s := st.sensors[0]
		if _, err := s.attempt(t.Context()); err != nil {
			t.Fatal(err)
		}
		st.wires.i2c[1].Fail(errors.New("sysfs-i2c: connection timed out"))
		_, err := s.attempt(t.Context())
		if err == nil {
			t.Fatal("it reads from a bus that fails")
		}
		if text := s.explain(err).Error(); !strings.HasPrefix(text, "failed to read shunt voltage: sysfs-i2c: connection timed out (a device holds the bus down") {
			t.Errorf("explained as %q", text)
		}
	})
}
