package gpio

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// pisim is where a machine with a simulated I2C and 1-wire bus in its kernel
// takes what is on them.
const pisim = "/sys/module/pisim/parameters/"

func setPisim(t *testing.T, parameter, value string) {
	t.Helper()
	if err := os.WriteFile(pisim+parameter, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// TestSensorsOnKernel reads sensors over the buses of a real kernel: the device
// files of I2C and the netlink socket of 1-wire.
func TestSensorsOnKernel(t *testing.T) {
	if _, err := os.Stat(pisim); err != nil {
		t.Skip("this machine has no pisim: see testvm")
	}
	// The registers of pisim are bytes: this chip has its manufacturer in the one
	// after its temperature, which is a multiple of 16 therefore.
	setPisim(t, "i2c", "18 05 01005404")
	setPisim(t, "w1_state", "1")
	setPisim(t, "w1_milli", "21500")
	hall, cellar := aSensor("mcp9808"), aSensor("ds18b20")
	values := make(chan post, 1000)
	b := New(Options{
		Config: Config{Driver: "auto", Sensors: []Sensor{hall, cellar}},
		Publish: func(topic string, payload []byte, from string) {
			p := post{topic: topic}
			if err := json.Unmarshal(payload, &p.body); err != nil {
				t.Error(err)
			}
			values <- p
		},
	})
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	// next waits until a sensor has published that temperature.
	next := func(name string, temperature float64) {
		t.Helper()
		late := time.After(90 * time.Second)
		for {
			select {
			case p := <-values:
				if p.body["simulated"] != nil {
					t.Fatalf("%v is made up", p.body)
				}
				v := p.body["temperature"].(float64)
				if v < 0 || v > 70 {
					t.Errorf("published %v", p.body)
				}
				if p.body["name"] == name && v == temperature {
					return
				}
			case <-late:
				t.Fatalf("%s does not publish %v: %+v", name, temperature, b.Faults())
			}
		}
	}
	// fault waits until a sensor is one that says so.
	fault := func(name string, texts ...string) {
		t.Helper()
		late, tick := time.After(30*time.Second), time.NewTicker(50*time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				for _, f := range b.Faults() {
					good := f.Name == name
					for _, text := range texts {
						good = good && strings.Contains(f.Problem, text)
					}
					if good {
						return
					}
				}
			case <-late:
				t.Fatalf("%s is no fault that says %q: %+v", name, texts, b.Faults())
			}
		}
	}
	next(hall.Name, 16)
	next(cellar.Name, 21.5)
	setPisim(t, "i2c", "18 05 02005404")
	setPisim(t, "w1_milli", "19250")
	next(hall.Name, 32)
	next(cellar.Name, 19.25)

	setPisim(t, "i2c", "18 -")
	fault(hall.Name, "remote I/O error", "nothing answers at 0x18")
	next(cellar.Name, 19.25) // and the other goes on
	setPisim(t, "i2c", "18 05 01005404")
	next(hall.Name, 16)
	setPisim(t, "i2c_stuck", "110")
	fault(hall.Name, "connection timed out", "holds the bus down")
	setPisim(t, "i2c_stuck", "0")
	next(hall.Name, 16)

	for _, c := range []struct{ state, text string }{{"3", "85 °C that it has after power-up"}, {"2", "CRC"}, {"0", "look at the wiring"}} {
		setPisim(t, "w1_state", c.state)
		fault(cellar.Name, c.text)
		setPisim(t, "w1_state", "1")
		// pisim keeps a wrong checksum until the next conversion; this makes one.
		os.ReadFile(w1Devices + probeID + "/temperature")
		next(cellar.Name, 19.25)
	}
}
