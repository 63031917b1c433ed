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

// Check and Open tell the same pins in the same words; two names of one line are one pin.
func TestCheckNames(t *testing.T) {
	const none, twice = "the board has no pin", "is used by gpio.leds[0] already"
	for _, c := range []struct{ pin, want string }{
		{"GPIO18", ""}, {"P1_13", ""}, {"gpiochip0/18", ""}, {"gpiochip0:18", ""}, {"GPIO0", ""}, {"GPIO53", ""},
		{"PIN_12", ""}, {"SPI_CLK", ""}, {"GPIO_GCLK", ""}, {"GPIO1_A3", ""}, {"GPIOAO_6", ""}, // of other boards
		{"GPIO17", twice}, {"P1_11", twice}, {"gpiochip0/17", twice}, {"gpiochip0:017", twice},
		{"GPIO54", none}, {"GPIO99999999999999999999", none}, {"GPIO-1", none}, {"GPIO+5", none}, {"GPIO", none}, {"GPIO017", none}, {"gpio17", none}, {"Gpio5", none},
		{"17", none}, {"-1", none}, {"p1_11", none}, {"gpiochip0/54", none}, {"gpiochip1/2", none}, {"pwmchip0/0", none},
	} {
		config := Config{Driver: "sim", LEDs: []Output{{Name: "a", Pin: "GPIO17"}}, Buttons: []Button{{Name: "b", Pin: c.pin, Pull: "up", Topic: "t"}}}
		b := New(Options{Config: config})
		for what, err := range map[string]error{"Check": Check(config, nil), "Open": b.Open()} {
			var list PinErrors
			if errors.As(err, &list); (c.want == "") != (err == nil) || err != nil &&
				(len(list) != 1 || list[0].Path != "gpio.buttons[0].pin" || !strings.Contains(list[0].Problem, c.want)) {
				t.Errorf("%s of %s: %v, want %q", what, c.pin, err, c.want)
			}
		}
		b.Close()
	}
}

// A line that makes pulses is taken, as is a channel of the kernel.
func TestCheckPulses(t *testing.T) {
	for _, c := range []struct {
		led, pwm, mode string
		twice          bool
	}{
		{"GPIO18", "GPIO18", "auto", true}, {"GPIO18", "pwmchip0/0", "auto", true}, {"GPIO18", "P1_12", "software", true},
		{"GPIO19", "pwmchip0/0", "auto", false}, {"GPIO17", "gpiochip0/17", "auto", true},
	} {
		config := Config{Driver: "sim", LEDs: []Output{{Name: "a", Pin: c.led}}, PWM: []PWM{{Name: "b", Pin: c.pwm, Mode: c.mode, Frequency: 100}}}
		if err := Check(config, nil); (err != nil) != c.twice || c.twice && !strings.Contains(err.Error(), "gpio.pwm[0].pin: the pin \""+c.pwm+"\" is used by gpio.leds[0] already") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// A file with other faults is no reason to be silent, or to fall.
func TestCheckOfAFileWithFaults(t *testing.T) {
	err := Check(Config{
		LEDs:    []Output{{Name: "a"}, {Name: "a", Pin: "GPIO99", Safe: "x", Interlock: []string{"nobody"}}},
		PWM:     []PWM{{Pin: "P1_1", Frequency: -1, Mode: "x"}},
		Servos:  []Servo{{Pin: "GPIO5", Safe: "x"}},
		Buttons: []Button{{Pin: "GPIO6", Pull: "x"}},
		Sensors: []Sensor{{Kind: "x"}},
	}, nil)
	var list PinErrors
	if !errors.As(err, &list) || len(list) != 2 || list[0].Path != "gpio.leds[1].pin" || list[1].Path != "gpio.pwm[0].pin" {
		t.Errorf("got %v", err)
	}
}

func TestForeign(t *testing.T) {
	for line, want := range map[string]bool{"GPIO17": false, "gpiochip0/17": false, "pwmchip0/0": false, "GPIO99": false, "17": false, "XX": true, "SDA": true} {
		if got := Foreign(line); got != want {
			t.Errorf("%s: %v", line, got)
		}
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
	list := b.List()
	for i := range list {
		if list[i].Name == "bell" {
			list[i].Fault = "its state is not reported" // it works
		}
	}
	got := Header(list)
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
