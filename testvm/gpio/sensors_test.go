package gpio_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

const sensors = `  sensors:
    - {name: room, kind: bmp280, address: 0x76, every: 200ms, topic: sensors/room}
    - {name: tank, kind: ds18b20, every: 1s, topic: sensors/tank}
    - {name: boiler, kind: ds18b20, address: 28-00000000055a, every: 1s, thing: light, key: boiler, deadband: 0.5}
`

var sensorRows = []string{
	`{from: "gpio:room", topic: sensors/room, to: panel}`,
	`{from: "gpio:tank", topic: sensors/tank, to: panel}`,
}

// bmp280 sets the registers of a BMP280 to the example of its data sheet, section 3.12:
// 25.08 °C and 1006.53 hPa.
func bmp280(t *testing.T) {
	t.Helper()
	set(t, "i2c", "76 d0 58")
	set(t, "i2c", "76 88 706b436718fc7d8e43d6d00b270b8c00f9ff8c3cf8c67017")
	set(t, "i2c", "76 f7 655ac07eed00")
}

// What 1-wire thermometer there is: w1_state of pisim.
const (
	absent    = "0"
	fine      = "1"
	garbled   = "2" // its checksum is wrong
	poweredUp = "3" // it has not converted: 85 °C
)

// timedOut is the error number with which a Pi's I2C fails that somebody holds down.
const timedOut = "110"

// climate is what a sensor publishes.
type climate struct {
	Name                  string
	Temperature, Pressure float64
	At                    time.Time
	Simulated             bool
}

// reading waits for a reading on the topic with that temperature. Others may come
// before, if before accepts them.
func (d *device) reading(topic string, temperature float64, before func(float64) bool) climate {
	d.t.Helper()
	late := time.After(patience)
	for {
		select {
		case <-late:
			d.t.Fatalf("after %v there is no reading of %v on %s", patience, temperature, topic)
		case m, ok := <-d.inbox:
			if !ok {
				d.t.Fatal("the connection has ended")
			}
			if m.topic != topic {
				continue
			}
			var c climate
			if err := json.Unmarshal(m.payload, &c); err != nil || c.Simulated || topic != "sensors/"+c.Name {
				d.t.Fatalf("on %s came %s (%v)", topic, m.payload, err)
			}
			if math.Abs(c.Temperature-temperature) < 0.05 {
				return c
			}
			if !before(c.Temperature) {
				d.t.Fatalf("on %s came %v, want %v", topic, c.Temperature, temperature)
			}
		}
	}
}

func never(float64) bool { return false }

func exactly(want float64) func(float64) bool {
	return func(got float64) bool { return math.Abs(got-want) < 0.05 }
}

// fault waits until the list has a fault of the sensor that says that.
func (g *gateway) fault(name, says string) {
	g.t.Helper()
	eventually(g.t, name+" fails: "+says, func() bool { return strings.Contains(g.pins()[name].Fault, says) })
}

// Sensors on the kernel's own buses are read; one that is unplugged is a fault and holds
// up no other, and comes back by itself.
func TestSensors(t *testing.T) {
	inMachine(t)
	bmp280(t)
	set(t, "w1_milli", "21500")
	set(t, "w1_state", fine)
	g := run(t, sensors, sensorRows...)
	panel := connect(t, "panel", "sensors/+")

	if c := panel.reading("sensors/room", 25.08, never); math.Abs(c.Pressure-1006.53) > 0.01 {
		t.Errorf("the pressure is %v hPa, want 1006.53", c.Pressure)
	}
	panel.reading("sensors/tank", 21.5, never)
	eventually(t, "the shadow has the boiler", func() bool { return g.reported("boiler") == "21.5" })

	set(t, "i2c", "76 -") // unplugged
	g.fault("room", "nothing answers at 0x76")
	set(t, "w1_milli", "-5250") // the others go on, below zero, too
	panel.reading("sensors/tank", -5.25, exactly(21.5))
	eventually(t, "the shadow has the boiler", func() bool { return g.reported("boiler") == "-5.25" })
	bmp280(t)
	panel.reading("sensors/room", 25.08, never)
	eventually(t, "the fault is over", func() bool { return g.pins()["room"].Fault == "" })
}

// fails checks that a sensor fails in that state of the buses, while the other goes on,
// and works again in the good one.
func fails(t *testing.T, parameter, bad, good, sensor, says string, temperature float64, other string, others float64) {
	t.Helper()
	bmp280(t)
	set(t, "w1_milli", "21500")
	set(t, parameter, bad)
	t.Cleanup(func() { set(t, parameter, good) })
	g := run(t, sensors, sensorRows...)
	panel := connect(t, "panel", "sensors/+")
	g.fault(sensor, says)
	panel.reading("sensors/"+other, others, never)
	if sensor == "tank" && g.reported("boiler") != "" {
		t.Errorf("the shadow has a boiler of %s", g.reported("boiler"))
	}
	set(t, parameter, good)
	panel.reading("sensors/"+sensor, temperature, never)
	eventually(t, "the fault is over", func() bool { return g.pins()[sensor].Fault == "" })
}

// What a sensor cannot have measured is never told; a sensor that fails holds up no
// other; and what works again is told again.
func TestSensorFaults(t *testing.T) {
	inMachine(t)
	tank := func(state, says string) func(*testing.T) {
		return func(t *testing.T) { fails(t, "w1_state", state, fine, "tank", says, 21.5, "room", 25.08) }
	}
	t.Run("PowerUp", tank(poweredUp, "85 °C"))
	t.Run("Checksum", tank(garbled, "CRC"))
	t.Run("Absent", tank(absent, "look at the wiring"))
	t.Run("BusHeldDown", func(t *testing.T) {
		fails(t, "i2c_stuck", timedOut, "0", "room", "holds the bus down", 25.08, "tank", 21.5)
	})
}
