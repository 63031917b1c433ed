package gpio

import (
	"maps"
	"time"
)

// State is what `gpio list` and the status show of a pin or sensor.
type State struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`             // led, output, pwm, servo, button, input, counter or sensor
	Pin    string `json:"pin"`              // as the group file writes it; of a sensor its kind and place
	Header string `json:"header,omitempty"` // its place on the header of a Pi: P1_11
	Mode   string `json:"mode"`             // sim, or the driver: ioctl-gpio
	PWM    string `json:"pwm,omitempty"`    // who makes the pulses: kernel pwmchip0/0, or software
	// Level is on or off, a number in Unit, or off for a servo without pulses; of a
	// button pressed or released; unknown while it fails.
	Level string `json:"level"`
	Unit  string `json:"unit,omitempty"` // %, degrees
	Safe  string `json:"safe,omitempty"` // of an output, as Level
	// Pending is the level that its shadow desires, or its hold asks for, and its
	// contract holds back.
	Pending   string   `json:"pending,omitempty"`
	Thing     string   `json:"thing,omitempty"` // whose shadow drives it
	Key       string   `json:"key,omitempty"`   // of that shadow
	Topic     string   `json:"topic,omitempty"` // where it publishes
	Interlock []string `json:"interlock,omitempty"`
	// Violations counts what the contract of an output has refused, by reason.
	Violations map[string]uint64 `json:"violations,omitempty"`
	// MaxOn counts how often an output was turned off because it was on for long.
	MaxOn uint64 `json:"max_on_reached,omitempty"`
	// Held counts the changes that an input did not tell because of a storm of edges,
	// Lost the edges that came faster than they could be read.
	Held uint64 `json:"held_back,omitempty"`
	Lost uint64 `json:"lost_edges,omitempty"`
	// Values are those of the last good reading of a sensor, or what a counter told
	// last; At is its time, Errors counts the readings that failed.
	Values []Value    `json:"values,omitempty"`
	At     *time.Time `json:"at,omitempty"`
	Errors uint64     `json:"errors,omitempty"`
	Fault  string     `json:"fault,omitempty"` // what is wrong with it
}

// Fault is a pin that does not work, or whose state is not reported. It is tried
// again by itself.
type Fault struct {
	Name, Pin string
	Problem   string
	Since     time.Time // zero: since the start
}

// List returns the pins in the order of Config.
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
		} else if f, ok := p.unreported(); ok {
			s.Fault = f.Problem
		}
		list = append(list, s)
	}
	return list
}

// Faults returns what is wrong with pins and sensors now, in the order of List.
func (b *Bank) Faults() []Fault {
	var list []Fault
	for _, p := range b.pins() {
		if f, ok := p.fault(); ok {
			list = append(list, f)
		}
		if f, ok := p.unreported(); ok {
			list = append(list, f)
		}
	}
	return list
}

func (b *Bank) pins() []pin {
	list := make([]pin, 0, len(b.byName))
	for _, a := range b.actuators {
		list = append(list, a)
	}
	for _, in := range b.inputs {
		list = append(list, in)
	}
	for _, s := range b.sensors {
		list = append(list, s)
	}
	return list
}

func (a *actuator) state(mode string) State {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := State{
		Name: a.name, Kind: a.kind, Pin: a.pin, Header: place(a.line), Mode: mode, PWM: a.pulses,
		Thing: a.thing, Key: a.key, Interlock: a.partners, Violations: maps.Clone(a.violations), MaxOn: a.cutOff,
	}
	s.Level, s.Unit = a.scale.tell(a.level)
	s.Safe, _ = a.scale.tell(a.contract.safe)
	if a.wish != nil {
		s.Pending, _ = a.scale.tell(*a.wish)
	}
	return s
}

func (a *actuator) fault() (Fault, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failure.fault(a.name, a.pin)
}

func word(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}
