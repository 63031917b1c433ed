package gpio

import "time"

// Config is the `gpio` section of the group file. Names are unique over all
// lists: `gpio:NAME` is an endpoint of the table.
type Config struct {
	// Driver is `auto` (the pins of the board) or `sim` (simulated ones).
	Driver  string   `yaml:"driver"`
	LEDs    []LED    `yaml:"leds"`
	Buttons []Button `yaml:"buttons"`
	Sensors []Sensor `yaml:"sensors"`
}

// LED is one on-off output.
type LED struct {
	Name string `yaml:"name"`
	// Pin is the name of the line (GPIO17) or of the header (P1_11).
	Pin string `yaml:"pin"`
	// Thing and Key bind the LED to a top-level key of that thing's shadow:
	// desired drives the pin, reported follows. Both or neither.
	Thing string `yaml:"thing"`
	Key   string `yaml:"key"`
	// On is the value of the key at which the LED is lit, as text.
	On string `yaml:"on"`
	// Safe is the level at start and at every end of the process: on or off.
	Safe string `yaml:"safe"`
}

// Button is one input that publishes when it is pressed and released.
type Button struct {
	Name string `yaml:"name"`
	Pin  string `yaml:"pin"`
	// Pull is the resistor of the pin: up, down or none.
	Pull string `yaml:"pull"`
	// Debounce is how long a level must last to count, 0 to 1s.
	Debounce time.Duration `yaml:"debounce"`
	Topic    string        `yaml:"topic"`
}

// Sensor is one device on a bus that is read at an interval.
type Sensor struct {
	Name string `yaml:"name"`
	Kind string `yaml:"kind"` // one of Kinds
	Bus  string `yaml:"bus"`  // the number or the name of the bus; empty: the first
	// Address is the I2C address (0x76), or the id of a 1-wire device
	// (28-0316a2793cff); empty: the usual one of the kind.
	Address string `yaml:"address"`
	// Every is the interval between two readings, at least 100ms.
	Every time.Duration `yaml:"every"`
	Topic string        `yaml:"topic"`
}

// Kinds are the sensors that a group file may name.
var Kinds = []string{"ads1015", "ads1115", "bme280", "bmp180", "bmp280", "ds18b20", "ina219"}

// DefaultConfig takes the board's own pins.
func DefaultConfig() Config { return Config{Driver: "auto"} }

// SetDefaults makes c the DefaultConfig.
func (c *Config) SetDefaults() { *c = DefaultConfig() }

// SetDefaults fills in what an LED of the file may leave out.
func (l *LED) SetDefaults() { l.On, l.Safe = "true", "off" }

// SetDefaults fills in what a button of the file may leave out.
func (b *Button) SetDefaults() { b.Pull, b.Debounce = "up", 20*time.Millisecond }

// SetDefaults fills in what a sensor of the file may leave out.
func (s *Sensor) SetDefaults() { s.Every = 10 * time.Second }
