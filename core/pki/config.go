package pki

// Config is the `pki` section of the group file.
type Config struct {
	// Dir is the folder of the group CA and of the record of issued
	// certificates. Without it nobody can be told from anybody.
	Dir string `yaml:"dir"`
}

// DefaultConfig is what holds when the group file says nothing.
func DefaultConfig() Config { return Config{Dir: "pki"} }
