package gpio

import (
	"fmt"
	"slices"
	"time"
)

// State is what `gpio list` and the status show of a pin.
type State struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`             // led, button
	Pin    string `json:"pin"`              // as the group file writes it
	Header string `json:"header,omitempty"` // its place on the header of a Pi: P1_11
	Mode   string `json:"mode"`             // sim, or the driver: ioctl-gpio
	Level  string `json:"level"`            // of an LED on or off, of a button pressed or released; unknown while it fails
	Safe   string `json:"safe,omitempty"`   // of an LED
	Thing  string `json:"thing,omitempty"`  // whose shadow drives it
	Key    string `json:"key,omitempty"`    // of that shadow
	Topic  string `json:"topic,omitempty"`  // where a button publishes
	Fault  string `json:"fault,omitempty"`  // what is wrong with it
}

// Fault is a pin that does not work. It is tried again by itself.
type Fault struct {
	Name, Pin string
	Problem   string
	Since     time.Time // zero: since the start
}

// List returns the pins in the order of the file, LEDs first.
func (b *Bank) List() []State {
	b.mu.Lock()
	mode := ""
	if b.board != nil {
		mode = b.board.String()
	}
	b.mu.Unlock()
	list := []State{}
	for _, p := range b.pins() {
		s := p.state(mode)
		if f, ok := p.fault(); ok {
			s.Level, s.Fault = "unknown", f.Problem
		}
		list = append(list, s)
	}
	return list
}

// Faults returns what is wrong with pins now, in the order of List, and the
// sensors of the file, which this version does not serve.
func (b *Bank) Faults() []Fault {
	var list []Fault
	for _, p := range b.pins() {
		if f, ok := p.fault(); ok {
			list = append(list, f)
		}
	}
	for _, s := range b.o.Config.Sensors {
		list = append(list, Fault{Name: s.Name, Problem: "the sensor is not read: this version does not serve sensors"})
	}
	return list
}

func (b *Bank) pins() []pin {
	list := make([]pin, 0, len(b.byName))
	for _, l := range b.leds {
		list = append(list, l)
	}
	for _, k := range b.buttons {
		list = append(list, k)
	}
	return list
}

func (l *led) state(mode string) State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return State{
		Name: l.Name, Kind: "led", Pin: l.Pin, Header: place(l.line), Mode: mode,
		Level: word(l.level, "on", "off"), Safe: word(l.safe, "on", "off"), Thing: l.Thing, Key: l.Key,
	}
}

func (k *button) state(mode string) State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return State{
		Name: k.Name, Kind: "button", Pin: k.Pin, Header: place(k.line), Mode: mode,
		Level: word(k.pressed, "pressed", "released"), Topic: k.Topic,
	}
}

func (l *led) fault() (Fault, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure.fault(l.Name, l.Pin)
}

func (k *button) fault() (Fault, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failure.fault(k.Name, k.Pin)
}

func word(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// place returns the place of a line on the header of a Pi; empty: none.
func place(line string) string {
	i := slices.IndexFunc(header[:], func(n int) bool { return n >= 0 && line == fmt.Sprintf("GPIO%d", n) })
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("P1_%d", i+1)
}
