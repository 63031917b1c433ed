// Package functions will own the local functions: unmodified AWS Lambda code
// that is started by the gateway, fed by the table (`function:NAME`) over the
// Lambda Runtime API, and kept from harming anything else. Today it owns their
// section of the group file; configs imports it for that. A Config is a plain
// value.
package functions

import "time"

// Config is one entry of the `functions` list of the group file.
type Config struct {
	Name string `yaml:"name"`
	// Command is the program and its arguments; no shell is involved.
	Command []string `yaml:"command"`
	// Dir is the folder in which it runs.
	Dir string `yaml:"dir"`
	// Pinned starts it with the gateway and keeps one instance; otherwise it
	// starts with its first message.
	Pinned bool `yaml:"pinned"`
	// Timeout is how long one call may take, more than 0 and at most 24h.
	Timeout time.Duration `yaml:"timeout"`
	// Memory is the most that it may use, in bytes, at least 1MiB.
	Memory      int64             `yaml:"memory" unit:"bytes"`
	Environment map[string]string `yaml:"environment"`
}

// SetDefaults fills in what a function of the file may leave out: the three
// seconds and 128 MiB of AWS Lambda.
func (c *Config) SetDefaults() { c.Timeout, c.Memory = 3*time.Second, 128<<20 }
