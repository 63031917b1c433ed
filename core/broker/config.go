package broker

// Config is the `broker` section of the group file.
type Config struct {
	// Listen are the addresses of the MQTT listeners, host:port.
	Listen []string `yaml:"listen"`
	// StrictSubscribe answers SUBACK 0x80 (MQTT 3.1.1) or 0x87 (5) to a filter
	// that no row of the table can ever feed. Otherwise it is granted and
	// never fed.
	StrictSubscribe bool `yaml:"strict_subscribe"`
}

// DefaultConfig listens on the port of MQTT over TLS on every address.
func DefaultConfig() Config { return Config{Listen: []string{"0.0.0.0:8883"}} }
