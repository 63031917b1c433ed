package gpio

import "time"

// Button is one input that publishes when it is pressed and released, and when
// it is pressed for long or twice.
type Button struct {
	Name string `yaml:"name"`
	Pin  string `yaml:"pin"`
	// Pull is the resistor of the pin: up, down or none.
	Pull string `yaml:"pull"`
	// Debounce is how long a level must last to count, 0 to 1s.
	Debounce time.Duration `yaml:"debounce"`
	Topic    string        `yaml:"topic"`
	// Long is from when on a press that lasts is a long one; 0: there are none.
	Long time.Duration `yaml:"long"`
	// Double is within what time a second press makes a double press of both; 0:
	// there are none.
	Double time.Duration `yaml:"double"`
	// Thing and Key report the state as a top-level key of that thing's shadow.
	Thing string `yaml:"thing"`
	Key   string `yaml:"key"`
}

// SetDefaults fills in what a button of the file may leave out.
func (b *Button) SetDefaults() { b.Pull, b.Debounce = "up", 20*time.Millisecond }

// Input is one input with two states: a door contact, a float switch.
type Input struct {
	Name string `yaml:"name"`
	Pin  string `yaml:"pin"`
	Pull string `yaml:"pull"` // up, down or none
	// Debounce is how long a level must last to count, 0 to 1s.
	Debounce time.Duration `yaml:"debounce"`
	// Edges are what is told: both, rising or falling.
	Edges     string `yaml:"edges"`
	ActiveLow bool   `yaml:"active_low"` // it is on while the line is low
	Topic     string `yaml:"topic"`
	Thing     string `yaml:"thing"`
	Key       string `yaml:"key"`
}

// SetDefaults fills in what an input of the file may leave out.
func (i *Input) SetDefaults() { i.Pull, i.Debounce, i.Edges = "up", 20*time.Millisecond, "both" }

// Counter counts the pulses of an input: a flow meter, an energy meter, an
// anemometer.
type Counter struct {
	Name string `yaml:"name"`
	Pin  string `yaml:"pin"`
	Pull string `yaml:"pull"` // up, down or none
	// Debounce is how long a level must last to count, 0 to 1s.
	Debounce time.Duration `yaml:"debounce"`
	// Edges are what counts: both, rising or falling.
	Edges string `yaml:"edges"`
	// Every is the interval between two reports.
	Every time.Duration `yaml:"every"`
	Topic string        `yaml:"topic"`
	Thing string        `yaml:"thing"`
	Key   string        `yaml:"key"`
	// Scale is what one pulse stands for, Unit of what: 0.001 and m3.
	Scale float64 `yaml:"scale"`
	Unit  string  `yaml:"unit"`
}

// SetDefaults fills in what a counter of the file may leave out.
func (c *Counter) SetDefaults() {
	c.Pull, c.Edges, c.Every, c.Scale = "up", "falling", 10*time.Second, 1
}
