package cloud

import "time"

// Config is the `cloud` section of the group file. Without the section the
// gateway is local only, and complete.
type Config struct {
	// Endpoint is the account's data endpoint, a host name without port.
	Endpoint string `yaml:"endpoint"`
	// Port is 8883, or 443, which uses ALPN.
	Port int `yaml:"port"`
	// Certificate, Key and CA are PEM files; Key may be the URI of a key in a
	// PKCS#11 token instead, which core/token reads.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	CA          string `yaml:"ca"`
	// MQTT is the protocol's version, "5" or "3.1.1".
	MQTT string `yaml:"mqtt"`
	// Proxy is the way out, http://[user:password@]host:port or socks5://...;
	// empty: straight out.
	Proxy string `yaml:"proxy"`
	// KeepAlive is 30s to 1200s. A dead link is noticed within 1.5 times of it.
	KeepAlive time.Duration `yaml:"keep_alive"`
	Spool     Spool         `yaml:"spool"`
	Rate      Rate          `yaml:"rate"`
}

// Spool bounds what waits on disk for the cloud.
type Spool struct {
	// MaxSize is in bytes on disk, at least 1MiB.
	MaxSize int64 `yaml:"max_size" unit:"bytes"`
	// WhenFull is drop_oldest or drop_newest.
	WhenFull string `yaml:"when_full"`
	// Encrypt is the file of the key with which what waits is encrypted; empty: it is
	// written in clear.
	Encrypt string `yaml:"encrypt"`
	// Decrypt are files of the keys that were in Encrypt before, as long as something of
	// theirs waits.
	Decrypt []string `yaml:"decrypt"`
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
		Port:      8883,
		MQTT:      "5",
		KeepAlive: DefaultKeepAlive,
		Spool:     Spool{MaxSize: 256 << 20, WhenFull: "drop_oldest"},
		Rate:      Rate{Messages: 100, Bytes: 512 << 10},
	}
}

// SetDefaults makes c the DefaultConfig.
func (c *Config) SetDefaults() { *c = DefaultConfig() }
