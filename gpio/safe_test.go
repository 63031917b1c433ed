package gpio

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// safeOn is Safe on that board.
func safeOn(c Config, on board) error {
	b := newBank(Options{Config: outputsOf(c)}, on)
	defer b.Close()
	return b.Open()
}

// Whatever a dead process has left, each output gets its safe level, and what goes
// off does so first.
func TestSafeAfterDeath(t *testing.T) {
	w := newTraced()
	c := trafficLight()
	if err := safeOn(c, w); err != nil {
		t.Fatal(err)
	}
	got := w.take()
	// When it is claimed, and once more before it is let go of.
	order := []string{"GPIO27-", "GPIO5-", "GPIO17+", "GPIO27-", "GPIO5-", "GPIO17+"}
	for _, s := range order {
		_, after, found := strings.Cut(got, s)
		if !found {
			t.Fatalf("%s is missing: %s", s, got)
		}
		got = after
	}
	// A button is none of its business.
	if _, err := w.input("GPIO22", "up", bothEdges); err != nil {
		t.Error(err)
	}
	if _, err := w.input("GPIO17", "up", bothEdges); err != nil {
		t.Errorf("an output was not let go of: %v", err)
	}
}

// Beside a process that lives it leaves that one's outputs alone.
func TestSafeInUse(t *testing.T) {
	k := newKernel()
	k.occupy(t, "GPIO5")
	k.drive(t, "GPIO5", true)
	err := safeOn(trafficLight(), k.board())
	var list PinErrors
	if !errors.As(err, &list) || len(list) != 1 || list[0].Path != "gpio.leds[2].pin" || !strings.Contains(list[0].Problem, "in use") {
		t.Errorf("Safe: %v", err)
	}
	l := k.line("GPIO17")
	if n := len(l.driven); n == 0 || !bool(l.driven[n-1]) {
		t.Errorf("the others: %v", l.driven)
	}
	if !k.level(t, "GPIO5") {
		t.Error("the line of the other process has changed")
	}
}

func TestSafeOfTheFile(t *testing.T) {
	if err := Safe(trafficLight(), slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
	if err := Safe(Config{Driver: "auto"}, nil); err != nil {
		t.Errorf("without outputs: %v", err)
	}
}

func TestCheck(t *testing.T) {
	if err := Check(trafficLight(), nil); err != nil {
		t.Error(err)
	}
	if err := Check(Config{Driver: "auto"}, nil); err != nil {
		t.Errorf("without pins: %v", err)
	}
	c := trafficLight()
	c.Driver = "rpi"
	var list PinErrors
	if err := Check(c, nil); !errors.As(err, &list) || list[0].Path != "gpio.driver" {
		t.Errorf("a driver that there is not: %v", err)
	}
}

func TestHeader(t *testing.T) {
	c := trafficLight()
	c.LEDs[0].Pin = "P1_11"
	c.PWM = []PWM{{Name: "lamp", Pin: "GPIO18", Mode: "auto", Frequency: 200}}
	c.LEDs = append(c.LEDs, Output{Name: "act", Pin: "LED_ACT"})
	for _, s := range []Sensor{{Name: "room", Kind: "bme280"}, {Name: "sun", Kind: "bh1750", Bus: "1"}, {Name: "air", Kind: "bme280", Bus: "spi0.1"}} {
		s.SetDefaults()
		c.Sensors = append(c.Sensors, s)
	}
	b, w := openBank(t, Options{Config: c})
	w.fail("GPIO5", errors.New("gone"))
	b.Set("green", true)
	got := Header(b.List())
	want := []string{
		"                  3V3  1 | 2  5V",
		"    room, sun   GPIO2  3 | 4  5V",
		"          air  GPIO10 19 | 20 GND",
		"       red on  GPIO17 11 | 12 GPIO18  lamp 0%",
		"   yellow off  GPIO27 13 | 14 GND",
		"bell released  GPIO22 15 | 16 GPIO23",
		"  green fails   GPIO5 29 | 30 GND",
		"                  GND 39 | 40 GPIO21",
	}
	for _, line := range want {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no line %q in\n%s", line, got)
		}
	}
	if n := strings.Count(got, "\n"); n != 20 {
		t.Errorf("%d lines", n)
	}
}

func TestBoardName(t *testing.T) {
	b, _ := openBank(t, Options{Config: trafficLight()})
	if got := b.Board(); got != "simulated" {
		t.Errorf("got %q", got)
	}
	file := filepath.Join(t.TempDir(), "model")
	if got := boardName(file); got != "a board without a device tree" {
		t.Errorf("got %q", got)
	}
	if err := os.WriteFile(file, []byte("Raspberry Pi 5 Model B Rev 1.0\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := boardName(file); got != "Raspberry Pi 5 Model B Rev 1.0" {
		t.Errorf("got %q", got)
	}
}
