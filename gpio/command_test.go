package gpio

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// parse reads a payload for an output of that scale.
func parse(s scale, payload []byte, now level) (level, error) {
	word, err := wordOf(payload)
	if err != nil {
		return level{}, err
	}
	return s.command(word, now)
}

func TestOnOffCommand(t *testing.T) {
	on, off := level{on: true}, level{}
	for _, c := range []struct {
		fromOff, fromOn level
		payloads        []string
	}{
		{on, on, []string{"on", "ON", " On\n", "true", "1", `"on"`, `{"state":"on"}`, `{"state": true}`, `{"level":1}`, ` { "level" : "ON" } `}},
		{off, off, []string{"off", "OFF", "false", "0", `"0"`, `{"state":"off"}`, `{"level":0}`, `{"level":false}`}},
		{on, off, []string{"toggle", "TOGGLE", `{"state":"toggle"}`}},
	} {
		for _, p := range c.payloads {
			got, err := parse(onOff{}, []byte(p), off)
			if err != nil || got != c.fromOff {
				t.Errorf("%q is %v, %v; want %v", p, got, err, c.fromOff)
			}
			if got, err = parse(onOff{}, []byte(p), on); err != nil || got != c.fromOn {
				t.Errorf("%q when on is %v, %v; want %v", p, got, err, c.fromOn)
			}
		}
	}
	for _, p := range []string{
		"", " ", "o", "onn", "toggles", "2", "-1", "1.0", "null", "[]", `"`, `""`, "\xff", "ön", "{", "{}", `{"state"}`, `{"state":}`,
		`{"state":"on"`, `{"state":"on"} x`, `{"state":"on","state":"off"}`, `{"state":"on","brightness":5}`, `{"brightness":5}`,
		`{"state":{"state":"on"}}`, `{"state":null}`, `{"level":2}`, `{"level":[1]}`, `{"State":"on"}`, strings.Repeat(" ", 300) + "on",
		strings.Repeat("[", 200),
	} {
		if c, err := parse(onOff{}, []byte(p), off); err == nil {
			t.Errorf("%q is the command %v", p, c)
		} else if len(err.Error()) > 250 {
			t.Errorf("%q: the error has %d bytes", p, len(err.Error()))
		}
	}
}

func FuzzCommand(f *testing.F) {
	for _, p := range []string{"on", "off", "toggle", `{"state":"on"}`, `{"level":1}`, `"true"`, "{", `{"state":"on"}{"state":"on"}`} {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		before := string(p)
		c, err := parse(onOff{}, p, level{})
		if string(p) != before {
			t.Error("the payload was changed")
		}
		again, errAgain := parse(onOff{}, append(append([]byte(" "), p...), '\n'), level{})
		if len(p) < maxCommand-1 && (c != again || (err == nil) != (errAgain == nil)) {
			t.Errorf("%q is %v, %v; with space around it %v, %v", p, c, err, again, errAgain)
		}
	})
}

func TestDeliver(t *testing.T) {
	b, w := openBank(t, Options{Config: trafficLight()})
	for _, c := range []struct{ to, payload, lamps, reason string }{
		{"green", "on", "RG", ""},
		{"green", "on", "RG", ""},
		{"red", `{"state":"off"}`, "G", ""},
		{"yellow", "toggle", "YG", ""},
		{"yellow", "toggle", "G", ""},
		{"green", "blink", "G", BadPayload},
		{"bell", "on", "G", NoOutput},
		{"blue", "on", "G", NoOutput},
	} {
		err := b.Deliver(c.to, []byte(c.payload))
		var refusal *Refusal
		if errors.As(err, &refusal) != (c.reason != "") || refusal != nil && (refusal.Reason != c.reason || refusal.Detail == "") {
			t.Errorf("%s to %s: %v, want %q", c.payload, c.to, err, c.reason)
		}
		wantLamps(t, w, c.lamps)
	}
}

// The line is written when its level changes, and only then.
func TestWritesChangesOnly(t *testing.T) {
	k := newKernel()
	b := newBank(Options{Config: Config{LEDs: []Output{{Name: "red", Pin: "GPIO17", Safe: "off"}}}}, k.board())
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	l := k.line("GPIO17")
	before := len(l.driven)
	for _, word := range []string{"off", "on", "on", "1", "toggle", "off"} {
		if err := b.Deliver("red", []byte(word)); err != nil {
			t.Error(err)
		}
	}
	if n := len(l.driven) - before; n != 2 {
		t.Errorf("the line was written %d times: %v", n, l.driven)
	}
}

func TestIdentify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []string
		var mu sync.Mutex
		begin := time.Now()
		b, w := openBank(t, Options{Config: trafficLight(), Changed: func(name string, on bool) {
			mu.Lock()
			defer mu.Unlock()
			changes = append(changes, name+" "+word(on, "on", "off")+" "+time.Since(begin).String())
		}})
		taken := func() (list []string) {
			mu.Lock()
			defer mu.Unlock()
			list, changes = changes, nil
			return list
		}
		taken()
		if err := b.Identify(t.Context(), "red"); err != nil { // it is on
			t.Fatal(err)
		}
		if got := taken(); len(got) != 10 || got[0] != "red off 0s" || got[1] != "red on 200ms" || got[9] != "red on 1.8s" {
			t.Errorf("it blinks so: %v", got)
		}
		wantLamps(t, w, "R")
		if time.Since(begin) != 2*time.Second {
			t.Errorf("it blinks for %v", time.Since(begin))
		}

		// A command takes over at once, and stays.
		ended := make(chan error)
		go func() { ended <- b.Identify(t.Context(), "green") }()
		time.Sleep(300 * time.Millisecond)
		wantLamps(t, w, "R")
		taken()
		if err := b.Set("green", true); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Errorf("Identify: %v", err)
		}
		time.Sleep(5 * time.Second)
		if got := taken(); len(got) != 1 {
			t.Errorf("it goes on blinking: %v", got)
		}
		wantLamps(t, w, "RG")

		// Whoever gives up leaves it as it was.
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ended <- b.Identify(ctx, "green") }()
		time.Sleep(100 * time.Millisecond)
		wantLamps(t, w, "R")
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Identify: %v", err)
		}
		wantLamps(t, w, "RG")

		// So does the end.
		go func() { ended <- b.Identify(t.Context(), "yellow") }()
		time.Sleep(100 * time.Millisecond)
		b.stop()
		wantLamps(t, w, "R")
		if err := <-ended; err != nil {
			t.Errorf("Identify: %v", err)
		}
		wantLamps(t, w, "R")
		if b.Identify(t.Context(), "bell") == nil || b.Identify(t.Context(), "red") == nil {
			t.Error("a button or a stopped LED blinks")
		}
	})
}
