package gpio

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// said is a message of an input, read.
type said struct {
	Name, Event, Clock string
	On, Pressed        bool
	Held               float64
	At                 time.Time
}

// testInputsOn is a Bank with inputs on a board: every edge is told with its time,
// and a button is pressed, held and pressed twice.
func testInputsOn(t *testing.T, w world) {
	messages := make(chan said, 2000)
	const long, double = 200 * time.Millisecond, 10 * time.Second
	b := newBank(Options{
		Config: Config{
			Inputs:  []Input{{Name: "door", Pin: "GPIO23", Pull: "up", Edges: "both", ActiveLow: true, Topic: "door"}},
			Buttons: []Button{{Name: "bell", Pin: "GPIO22", Pull: "up", Debounce: 10 * time.Millisecond, Long: long, Double: double, Topic: "bell"}},
		},
		Publish: func(_ string, payload []byte, _ string) {
			var m said
			if err := json.Unmarshal(payload, &m); err != nil {
				panic(err)
			}
			messages <- m
		},
	}, w.board())
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	next := func(want string) said {
		t.Helper()
		select {
		case m := <-messages:
			if got := fmt.Sprintf("%s %s %v", m.Name, m.Event, m.On || m.Pressed); got != want {
				t.Errorf("an input says %s, want %s", got, want)
			}
			return m
		case <-time.After(time.Minute):
			t.Fatalf("nobody says %s; %+v", want, b.List())
			return said{}
		}
	}
	next("door start false")

	begin := time.Now().Truncate(time.Microsecond) // as the messages have it
	for i := range 500 {
		w.drive(t, "GPIO23", i%2 == 1)
	}
	end := time.Now()
	const slack = 50 * time.Millisecond // the clocks are not read at once, and the machine may be an emulated one
	last := begin
	for i := range 500 {
		m := next([]string{"door falling true", "door rising false"}[i%2])
		if m.Clock != "kernel" || m.At.Before(last.Add(-slack)) || m.At.After(end.Add(slack)) {
			t.Errorf("edge %d, the last at %v: %+v", i, last, m)
		}
		last = m.At
	}

	w.drive(t, "GPIO22", false)
	press := next("bell press true")
	if m := next("bell long true"); m.Held != long.Seconds() || m.At.Sub(press.At) != long {
		t.Errorf("pressed at %v: %+v", press.At, m)
	}
	w.drive(t, "GPIO22", true)
	if m := next("bell release false"); m.Held < long.Seconds() || (m.At.Sub(press.At)-time.Duration(m.Held*float64(time.Second))).Abs() > slack {
		t.Errorf("pressed at %v: %+v", press.At, m)
	}
	w.drive(t, "GPIO22", false)
	next("bell press true")
	next("bell double true")

	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
