package gpio

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// newBank makes a Bank on that board.
func newBank(o Options, on board) *Bank {
	b := New(o)
	b.open = func(string, *slog.Logger) (board, error) { return on, nil }
	return b
}

// openBank makes an open Bank on a simulated board, which is closed with the
// test.
func openBank(t *testing.T, o Options) (*Bank, simWorld) {
	t.Helper()
	w := simWorld{newSim()}
	b := newBank(o, w.sim)
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b, w
}

// run runs b until the test is over or the returned function is called.
func run(t *testing.T, b *Bank) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	for { // until it has begun
		if _, err := b.running(); err == nil {
			break
		}
		runtime.Gosched()
	}
	return func() error { cancel(); return <-ended }
}

// trafficLight has three LEDs on one key, one of them lit when all is safe, and
// a button.
func trafficLight() Config {
	return Config{
		Driver: "sim",
		LEDs: []Output{
			{Name: "red", Pin: "GPIO17", Thing: "light", Key: "property", On: "R", Safe: "on"},
			{Name: "yellow", Pin: "GPIO27", Thing: "light", Key: "property", On: "Y", Safe: "off"},
			{Name: "green", Pin: "GPIO5", Thing: "light", Key: "property", On: "G", Safe: "off"},
		},
		Buttons: []Button{{Name: "bell", Pin: "GPIO22", Pull: "up", Debounce: 20 * time.Millisecond, Topic: "home/bell"}},
	}
}

// lamps writes the levels of the traffic light as the world sees them.
func lamps(t *testing.T, w simWorld) string {
	t.Helper()
	s := ""
	for _, l := range []struct{ line, name string }{{"GPIO17", "R"}, {"GPIO27", "Y"}, {"GPIO5", "G"}} {
		if w.level(t, l.line) {
			s += l.name
		}
	}
	return s
}

func wantLamps(t *testing.T, w simWorld, want string) {
	t.Helper()
	if got := lamps(t, w); got != want {
		t.Errorf("the lamps that are on: %q, want %q", got, want)
	}
}

func TestOpenTellsEveryPin(t *testing.T) {
	w := simWorld{newSim()}
	w.occupy(t, "GPIO27")
	c := trafficLight()
	c.LEDs[2].Pin = "GPIO77"
	c.Buttons[0].Pin = "P1_6"
	b := newBank(Options{Config: c}, w.sim)
	err := b.Open()
	var list PinErrors
	if !errors.As(err, &list) {
		t.Fatalf("Open: %v", err)
	}
	want := []PinError{
		{"gpio.leds[1].pin", "GPIO27", `the pin "GPIO27" cannot be used: the line is in use by "somebody"`, "another program or a driver of the kernel has it"},
		{"gpio.leds[2].pin", "GPIO77", `the board has no pin "GPIO77"`, "the simulated board has GPIO0 to GPIO53"},
	}
	if len(list) < 2 || *list[0] != want[0] || *list[1] != want[1] {
		t.Errorf("Open:\n%v", err)
	}
	if !strings.Contains(err.Error(), `gpio.leds[2].pin: the board has no pin "GPIO77" (the simulated board has GPIO0 to GPIO53)`) {
		t.Errorf("Open:\n%v", err)
	}
	var one *PinError
	if !errors.As(err, &one) || one.Path != "gpio.leds[1].pin" {
		t.Errorf("the first of them is %v", one)
	}
	// The others were let go of.
	if _, err := w.output("GPIO17", false); err != nil {
		t.Errorf("the pin of the first LED afterwards: %v", err)
	}
	if err := b.Open(); err == nil {
		t.Error("it was opened a second time")
	}
	if err := b.Run(t.Context()); err == nil {
		t.Error("it runs without its pins")
	}
	b.Close()
}

func TestOpenBoard(t *testing.T) {
	b := New(Options{Config: Config{Driver: "simulator", LEDs: []Output{{Name: "red", Pin: "GPIO1"}}}})
	var one *PinError
	if err := b.Open(); !errors.As(err, &one) || one.Path != "gpio.driver" {
		t.Errorf("a driver that there is not: %v", err)
	}
	b = New(Options{Config: trafficLight()})
	defer b.Close()
	if err := b.Open(); err != nil || b.List()[0].Mode != "sim" {
		t.Errorf("driver sim: %v, %+v", err, b.List())
	}
}

// No pins, no board, and nothing to wait for.
func TestNoPins(t *testing.T) {
	b := New(Options{})
	b.open = func(string, *slog.Logger) (board, error) { return nil, errors.New("the board was looked for") }
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	if err := run(t, b)(); err != nil || len(b.List()) != 0 || b.Faults() != nil {
		t.Errorf("%v, %v, %v", err, b.List(), b.Faults())
	}
	b.Close()
}

// Guarantee 7: at start and at every end that code can see.
func TestSafe(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *Bank, func() error){
		"Context": func(t *testing.T, _ *Bank, stop func() error) {
			if err := stop(); err != nil {
				t.Errorf("Run: %v", err)
			}
		},
		"Close": func(t *testing.T, b *Bank, stop func() error) {
			b.Close()
			if err := stop(); err != nil {
				t.Errorf("Run: %v", err)
			}
		},
		"Panic": func(t *testing.T, b *Bank, stop func() error) {
			b.Desired("light", []byte(`{"property":"panic"}`), nil)
			ended, err := b.running()
			if err != nil {
				t.Fatal(err)
			}
			<-ended
			if err := stop(); err == nil || !strings.Contains(err.Error(), "report pins: panic: at your command") {
				t.Errorf("Run: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			told := map[string]bool{}
			reported := make(chan string, 1)
			b, w := openBank(t, Options{
				Config: trafficLight(),
				Changed: func(name string, on bool) {
					mu.Lock()
					defer mu.Unlock()
					told[name] = on
				},
				Report: func(_ context.Context, _, _ string, value json.RawMessage) error {
					if string(value) == `"panic"` {
						panic("at your command")
					}
					reported <- string(value)
					return nil
				},
			})
			wantLamps(t, w, "R")
			stop := run(t, b)
			b.Desired("light", []byte(`{"property":"G"}`), nil)
			if r := <-reported; r != `"G"` {
				t.Errorf("reported is %s", r)
			}
			wantLamps(t, w, "G")
			end(t, b, stop)
			if !told["red"] || told["yellow"] || told["green"] {
				t.Errorf("at the end the LEDs are %v", told)
			}
			var refusal *Refusal
			if err := b.Set("green", true); !errors.As(err, &refusal) || refusal.Reason != PinStopped {
				t.Errorf("a command after the end: %v", err)
			}
			b.Desired("light", []byte(`{"property":"Y"}`), nil)
			if told["green"] || told["yellow"] {
				t.Errorf("after the end the LEDs are %v", told)
			}
			for _, line := range []string{"GPIO17", "GPIO27", "GPIO5", "GPIO22"} {
				if _, err := w.input(line, "up", bothEdges); err != nil {
					t.Errorf("after the end the pin %s is not free: %v", line, err)
				}
			}
			if err := b.Run(t.Context()); err == nil {
				t.Error("it runs again")
			}
			b.Close()
		})
	}
}

// A start that fails elsewhere closes what never ran.
func TestCloseWithoutRun(t *testing.T) {
	b, w := openBank(t, Options{Config: trafficLight()})
	if err := b.Set("green", true); err != nil {
		t.Fatal(err)
	}
	wantLamps(t, w, "RG")
	b.Close()
	if err := b.Set("green", true); err == nil {
		t.Error("a closed bank takes commands")
	}
	if _, err := w.input("GPIO22", "up", bothEdges); err != nil {
		t.Error(err)
	}
}

func TestList(t *testing.T) {
	c := trafficLight()
	c.LEDs[0].Pin = "P1_11"
	b, _ := openBank(t, Options{Config: c})
	list := b.List()
	if len(list) != 4 {
		t.Fatalf("%+v", list)
	}
	red := State{Name: "red", Kind: "led", Pin: "P1_11", Header: "P1_11", Mode: "sim", Level: "on", Safe: "on", Thing: "light", Key: "property"}
	bell := State{Name: "bell", Kind: "button", Pin: "GPIO22", Header: "P1_15", Mode: "sim", Level: "released", Topic: "home/bell"}
	if !reflect.DeepEqual(list[0], red) || !reflect.DeepEqual(list[3], bell) {
		t.Errorf("%+v", list)
	}
}
