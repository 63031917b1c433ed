package gpio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// presses collects what buttons publish.
type presses struct {
	mu   sync.Mutex
	list []string
}

func (p *presses) add(topic string, payload []byte, from string) {
	var e buttonEvent
	if err := json.Unmarshal(payload, &e); err != nil || e.Name != from {
		panic(fmt.Sprintf("%s says %s", from, payload))
	}
	at, err := time.Parse(time.RFC3339Nano, e.At)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// synctest's clock begins at midnight.
	p.list = append(p.list, fmt.Sprintf("%s %s %v", topic, strings.NewReplacer("press", "down", "release", "up").Replace(e.Event), at.Sub(at.Truncate(24*time.Hour))))
}

func (p *presses) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := fmt.Sprint(p.list)
	p.list = nil
	return s
}

// at sleeps until that time of the virtual day.
func at(d time.Duration) {
	now := time.Now()
	time.Sleep(now.Truncate(24 * time.Hour).Add(d).Sub(now))
}

func TestButton(t *testing.T) {
	const ms = time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		var said presses
		b, w := openBank(t, Options{Config: trafficLight(), Publish: said.add})
		defer run(t, b)()
		want := func(text string) {
			t.Helper()
			synctest.Wait()
			if got := said.take(); got != text {
				t.Errorf("published %s, want %s", got, text)
			}
		}
		move := func(when time.Duration, level bool) { at(when); w.drive(t, "GPIO22", level) }
		move(0, true) // released, as it was
		at(1000 * ms)
		want("[]")

		move(1001*ms, false) // pressed; it bounces for 12 ms
		move(1004*ms, true)
		move(1005*ms, false)
		move(1012*ms, true)
		move(1013*ms, false)
		at(1032 * ms)
		want("[]")
		at(1034 * ms)
		want("[home/bell down 1.013s]") // since when it has been steady
		if s := b.List()[3]; s.Level != "pressed" {
			t.Errorf("%+v", s)
		}
		at(5000 * ms)
		want("[]")

		move(5001*ms, true)
		move(5020*ms, false) // 19 ms released: less than 20
		move(6001*ms, true)
		at(6020 * ms)
		want("[]")
		at(6022 * ms)
		want("[home/bell up 6.001s]")

		for i := range 19 { // a disturbance of 19 ms at each of 19 seconds
			move(time.Duration(10+i)*time.Second, false)
			at(time.Duration(10+i)*time.Second + 19*ms)
			w.drive(t, "GPIO22", true)
		}
		at(40 * time.Second)
		want("[]")

		move(41*time.Second, false)
		at(41*time.Second + 15*ms)
		w.drive(t, "GPIO22", true) // a bounce too short for a look is an edge all the same
		w.drive(t, "GPIO22", false)
		at(41*time.Second + 34*ms)
		want("[]")
		at(41*time.Second + 36*ms)
		want("[home/bell down 41.015s]")
	})
}

// An edge that was lost is found by looking, after a quarter of a second.
func TestButtonLostEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said presses
		b, w := openBank(t, Options{Config: trafficLight(), Publish: said.add})
		defer run(t, b)()
		at(10 * time.Second)
		synctest.Wait()
		down := false
		l, err := w.line("GPIO22")
		if err != nil {
			t.Fatal(err)
		}
		l.mu.Lock()
		l.world = &down // without an edge
		l.mu.Unlock()
		at(11 * time.Second)
		synctest.Wait()
		if got := said.take(); got != "[home/bell down 10.251s]" {
			t.Errorf("published %s", got)
		}
	})
}

func TestPress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said presses
		c := trafficLight()
		c.Buttons = append(c.Buttons,
			Button{Name: "door", Pin: "GPIO23", Pull: "down", Topic: "door"}, // no debounce
			Button{Name: "float", Pin: "GPIO24", Pull: "none", Debounce: time.Second, Topic: "float"})
		b, _ := openBank(t, Options{Config: c, Publish: said.add})
		if err := b.Press(t.Context(), "bell", 1, 0); err == nil {
			t.Error("a button that nobody watches can be pressed")
		}
		stop := run(t, b)
		synctest.Wait()
		for _, c := range []struct {
			name string
			hold time.Duration
			want string
		}{
			{"bell", 0, "[home/bell down 0s home/bell up 120ms]"},
			{"door", time.Second, "[door down 10s door up 11s]"},
			{"float", 0, "[float down 20s float up 21.1s]"},
		} {
			if err := b.Press(t.Context(), c.name, 1, c.hold); err != nil {
				t.Error(err)
			}
			if got := said.take(); got != c.want {
				t.Errorf("published %s, want %s", got, c.want)
			}
			at(time.Now().Truncate(10 * time.Second).Add(10 * time.Second).Sub(time.Now().Truncate(24 * time.Hour)))
		}

		var both sync.WaitGroup
		for range 2 { // one after the other
			both.Go(func() {
				if err := b.Press(t.Context(), "door", 1, time.Second); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if got := said.take(); got != "[door down 30s door up 31s door down 31s door up 32s]" {
			t.Errorf("published %s", got)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := b.Press(ctx, "door", 1, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Press: %v", err)
		}
		synctest.Wait()
		if s := b.List()[4]; s.Level != "released" {
			t.Errorf("somebody's finger stays on it: %+v", s)
		}
		if b.Press(t.Context(), "red", 1, 0) == nil || b.Press(t.Context(), "nobody", 1, 0) == nil {
			t.Error("an LED, or nobody, can be pressed")
		}
		ended := make(chan error)
		go func() { ended <- b.Press(t.Context(), "float", 1, time.Second) }()
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err == nil {
			t.Error("a press that nobody saw worked")
		}
	})
}

// A button of the board is pressed by a person.
func TestPressReal(t *testing.T) {
	b := newBank(Options{Config: trafficLight()}, newKernel().board())
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Press(t.Context(), "bell", 1, 0); err == nil {
		t.Error("a real button was pressed")
	}
}
