package gpio

import "time"

// Sensor is one device on a bus that is read at an interval. Its readings go to
// a topic, to a key of a shadow, or to both.
type Sensor struct {
	Name string `yaml:"name"`
	Kind string `yaml:"kind"` // one of Kinds
	// Bus is the number of the I2C or 1-wire bus, or the SPI port (spi0.0); empty:
	// I2C bus 1 or 1-wire bus 1.
	Bus string `yaml:"bus"`
	// Address is the I2C address (0x76), or the id of a 1-wire device
	// (28-0316a2793cff); empty: the usual one of the kind, or the only one there is.
	Address string `yaml:"address"`
	// Every is the interval between two readings, from 100ms, for some kinds more.
	Every time.Duration `yaml:"every"`
	Topic string        `yaml:"topic"`
	Thing string        `yaml:"thing"`
	Key   string        `yaml:"key"`
	// Unit, Scale, Offset and Deadband are those of the Calibration of a sensor
	// with one quantity.
	Unit     string  `yaml:"unit"`
	Scale    float64 `yaml:"scale"`
	Offset   float64 `yaml:"offset"`
	Deadband float64 `yaml:"deadband"`
	// Calibrate has the Calibration of each quantity that needs one.
	Calibrate map[string]Calibration `yaml:"calibrate"`
	// MinInterval is how long nothing is told after something was.
	MinInterval time.Duration `yaml:"min_interval"`
	// Heartbeat is after what time a reading is told although nothing changed; 0:
	// never.
	Heartbeat time.Duration `yaml:"heartbeat"`
	// Channels are the inputs of an analogue-to-digital converter: 0 to 3, or the
	// difference of two, 0-1, 0-3, 1-3 or 2-3; empty: 0.
	Channels []string `yaml:"channels"`
	// Gain is that of the converter, one of Gains; empty: 1, up to 4.096 V.
	Gain string `yaml:"gain"`
	// Shunt is the resistor of a current sensor in ohm; 0: 0.1.
	Shunt float64 `yaml:"shunt" zero:"absent"`
}

// Calibration is what becomes of one quantity of a sensor, and when it is told.
type Calibration struct {
	// A reading is multiplied by Scale, then Offset is added.
	Scale  float64 `yaml:"scale"`
	Offset float64 `yaml:"offset"`
	// Unit is that of the result, as it is published; empty: the sensor's own.
	Unit string `yaml:"unit"`
	// Deadband is how far a result must be from the last that was told to be told.
	Deadband float64 `yaml:"deadband"`
}

// SetDefaults fills in what a calibration of the file may leave out.
func (c *Calibration) SetDefaults() { c.Scale = 1 }

// SetDefaults fills in what a sensor of the file may leave out.
func (s *Sensor) SetDefaults() { s.Every, s.Scale = 10*time.Second, 1 }
