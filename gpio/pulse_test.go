package gpio

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// traced is a simulated board that notes when its outputs change.
type traced struct {
	*sim
	mu    sync.Mutex
	begin time.Time
	list  []string // LINE+TIME for high, LINE-TIME for low
	fault error
}

type tracedLine struct {
	output
	name  string
	board *traced
}

func newTraced() *traced { return &traced{sim: newSim(), begin: time.Now()} }

func (b *traced) output(line string, on bool) (output, error) {
	out, err := b.sim.output(line, on)
	if err != nil {
		return nil, err
	}
	b.note(line, on)
	return tracedLine{out, line, b}, nil
}

func (b *traced) note(line string, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, fmt.Sprintf("%s%s%v", line, word(on, "+", "-"), time.Since(b.begin)))
}

func (l tracedLine) Set(on bool) error {
	l.board.mu.Lock()
	fault := l.board.fault
	l.board.mu.Unlock()
	if fault != nil {
		return fault
	}
	l.board.note(l.name, on)
	return l.output.Set(on)
}

// take returns what came since the last time.
func (b *traced) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := fmt.Sprint(b.list)
	b.list, b.begin = nil, time.Now()
	return s
}

// openTraced opens a Bank on such a board.
func openTraced(t *testing.T, c Config) (*Bank, *traced) {
	t.Helper()
	w := newTraced()
	b := newBank(Options{Config: c}, w)
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b, w
}

func TestSoftwarePWM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w := openTraced(t, Config{PWM: []PWM{{Name: "lamp", Pin: "GPIO17", Mode: "auto", Frequency: 100}}})
		defer run(t, b)()
		if s := find(t, b, "lamp"); s.PWM != "software" || s.Level != "0" || s.Header != "P1_11" {
			t.Errorf("%+v", s)
		}
		want := func(what, trace string) {
			t.Helper()
			if got := w.take(); got != trace {
				t.Errorf("%s: got %s, want %s", what, got, trace)
			}
		}
		w.take()
		time.Sleep(time.Minute)
		want("off", "[]") // there is nobody who wakes up
		say(t, b, "lamp", "30")
		time.Sleep(25 * time.Millisecond)
		want("30 %", "[GPIO17+0s GPIO17-3ms GPIO17+10ms GPIO17-13ms GPIO17+20ms GPIO17-23ms]")
		say(t, b, "lamp", "60%") // from the next pulse on, which is due in 5 ms
		time.Sleep(14 * time.Millisecond)
		want("60 %", "[GPIO17+5ms GPIO17-11ms]")
		say(t, b, "lamp", "on")
		want("100 %", "[GPIO17+0s]") // at once, and without a gap
		time.Sleep(time.Minute)
		want("on", "[]")
		say(t, b, "lamp", "50")
		time.Sleep(2 * time.Millisecond)
		say(t, b, "lamp", "off") // in the middle of a pulse
		want("off again", "[GPIO17+0s GPIO17-2ms]")
		time.Sleep(time.Minute)
		want("off", "[]")
	})
}

// An active_low PWM is off while its line is high, and begins so.
func TestActiveLowPWM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w := openTraced(t, Config{PWM: []PWM{{Name: "lamp", Pin: "GPIO17", Mode: "software", Frequency: 100, ActiveLow: true}}})
		defer run(t, b)()
		if got := w.take(); got != "[GPIO17+0s GPIO17+0s]" {
			t.Errorf("at start %s", got)
		}
		say(t, b, "lamp", "30")
		time.Sleep(12 * time.Millisecond)
		if got := w.take(); got != "[GPIO17+0s GPIO17-7ms GPIO17+10ms]" {
			t.Errorf("30 %%: %s", got)
		}
		b.stop()
		if got := w.take(); got != "[GPIO17+0s]" {
			t.Errorf("at the end %s", got)
		}
	})
}

func TestActiveLowOutput(t *testing.T) {
	b, w := openTraced(t, outputs(Output{Name: "relay", Pin: "GPIO17", ActiveLow: true}))
	if got := w.take(); got[:8] != "[GPIO17+" {
		t.Errorf("it begins with %s", got)
	}
	for _, c := range []struct {
		payload string
		high    bool
		level   string
	}{{"on", false, "on"}, {"off", true, "off"}} {
		say(t, b, "relay", c.payload)
		if high := (simWorld{w.sim}).level(t, "GPIO17"); high != c.high || find(t, b, "relay").Level != c.level {
			t.Errorf("%s: the line is high: %v, %+v", c.payload, high, find(t, b, "relay"))
		}
	}
}

// A line that fails between two pulses is a fault, and comes back with its pulses.
func TestSoftwarePWMFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w := openTraced(t, Config{PWM: []PWM{{Name: "lamp", Pin: "GPIO17", Mode: "auto", Frequency: 100, MaxOn: time.Hour}}})
		defer run(t, b)()
		say(t, b, "lamp", "50")
		fail := func(err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.fault = err
		}
		fail(errors.New("no such device"))
		time.Sleep(20 * time.Millisecond) // no later than the next pulse
		if len(b.Faults()) != 1 {
			t.Error("the fault is not told")
		}
		time.Sleep(3 * time.Minute)
		if f := b.Faults(); len(f) != 1 || f[0].Problem != "no such device" {
			t.Errorf("faults %+v", f)
		}
		fail(nil)
		time.Sleep(time.Minute + time.Second)
		w.take()
		time.Sleep(100 * time.Millisecond)
		if got := w.take(); b.Faults() != nil || len(got) < 100 {
			t.Errorf("faults %+v, pulses %s", b.Faults(), got)
		}
	})
}

func TestServo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Servo{Name: "arm", Pin: "GPIO17", Safe: "45"}
		c.SetDefaults()
		c.Safe = "45"
		b, w := openTraced(t, Config{Servos: []Servo{c}})
		stop := run(t, b)
		time.Sleep(25 * time.Millisecond)
		if got := w.take(); got != "[GPIO17-0s GPIO17+0s GPIO17-1ms GPIO17+20ms GPIO17-21ms]" {
			t.Errorf("45 degrees: %s", got)
		}
		say(t, b, "arm", "180")
		time.Sleep(20 * time.Millisecond)
		if got := w.take(); got != "[GPIO17+15ms GPIO17-17.5ms]" {
			t.Errorf("180 degrees: %s", got)
		}
		if s := find(t, b, "arm"); s.Level != "180" || s.Unit != "degrees" || s.Safe != "45" || s.Kind != "servo" {
			t.Errorf("%+v", s)
		}
		expect(t, say(t, b, "arm", "181"), BadPayload)
		var r *Refusal
		if err := b.Identify(t.Context(), "arm"); !errors.As(err, &r) {
			t.Errorf("it moved to be found: %v", err)
		}
		say(t, b, "arm", "off")
		time.Sleep(time.Second)
		if got := w.take(); got != "[GPIO17-0s]" {
			t.Errorf("off: %s", got)
		}
		// At the end it gets the time to go where it is safe.
		begin := time.Now()
		if err := stop(); err != nil || time.Since(begin) != settle {
			t.Errorf("Run: %v after %v", err, time.Since(begin))
		}
		if got := w.take(); len(got) < 500 || got[:31] != "[GPIO17+0s GPIO17-1ms GPIO17+20" {
			t.Errorf("the end: %s", got)
		}
	})
}

// What the board cannot do of the file is an error at its place.
func TestPulseErrors(t *testing.T) {
	c := Config{
		Driver: "sim",
		PWM: []PWM{
			{Name: "a", Pin: "GPIO17", Mode: "kernel", Frequency: 200},
			{Name: "b", Pin: "GPIO27", Mode: "auto", Frequency: 25000},
			{Name: "c", Pin: "GPIO22", Mode: "auto", Frequency: 200, Safe: 30},
			{Name: "d", Pin: "pwmchip0/7", Mode: "auto", Frequency: 200},
			{Name: "e", Pin: "GPIO77", Mode: "auto", Frequency: 200},
			{Name: "f", Pin: "GPIO18", Mode: "kernel", Frequency: 25000, Safe: 30},
			{Name: "g", Pin: "pwmchip0/1", Mode: "software", Frequency: 200},
		},
		Outputs: []Output{{Name: "h", Pin: "pwmchip0/0"}},
		Buttons: []Button{{Name: "i", Pin: "gpiochip1/3"}},
	}
	want := []string{
		`gpio.outputs[0].pin: the board has no pin "pwmchip0/0" (the simulated board has GPIO0 to GPIO53)`,
		"gpio.pwm[0].mode: the kernel has no PWM on GPIO17 (" + pwmHint + ")",
		"gpio.pwm[1].frequency: PWM in software on GPIO27 reaches 1000 Hz (write less, or use a pin with the kernel's PWM)",
		"gpio.pwm[2].safe: 30 % is kept by pulses, and those of software on GPIO22 end with the process (write 0 or 100, or use a pin with the kernel's PWM)",
		"gpio.pwm[3].pin: the board has no PWM channel pwmchip0/7 (" + pwmHint + ")",
		`gpio.pwm[4].pin: the board has no pin "GPIO77" (the simulated board has GPIO0 to GPIO53)`,
		"gpio.pwm[6].mode: pwmchip0/1 is a PWM channel of the kernel (take `mode` out, or name a line)",
		`gpio.buttons[0].pin: the board has no pin "gpiochip1/3" (the simulated board has GPIO0 to GPIO53)`,
	}
	for name, err := range map[string]error{"Check": Check(c, nil), "Open": New(Options{Config: c}).Open()} {
		var list PinErrors
		if !errors.As(err, &list) || len(list) != len(want) {
			t.Errorf("%s:\n%v", name, err)
			continue
		}
		for i, e := range list {
			if e.Error() != want[i] {
				t.Errorf("%s: got  %s\nwant %s", name, e, want[i])
			}
		}
	}
}

// The simulated kernel has PWM where a Pi with its overlay has it.
func TestSimulatedKernelPWM(t *testing.T) {
	c := Config{PWM: []PWM{
		{Name: "lamp", Pin: "P1_12", Mode: "auto", Frequency: 1000, Safe: 25},
		{Name: "fan", Pin: "pwmchip0/1", Mode: "kernel", Frequency: 25000},
	}}
	b, w := openBank(t, Options{Config: c})
	if s := b.List(); s[0].PWM != "kernel pwmchip0/0" || s[0].Level != "25" || s[1].PWM != "kernel pwmchip0/1" {
		t.Errorf("%+v", s)
	}
	pulse := func(line string) simPulse {
		l, err := w.line(line)
		if err != nil {
			t.Fatal(err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.pulse
	}
	say(t, b, "lamp", "50")
	say(t, b, "fan", "10")
	if p := pulse("GPIO18"); p != (simPulse{time.Millisecond, 500 * time.Microsecond}) {
		t.Errorf("the lamp: %v", p)
	}
	if p := pulse("GPIO19"); p != (simPulse{40 * time.Microsecond, 4 * time.Microsecond}) {
		t.Errorf("the fan: %v", p)
	}
	if _, err := w.output("GPIO18", true); !errors.Is(err, errInUse) {
		t.Errorf("a second user of the line: %v", err)
	}
	b.Close()
	if p := pulse("GPIO18"); p.width != 250*time.Microsecond {
		t.Errorf("at the end: %v", p)
	}
}
