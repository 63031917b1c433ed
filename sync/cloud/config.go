// Package cloud will own the one connection to AWS IoT Core: certificate, ALPN,
// reconnecting, and the limits that AWS sets. It will be the only door to paho.
// Today it owns its section of the group file; configs imports it for that. A
// Config is a plain value.
package cloud

// Config is the `cloud` section of the group file. Without the section the
// gateway is local only, and complete.
type Config struct {
	// Endpoint is the account's data endpoint, a host name without port.
	Endpoint string `yaml:"endpoint"`
	// Port is 8883, or 443, which uses ALPN.
	Port int `yaml:"port"`
	// Certificate, Key and CA are PEM files.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	CA          string `yaml:"ca"`
	Spool       Spool  `yaml:"spool"`
	Rate        Rate   `yaml:"rate"`
}

// Spool bounds what waits on disk for the cloud.
type Spool struct {
	// MaxSize is in bytes on disk, at least 1MiB.
	MaxSize int64 `yaml:"max_size" unit:"bytes"`
	// WhenFull is drop_oldest or drop_newest.
	WhenFull string `yaml:"when_full"`
}

// Rate bounds what goes up in a second; more than AWS allows makes AWS throttle
// or disconnect.
type Rate struct {
	Messages int   `yaml:"messages"`
	Bytes    int64 `yaml:"bytes" unit:"bytes"`
}

// DefaultConfig has the limits of AWS IoT Core for one connection: 100 messages
// and 512 KiB a second.
func DefaultConfig() Config {
	return Config{
		Port:  8883,
		Spool: Spool{MaxSize: 256 << 20, WhenFull: "drop_oldest"},
		Rate:  Rate{Messages: 100, Bytes: 512 << 10},
	}
}

// SetDefaults makes c the DefaultConfig.
func (c *Config) SetDefaults() { *c = DefaultConfig() }
