package gpio

import (
	"fmt"
	"time"
)

// Config is the `gpio` section of the group file. Names are unique over all
// lists: `gpio:NAME` is an endpoint of the table.
type Config struct {
	// Driver is `auto` (the pins of the board) or `sim` (simulated ones).
	Driver string `yaml:"driver"`

	LEDs    []Output `yaml:"leds"`
	Outputs []Output `yaml:"outputs"`
	PWM     []PWM    `yaml:"pwm"`
	Servos  []Servo  `yaml:"servo"`

	Buttons  []Button  `yaml:"buttons"`
	Inputs   []Input   `yaml:"inputs"`
	Counters []Counter `yaml:"counters"`

	Sensors []Sensor `yaml:"sensors"`
}

// DefaultConfig takes the board's own pins.
func DefaultConfig() Config { return Config{Driver: "auto"} }

// SetDefaults makes c the DefaultConfig.
func (c *Config) SetDefaults() { *c = DefaultConfig() }

// Output is one output that is on or off: an LED, a relay, a valve, a buzzer.
type Output struct {
	Name string `yaml:"name"`
	// Pin is the name of the line (GPIO17), of the header (P1_11), or its chip
	// and offset (gpiochip0/17).
	Pin string `yaml:"pin"`
	// ActiveLow is for what is on while the line is low, as most relay boards.
	ActiveLow bool `yaml:"active_low"`
	// Thing and Key bind the output to a top-level key of that thing's shadow:
	// desired drives the pin, reported follows. Both or neither.
	Thing string `yaml:"thing"`
	Key   string `yaml:"key"`
	// On is the value of the key at which it is on, as text.
	On string `yaml:"on"`
	// Safe is the level at start, at every end of the process, and when the
	// controller has been silent for Hold: on or off.
	Safe string `yaml:"safe"`
	// Hold is how long it keeps a level without another word of its controller,
	// a message or a change of the shadow; 0: for ever.
	Hold time.Duration `yaml:"hold"`
	// MaxOn is how long it may be on without a pause; 0: for ever.
	MaxOn time.Duration `yaml:"max_on"`
	// MinOff is how long it stays off before it may be on again.
	MinOff time.Duration `yaml:"min_off"`
	// Interlock names outputs of which no two may be on at once with this one.
	// Its own name in the list means nothing, so that all may have the same list.
	Interlock []string `yaml:"interlock"`
}

// SetDefaults fills in what an output of the file may leave out.
func (o *Output) SetDefaults() { o.On, o.Safe = "true", "off" }

// PWM is one output between 0 and 100 percent: the brightness of a lamp, the
// speed of a fan.
type PWM struct {
	Name      string `yaml:"name"`
	Pin       string `yaml:"pin"` // as of an Output, or a PWM channel of the kernel: pwmchip0/1
	ActiveLow bool   `yaml:"active_low"`
	// Mode is who makes the pulses: kernel, software, or auto, which is the kernel
	// where it has a PWM channel on that pin.
	Mode string `yaml:"mode"`
	// Frequency is in Hz, from 1; software reaches MaxSoftware.
	Frequency int `yaml:"frequency"`
	// Thing and Key bind it to a key whose value is the percentage.
	Thing     string        `yaml:"thing"`
	Key       string        `yaml:"key"`
	Safe      float64       `yaml:"safe"`    // percent
	Hold      time.Duration `yaml:"hold"`    // these four as of an Output; on is more than 0
	MaxOn     time.Duration `yaml:"max_on"`  //
	MinOff    time.Duration `yaml:"min_off"` //
	Interlock []string      `yaml:"interlock"`
}

// MaxSoftware is the highest frequency in Hz that PWM in software reaches.
const MaxSoftware = 1000

// SetDefaults fills in what a PWM output of the file may leave out.
func (p *PWM) SetDefaults() { p.Mode, p.Frequency = "auto", 200 }

// Servo is a model servo: 50 pulses a second, whose width is the angle.
type Servo struct {
	Name string `yaml:"name"`
	Pin  string `yaml:"pin"`  // as of a PWM
	Mode string `yaml:"mode"` // as of a PWM
	// MinPulse is the width of the pulse at 0 degrees, MaxPulse that at Range.
	MinPulse time.Duration `yaml:"min_pulse"`
	MaxPulse time.Duration `yaml:"max_pulse"`
	Range    float64       `yaml:"range"` // degrees
	// Thing and Key bind it to a key whose value is the angle in degrees, or off.
	Thing string `yaml:"thing"`
	Key   string `yaml:"key"`
	// Safe is an angle in degrees, or off: no pulses, so that it can be turned by
	// hand.
	Safe string        `yaml:"safe"`
	Hold time.Duration `yaml:"hold"`
}

// SetDefaults fills in what a servo of the file may leave out.
func (s *Servo) SetDefaults() {
	s.Mode, s.MinPulse, s.MaxPulse, s.Range, s.Safe = "auto", 500*time.Microsecond, 2500*time.Microsecond, 180, "off"
}

// Names returns the names of all entries, in the order of the lists.
func (c *Config) Names() (names []string) {
	c.each(func(_, name, _, _ string) { names = append(names, name) })
	return names
}

// Use is an entry of the section that is bound to a shadow.
type Use struct {
	Path       string // of the entry: gpio.leds[0]
	Thing, Key string
}

// Things returns the entries that are bound to a key of a shadow.
func (c *Config) Things() (uses []Use) {
	c.each(func(path, _, thing, key string) {
		if thing != "" {
			uses = append(uses, Use{path, thing, key})
		}
	})
	return uses
}

// each visits all entries, in the order of the lists.
func (c *Config) each(visit func(path, name, thing, key string)) {
	list := func(name string, n int, one func(i int) (name, thing, key string)) {
		for i := range n {
			entry, thing, key := one(i)
			visit(fmt.Sprintf("gpio.%s[%d]", name, i), entry, thing, key)
		}
	}
	list("leds", len(c.LEDs), func(i int) (_, _, _ string) { x := &c.LEDs[i]; return x.Name, x.Thing, x.Key })
	list("outputs", len(c.Outputs), func(i int) (_, _, _ string) { x := &c.Outputs[i]; return x.Name, x.Thing, x.Key })
	list("pwm", len(c.PWM), func(i int) (_, _, _ string) { x := &c.PWM[i]; return x.Name, x.Thing, x.Key })
	list("servo", len(c.Servos), func(i int) (_, _, _ string) { x := &c.Servos[i]; return x.Name, x.Thing, x.Key })
	list("buttons", len(c.Buttons), func(i int) (_, _, _ string) { x := &c.Buttons[i]; return x.Name, x.Thing, x.Key })
	list("inputs", len(c.Inputs), func(i int) (_, _, _ string) { x := &c.Inputs[i]; return x.Name, x.Thing, x.Key })
	list("counters", len(c.Counters), func(i int) (_, _, _ string) { x := &c.Counters[i]; return x.Name, x.Thing, x.Key })
	list("sensors", len(c.Sensors), func(i int) (_, _, _ string) { x := &c.Sensors[i]; return x.Name, x.Thing, x.Key })
}
