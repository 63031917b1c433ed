package admin

// Config is the `admin` section of the group file.
type Config struct {
	// Listen is the address of the status page, /metrics and /healthz,
	// host:port; empty switches them off. The control socket is always there.
	Listen string `yaml:"listen"`
}

// DefaultConfig listens on the loopback interface only: everybody may read the page.
func DefaultConfig() Config { return Config{Listen: "127.0.0.1:8080"} }
