package discovery

// Config is the section `discovery` of the group file.
type Config struct {
	// Listen are the addresses (host:port) on which the discovery API is served
	// over HTTPS. The V2 SDKs of AWS look on port 443 only. An empty list is
	// wrong: without discovery no device finds the gateway.
	Listen []string `yaml:"listen"`

	// Hosts are the addresses or names that discovery answers with, in this
	// order, each in the one form that configs writes it in. Empty, the answer is
	// the one address on which the request came in, which the asking device has
	// just proved to be able to reach.
	Hosts []string `yaml:"hosts"`

	// Announce says whether the gateway makes itself known by DNS-SD on the
	// networks on which it listens.
	Announce bool `yaml:"announce"`
}

// DefaultConfig is the configuration of a group file without a section
// `discovery`.
func DefaultConfig() Config {
	return Config{Listen: []string{"0.0.0.0:8443"}, Announce: true}
}
