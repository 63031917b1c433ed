package gpio

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// world is what lies around a board: the other ends of its lines. Each test of
// the suite gets a new one.
type world interface {
	board() board
	level(t *testing.T, line string) bool // what the line is driven to
	drive(t *testing.T, line string, level bool)
	occupy(t *testing.T, line string) // another program takes the line
}

// The one suite for every board. On the machines of testvm it runs against a real
// kernel: one with gpio-sim, and a Pi's, whose inputs nobody can move.
func TestBoards(t *testing.T) {
	t.Run("sim", func(t *testing.T) { testBoard(t, func(t *testing.T) world { return simWorld{newSim()} }) })
	t.Run("kernel", func(t *testing.T) {
		testBoard(t, func(t *testing.T) world {
			k := newKernel()
			t.Cleanup(func() {
				if list := k.trapped(); list != nil {
					t.Error(list)
				}
			})
			return k
		})
	})
	t.Run("gpio-sim", func(t *testing.T) {
		if _, err := os.Stat(gpioSim); err != nil {
			t.Skip("this machine has no gpio-sim")
		}
		testBoard(t, func(t *testing.T) world { return openSimKernel(t) })
	})
	t.Run("pi", func(t *testing.T) {
		if os.Getenv(onPi) == "" {
			t.Skip(onPi + " does not say that this is a Pi")
		}
		testLines(t, func(t *testing.T) world { return openPi(t) })
	})
}

func testBoard(t *testing.T, newWorld func(t *testing.T) world) {
	testLines(t, newWorld)
	testInputs(t, newWorld)
}

// testLines is the part of the suite that any board can carry.
func testLines(t *testing.T, newWorld func(t *testing.T) world) {
	t.Run("Output", func(t *testing.T) {
		w := newWorld(t)
		b := w.board()
		out := mustOutput(t, b, "GPIO17", false)
		for _, on := range []bool{false, true, true, false, true} {
			if err := out.Set(on); err != nil || w.level(t, "GPIO17") != on {
				t.Errorf("Set(%v): %v, the world sees %v", on, err, w.level(t, "GPIO17"))
			}
		}
		out.Close()
		out = mustOutput(t, b, "GPIO17", true)
		if !w.level(t, "GPIO17") {
			t.Error("a line that is to begin high is low")
		}
		out.Close()
	})
	t.Run("NoSuchLine", func(t *testing.T) {
		b := newWorld(t).board()
		if _, err := b.output("GPIO99", false); !errors.Is(err, errNoLine) {
			t.Errorf("output: %v", err)
		}
		if _, err := b.input("GPIO99", "up", bothEdges); !errors.Is(err, errNoLine) {
			t.Errorf("input: %v", err)
		}
	})
	t.Run("InUse", func(t *testing.T) {
		w := newWorld(t)
		b := w.board()
		in := mustInput(t, b, "GPIO5", "up")
		if _, err := b.output("GPIO5", false); !errors.Is(err, errInUse) {
			t.Errorf("a line of our own: %v", err)
		}
		in.Close()
		w.occupy(t, "GPIO6")
		if _, err := b.output("GPIO6", false); !errors.Is(err, errInUse) {
			t.Errorf("a line of somebody else: %v", err)
		}
		mustOutput(t, b, "GPIO5", false).Close()
	})
	t.Run("Outputs", func(t *testing.T) { testOutputsOn(t, newWorld(t)) })
}

// testInputs is the part for a board with a hand on its inputs.
func testInputs(t *testing.T, newWorld func(t *testing.T) world) {
	t.Run("Pull", func(t *testing.T) {
		b := newWorld(t).board()
		up, down := mustInput(t, b, "GPIO23", "up"), mustInput(t, b, "GPIO24", "down")
		defer up.Close()
		defer down.Close()
		if !isHigh(t, up) || isHigh(t, down) {
			t.Errorf("pulled up it is high: %v; pulled down: %v", isHigh(t, up), isHigh(t, down))
		}
	})
	t.Run("Edges", func(t *testing.T) { testEdges(t, newWorld(t)) })
	t.Run("OneEdge", func(t *testing.T) { testOneEdge(t, newWorld(t)) })
	t.Run("Overflow", func(t *testing.T) { testOverflow(t, newWorld(t)) })
	t.Run("Counter", func(t *testing.T) { testCounterOn(t, newWorld(t)) })
	t.Run("Inputs", func(t *testing.T) { testInputsOn(t, newWorld(t)) })
	t.Run("Bank", func(t *testing.T) { testBankOn(t, newWorld(t)) })
}

// A whole Bank on a board: messages, a bouncing button, the safe levels.
func testBankOn(t *testing.T, w world) {
	said := make(chan string, 10)
	b := newBank(Options{
		Config: Config{
			LEDs: []Output{
				{Name: "red", Pin: "GPIO17", On: "R", Safe: "off", Thing: "light", Key: "property"},
				{Name: "heart", Pin: "P1_32", On: "true", Safe: "on"}, // GPIO12
			},
			Buttons: []Button{{Name: "bell", Pin: "GPIO22", Pull: "up", Debounce: 30 * time.Millisecond, Topic: "home/bell"}},
		},
		Publish: func(topic string, payload []byte, from string) { said <- topic + " " + string(payload) },
	}, w.board())
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	sees := func(red, heart bool) {
		t.Helper()
		if w.level(t, "GPIO17") != red || w.level(t, "GPIO12") != heart {
			t.Errorf("the world sees red %v, heart %v", w.level(t, "GPIO17"), w.level(t, "GPIO12"))
		}
	}
	sees(false, true)
	if err := errors.Join(b.Deliver("red", []byte("on")), b.Deliver("heart", []byte("toggle"))); err != nil {
		t.Error(err)
	}
	sees(true, false)
	b.Desired("light", []byte(`{"property":"G"}`), nil)
	sees(false, false)
	b.Desired("light", []byte(`{"property":"R"}`), nil)
	b.List() // a look changes nothing
	sees(true, false)

	for _, press := range []bool{true, false} {
		for range 5 { // it bounces
			w.drive(t, "GPIO22", !press)
			w.drive(t, "GPIO22", press)
		}
		w.drive(t, "GPIO22", !press)
		want := `"pressed":true`
		if !press {
			want = `"pressed":false`
		}
		select {
		case m := <-said:
			if !strings.HasPrefix(m, `home/bell {"name":"bell",`+want) {
				t.Errorf("the button says %s, want %s", m, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("the button says nothing; %+v", b.List())
		}
	}
	b.stop()
	sees(false, true)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(said) > 0 {
		t.Errorf("a bounce was told: %s", <-said)
	}
}

func mustOutput(t *testing.T, b board, line string, on bool) output {
	t.Helper()
	out, err := b.output(line, on)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mustInput(t *testing.T, b board, line, pull string) input {
	t.Helper()
	in, err := b.input(line, pull, bothEdges)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// simWorld is the world around the simulation.
type simWorld struct{ *sim }

func (w simWorld) board() board { return w.sim }

func (w simWorld) level(t *testing.T, name string) bool {
	l, err := w.line(name)
	if err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.high()
}

func (w simWorld) drive(t *testing.T, name string, level bool) {
	if err := w.sim.drive(name, &level); err != nil {
		t.Error(err)
	}
}

func (w simWorld) occupy(t *testing.T, name string) {
	if _, err := w.claim(name, "somebody", func(*simLine) {}); err != nil {
		t.Fatal(err)
	}
}

// Outputs of each kind on a board: active_low from the first moment, a chip and an
// offset, the interlock, pulses, and a servo.
func testOutputsOn(t *testing.T, w world) {
	c := outputs(
		Output{Name: "up", Pin: "GPIO5", ActiveLow: true, Interlock: []string{"down"}},
		Output{Name: "down", Pin: "gpiochip0/6", Interlock: []string{"up"}},
	)
	c.PWM = []PWM{{Name: "lamp", Pin: "GPIO24", Mode: "software", Frequency: 50}}
	b := newBank(Options{Config: c}, w.board())
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	sees := func(line string, high bool) {
		t.Helper()
		if w.level(t, line) != high {
			t.Errorf("%s is high: %v", line, !high)
		}
	}
	sees("GPIO5", true)
	expect(t, say(t, b, "up", "on"), "")
	sees("GPIO5", false)
	expect(t, say(t, b, "down", "on"), Interlocked)
	sees("GPIO6", false)
	expect(t, say(t, b, "up", "off"), "")
	expect(t, say(t, b, "down", "on"), "")
	sees("GPIO5", true)
	sees("GPIO6", true)

	expect(t, say(t, b, "lamp", "50"), "")
	for _, high := range []bool{true, false, true} {
		for begin := time.Now(); w.level(t, "GPIO24") != high; {
			if time.Since(begin) > 5*time.Second {
				t.Fatalf("the lamp stays at %v", !high)
			}
			runtime.Gosched()
		}
	}
	for _, percent := range []string{"100", "0"} {
		expect(t, say(t, b, "lamp", percent), "")
		for range 3 {
			sees("GPIO24", percent == "100")
		}
	}
	b.stop()
	sees("GPIO5", true)
	sees("GPIO6", false)
}
