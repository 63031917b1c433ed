package gpio

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCalibration(t *testing.T) {
	for _, c := range []struct {
		cal  Calibration
		raw  float64
		want string
	}{
		{Calibration{Scale: 1}, 21.4321, "21.43 °C"},
		{Calibration{Scale: 1, Offset: -0.4}, 21.4321, "21.03 °C"},
		{Calibration{Scale: 1.8, Offset: 32, Unit: "°F"}, 21.5, "70.7 °F"},
		{Calibration{Scale: 0.001, Unit: "k°C"}, 21.4321, "0.02143 k°C"},
		{Calibration{Scale: -1}, 0, "0 °C"},
		{Calibration{Scale: 1000, Unit: "m°C"}, 21.4321, "21432 m°C"},
	} {
		g := newGauges(&Sensor{Scale: c.cal.Scale, Offset: c.cal.Offset, Unit: c.cal.Unit}, []quantity{temperature(-55, 125)})
		if v, err := g[0].value(c.raw); err != nil || v.String() != c.want {
			t.Errorf("%v by %+v is %v, %v; want %s", c.raw, c.cal, v, err, c.want)
		}
	}
	// What the device can measure is judged before the calibration.
	g := newGauges(&Sensor{Scale: 10}, []quantity{temperature(-55, 125)})
	for _, raw := range []float64{-55.01, 125.01, math.NaN(), math.Inf(-1), -273.15} {
		if v, err := g[0].value(raw); err == nil {
			t.Errorf("%v is told as %v", raw, v)
		}
	}
	g = newGauges(&Sensor{Scale: math.MaxFloat64}, []quantity{temperature(-55, 125)})
	if v, err := g[0].value(100); err == nil {
		t.Errorf("an overflow is told as %v", v)
	}
}

// Which readings a topic and a shadow get of a temperature that rises by 0.1 a
// second for ten seconds, then stays.
func TestWhatIsTold(t *testing.T) {
	for _, c := range []struct {
		name        string
		set         func(*Sensor)
		topic       int // how many in 30 s
		shadow      int
		first, last float64 // of the topic
	}{
		{"all", func(*Sensor) {}, 30, 11, 20, 21},
		{"deadband", func(s *Sensor) { s.Deadband = 0.5 }, 3, 3, 20, 21},
		{"deadband and heartbeat", func(s *Sensor) { s.Deadband, s.Heartbeat = 0.5, 4*time.Second }, 8, 8, 20, 21},
		{"min_interval", func(s *Sensor) { s.MinInterval = 5 * time.Second }, 6, 3, 20, 21},
		{"heartbeat of a shadow", func(s *Sensor) { s.Heartbeat = 10 * time.Second }, 30, 12, 20, 21},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := aSensor("mcp9808")
				s.Thing, s.Key = "house", "hall"
				c.set(&s)
				st := newStation(t, s)
				st.sensors[0].gauges[0].digits = 1
				st.set("temperature", 20)
				st.run(t, func() {
					for i := range 30 {
						st.set("temperature", 20+0.1*float64(min(i, 10)))
						time.Sleep(time.Second)
					}
					posts, reports := st.taken(), st.reported()
					if len(posts) != c.topic || len(reports) != c.shadow {
						t.Errorf("the topic got %d readings, the shadow %d; want %d and %d\n%v\n%v", len(posts), len(reports), c.topic, c.shadow, posts, reports)
					}
					if posts[0].body["temperature"] != c.first || posts[len(posts)-1].body["temperature"] != c.last {
						t.Errorf("the topic got %v first, %v last", posts[0].body, posts[len(posts)-1].body)
					}
					if reports[0] != "house hall 20" {
						t.Errorf("reported %s", reports[0])
					}
				})
			})
		})
	}
}

// A reading that comes a little early is not left for the next one.
func TestEarlyReading(t *testing.T) {
	s := Sensor{Every: time.Second, MinInterval: 5 * time.Second, Heartbeat: 10 * time.Second}
	g := newGauges(&Sensor{Scale: 1}, []quantity{temperature(-55, 125)})
	v := []Value{{"temperature", 20, "°C"}}
	begin := time.Now()
	for _, changes := range []bool{false, true} {
		tell := newTeller(&s, g, changes)
		tell.tell(begin, v)
		if early := begin.Add(4800 * time.Millisecond); tell.tell(early, v) {
			t.Error("told before min_interval")
		}
		after := 4950 * time.Millisecond
		if changes {
			after = 9950 * time.Millisecond // the heartbeat
		}
		if !tell.tell(begin.Add(after), v) {
			t.Errorf("not told after %v", after)
		}
	}
}

// The deadband of one quantity does not let the noise of the others through.
func TestDeadbandOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := aSensor("bme280")
		s.Calibrate = map[string]Calibration{"temperature": {Scale: 1, Deadband: 0.5}}
		st := newStation(t, s)
		st.run(t, func() {
			for i := range 10 {
				st.set("pressure", 1000+float64(i))
				time.Sleep(time.Second)
			}
			if n := len(st.taken()); n != 1 {
				t.Errorf("published %d times", n)
			}
			st.set("temperature", 23)
			time.Sleep(time.Second)
			if posts := st.taken(); len(posts) != 1 || posts[0].body["pressure"].(float64) < 1008 {
				t.Errorf("published %v", posts)
			}
		})
	})
}

func TestSensorCheck(t *testing.T) {
	for _, c := range []struct {
		name    string
		set     func(*Sensor)
		path    string // empty: there is no fault
		problem string
	}{
		{"as it is", func(*Sensor) {}, "", ""},
		{"kind", func(s *Sensor) { s.Kind = "sgp30" }, "kind", "there is no kind"},
		{"address", func(s *Sensor) { s.Address = "0x40" }, "address", "no address of a bme280"},
		{"address in decimal", func(s *Sensor) { s.Address = "119" }, "", ""},
		{"no address", func(s *Sensor) { s.Address = "x" }, "address", "no address"},
		{"address on SPI", func(s *Sensor) { s.Bus, s.Address = "spi0.0", "0x76" }, "address", "SPI port has no addresses"},
		{"bus", func(s *Sensor) { s.Bus = "one" }, "bus", "no such bus"},
		{"SPI", func(s *Sensor) { s.Bus = "/dev/spidev0.1" }, "", ""},
		{"SPI of one that has none", func(s *Sensor) { s.Kind, s.Bus = "tmp102", "spi0.0" }, "bus", "no such bus"},
		{"1-wire id", func(s *Sensor) { s.Kind, s.Address = "ds18b20", "0x28" }, "address", "no 1-wire id"},
		{"1-wire id of another kind", func(s *Sensor) { s.Kind, s.Address = "ds18s20", probeID }, "address", "begins with 10-"},
		{"too often", func(s *Sensor) { s.Every = 50 * time.Millisecond }, "every", "50ms is out of range"},
		{"too often for its kind", func(s *Sensor) { s.Kind, s.Every = "ds18b20", 500*time.Millisecond }, "every", "out of range for a ds18b20"},
		{"min_interval", func(s *Sensor) { s.MinInterval = 25 * time.Hour }, "min_interval", "out of range"},
		{"heartbeat", func(s *Sensor) { s.Heartbeat = 500 * time.Millisecond }, "heartbeat", "shorter than every"},
		{"scale of three", func(s *Sensor) { s.Scale = 2 }, "scale", "temperature, humidity, pressure"},
		{"scale of one", func(s *Sensor) { s.Kind, s.Scale, s.Unit, s.Deadband = "tmp102", 2, "K", 0.5 }, "", ""},
		{"no scale", func(s *Sensor) { s.Kind, s.Scale = "tmp102", 0 }, "scale", "makes nothing"},
		{"no number", func(s *Sensor) { s.Kind, s.Offset = "tmp102", math.NaN() }, "offset", "out of range"},
		{"negative deadband", func(s *Sensor) { s.Kind, s.Deadband = "tmp102", -1 }, "deadband", "no deadband"},
		{"calibrate", func(s *Sensor) { s.Calibrate = map[string]Calibration{"humidity": {Scale: 1, Offset: 2}} }, "", ""},
		{"calibrate what it has not", func(s *Sensor) { s.Calibrate = map[string]Calibration{"light": {Scale: 1}} }, "calibrate light", "measures no"},
		{"calibrate by nothing", func(s *Sensor) { s.Calibrate = map[string]Calibration{"humidity": {}} }, "calibrate humidity scale", "makes nothing"},
		{"channels", func(s *Sensor) { s.Channels = []string{"0"} }, "channels", "is for ads1015"},
		{"channel", func(s *Sensor) { s.Kind, s.Channels = "ads1115", []string{"0", "4"} }, "channels 1", "no channel"},
		{"channel twice", func(s *Sensor) { s.Kind, s.Channels = "ads1115", []string{"0", "0"} }, "channels 1", "second time"},
		{"gain", func(s *Sensor) { s.Kind, s.Gain = "ads1115", "3" }, "gain", "no gain"},
		{"shunt", func(s *Sensor) { s.Kind, s.Shunt = "ina219", -1 }, "shunt", "out of range"},
		{"shunt of another", func(s *Sensor) { s.Shunt = 0.1 }, "shunt", "is for ina219"},
		{"nowhere", func(s *Sensor) { s.Topic = "" }, "topic", "is missing"},
		{"shadow", func(s *Sensor) { s.Topic, s.Thing, s.Key = "", "house", "hall" }, "", ""},
		{"half a shadow", func(s *Sensor) { s.Thing = "house" }, "key", "is missing beside thing"},
		{"other half", func(s *Sensor) { s.Key = "hall" }, "thing", "is missing beside key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := aSensor("bme280")
			c.set(&s)
			faults := s.Check()
			if c.path == "" {
				if len(faults) != 0 {
					t.Errorf("%+v", faults)
				}
				return
			}
			if len(faults) != 1 || pathText(faults[0].Path) != c.path || !strings.Contains(faults[0].Problem, c.problem) || faults[0].Hint == "" {
				t.Errorf("%+v", faults)
			}
		})
	}
}

func pathText(path []any) string { return strings.Trim(fmt.Sprint(path), "[]") }
