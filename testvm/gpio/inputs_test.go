package gpio_test

import (
	"encoding/json"
	"testing"
	"time"
)

const bellButton = `  buttons:
    - {name: bell, pin: GPIO23, pull: up, debounce: 50ms, topic: home/bell}
`

// pressed is what a button publishes.
type pressed struct {
	Name    string
	Pressed bool
	At      time.Time
}

func readPress(t *testing.T, m message) (p pressed) {
	t.Helper()
	if err := json.Unmarshal(m.payload, &p); err != nil || m.topic != "home/bell" || p.Name != "bell" {
		t.Fatalf("a message on %s: %s (%v)", m.topic, m.payload, err)
	}
	return p
}

// An edge of the line becomes a message, with its time; a contact that bounces is
// pressed once.
func TestButton(t *testing.T) {
	inMachine(t)
	g := run(t, bellButton, `{from: "gpio:bell", topic: home/bell, to: panel}`)
	panel := connect(t, "panel", "home/bell")
	if !level(t, 23) {
		t.Error("the resistor does not pull the line up")
	}
	for range 3 {
		began := time.Now()
		drive(t, 23, false)
		if p := readPress(t, panel.next()); !p.Pressed || p.At.Before(began.Add(-time.Millisecond)) || p.At.After(time.Now()) {
			t.Errorf("pressed: %+v, began %v", p, began)
		}
		drive(t, 23, true)
		if p := readPress(t, panel.next()); p.Pressed {
			t.Errorf("released: %+v", p)
		}
	}
	for range 20 { // the kernel's queue has 16
		drive(t, 23, false)
		drive(t, 23, true)
	}
	drive(t, 23, false)
	if p := readPress(t, panel.next()); !p.Pressed {
		t.Errorf("after bouncing: %+v", p)
	}
	if p := g.pins()["bell"]; p.Level != "pressed" {
		t.Errorf("the list has %+v", p)
	}
	drive(t, 23, true)
	if p := readPress(t, panel.next()); p.Pressed {
		t.Errorf("after bouncing: %+v", p)
	}
	if len(panel.inbox) != 0 {
		t.Errorf("there is a message more: %s", panel.next().payload)
	}
}
