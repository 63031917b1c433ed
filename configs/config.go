// Package configs owns the group file: the one Config that is the sum of the
// rooms' own Config types, its defaults, strict decoding, validation with file,
// line and column, the commented sample, the JSON Schema, and edits that keep a
// person's comments. Only cmd imports it (and configs/greengrassv1).
//
// Load gives a *Config or every fault of the file. A Config is a plain value
// that nobody changes after Load: it may be read from anywhere. The functions
// here keep no state and may be called concurrently.
package configs

import (
	"path/filepath"
	"strings"

	"greengate/core/admin"
	"greengate/core/broker"
	"greengate/core/pki"
	"greengate/discovery"
	"greengate/functions"
	"greengate/gpio"
	"greengate/subscriptions"
	"greengate/sync/cloud"
)

// Config is one site: all that stands in its group file.
type Config struct {
	// Version is that of the format: 1.
	Version int `yaml:"version"`
	// Group is the id that discovery answers (GGGroupId).
	Group string `yaml:"group"`
	// Core is the thing name of this gateway.
	Core string `yaml:"core"`
	// Data is the folder of the state and of the control socket.
	Data string `yaml:"data"`

	Broker    broker.Config    `yaml:"broker"`
	Discovery discovery.Config `yaml:"discovery"`
	Admin     admin.Config     `yaml:"admin"`
	PKI       pki.Config       `yaml:"pki"`

	// OwnShadows lets a device use its own shadows without a row; a device's
	// own_shadows overrides it.
	OwnShadows bool `yaml:"own_shadows"`

	Devices       []Device            `yaml:"devices"`
	Subscriptions []subscriptions.Row `yaml:"subscriptions"`

	GPIO      *gpio.Config       `yaml:"gpio"` // nil: no pins
	Functions []functions.Config `yaml:"functions"`
	Cloud     *cloud.Config      `yaml:"cloud"` // nil: local only
	Log       Log                `yaml:"log"`

	// File is the absolute path of the file; empty when there was none.
	File string `yaml:"-"`
	// Warnings are what the file may hold but its author hardly meant.
	Warnings []Fault `yaml:"-"`

	adminPage bool   // admin.listen stands in the file
	ownLine   int    // where own_shadows stands in it, from 1; 0: nowhere
	given     string // the name of the file as Load got it, for faults
}

// Device is one entry of the `devices` list.
type Device struct {
	Thing  string   `yaml:"thing"`
	Labels []string `yaml:"labels"`
	// Shadow is sync, local, or none: the device has no shadow at all.
	Shadow string `yaml:"shadow"`
	// Direction of a shadow that is in sync: both, up (the cloud is made equal to
	// what is here), or down (what is here is made equal to the cloud).
	Direction string `yaml:"direction"`
	// OwnShadows overrides that of the group; nil: as the group has it.
	OwnShadows *bool `yaml:"own_shadows"`
	// Certificate is the fingerprint of a certificate that this group's CA did
	// not issue: `sha256:` and 64 hex digits, lower case and without colons
	// after Load.
	Certificate string `yaml:"certificate"`
	// Line and Column are where the entry stands in the file, from 1.
	Line   int `yaml:"-"`
	Column int `yaml:"-"`

	ownLine int // where its own_shadows stands
}

// SetDefaults fills in what a device of the file may leave out.
func (d *Device) SetDefaults() { d.Shadow, d.Direction = "sync", "both" }

// Fingerprint returns the 64 hex digits of Certificate, or "" when the group's
// CA issues the device's certificates.
func (d *Device) Fingerprint() string { return strings.TrimPrefix(d.Certificate, fingerprintPrefix) }

const fingerprintPrefix = "sha256:"

// Log is the `log` section.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // text or json
}

// Default returns what holds where the file is silent.
func Default() Config {
	return Config{
		Data:       "data",
		Broker:     broker.DefaultConfig(),
		Discovery:  discovery.DefaultConfig(),
		Admin:      admin.DefaultConfig(),
		PKI:        pki.DefaultConfig(),
		OwnShadows: true,
		Log:        Log{Level: "info", Format: "text"},
	}
}

// Socket returns the path of the control socket.
func (c *Config) Socket() string { return filepath.Join(c.Data, "greengate.sock") }

// Site returns what the table has to know of the group.
func (c *Config) Site() subscriptions.Site {
	site := subscriptions.Site{Core: c.Core, Devices: make([]subscriptions.Device, len(c.Devices))}
	for i, d := range c.Devices {
		own, line := c.OwnShadows, c.ownLine
		if d.OwnShadows != nil {
			own, line = *d.OwnShadows, d.ownLine
		}
		site.Devices[i] = subscriptions.Device{
			Thing: d.Thing, Labels: d.Labels, OwnShadows: own, OwnLine: line, NoShadow: d.Shadow == "none", Line: d.Line,
		}
	}
	return site
}

// Names returns the functions and pins that rows may name.
func (c *Config) Names() subscriptions.Names {
	var n subscriptions.Names
	for _, f := range c.Functions {
		n.Functions = append(n.Functions, f.Name)
	}
	if c.GPIO != nil {
		n.Pins = c.GPIO.Names()
	}
	return n
}
