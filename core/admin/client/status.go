package client

import (
	"encoding/json"
	"time"
)

// Status is the answer of `greengate status --json`. Its names are part of the
// contract with the outside: keys may be added, none may change or go. Lists
// are never null.
type Status struct {
	Group         string     `json:"group"`
	Core          string     `json:"core"` // thing name of the gateway
	Version       string     `json:"version"`
	UptimeSeconds int64      `json:"uptime_seconds"`
	Config        Config     `json:"config"`
	Cloud         Cloud      `json:"cloud"`
	Devices       []Device   `json:"devices"`
	Spool         Spool      `json:"spool"`
	Ledger        Ledger     `json:"ledger"`
	Routes        []Route    `json:"routes"`      // rows that were used
	Refusals      []Reason   `json:"refusals"`    // messages refused, by reason
	Drops         []Reason   `json:"drops"`       // messages dropped, by reason
	TurnedAway    []Reason   `json:"turned_away"` // connections and requests that discovery, the status page and the control socket refused, by door and reason
	LogDropped    []Reason   `json:"log_dropped"` // lines that the log lacks: too-many of one message, or stalled, when nobody took them
	Listeners     []Address  `json:"listeners"`
	Shadows       Shadows    `json:"shadows"`
	GPIO          []Pin      `json:"gpio"`
	Functions     []Function `json:"functions"`
	Writes        Writes     `json:"writes"`
	Faults        []Fault    `json:"faults"` // what is wrong now; empty when all is well
}

// Config tells which table is in force.
type Config struct {
	File       string    `json:"file"`
	Rows       int       `json:"rows"`       // of the subscription table
	Generation uint64    `json:"generation"` // 1 at start, one more with every table put in force
	LoadedAt   time.Time `json:"loaded_at"`
	Error      string    `json:"error"` // of the last reload; empty when it worked
}

// Cloud tells of the link to AWS IoT Core.
type Cloud struct {
	Configured bool `json:"configured"`
	Connected  bool `json:"connected"`
	// While configured:
	Endpoint       string     `json:"endpoint,omitempty"`     // host:port
	Since          *time.Time `json:"since,omitempty"`        // connected, or not, since then
	Error          string     `json:"error,omitempty"`        // of the last attempt that failed or connection that ended
	NextAttempt    *time.Time `json:"next_attempt,omitempty"` // while not connected
	Attempts       int        `json:"attempts"`               // that failed since the last connection
	Session        bool       `json:"session"`                // the cloud remembered the last connection
	Unacknowledged int        `json:"unacknowledged"`         // messages under way without PUBACK
}

// Device is a thing of the group file.
type Device struct {
	Thing     string     `json:"thing"`
	Labels    []string   `json:"labels"`
	Connected bool       `json:"connected"`
	Since     *time.Time `json:"since,omitempty"`    // of the last change, since the start
	Address   string     `json:"address,omitempty"`  // host:port of the live connection
	Protocol  string     `json:"protocol,omitempty"` // "MQTT 3.1.1" or "MQTT 5"
	Waiting   int        `json:"waiting"`            // messages queued for it or not yet acknowledged by it
}

// Spool is what waits on disk for the cloud.
type Spool struct {
	Messages      int64 `json:"messages"`
	Bytes         int64 `json:"bytes"`
	OldestSeconds int64 `json:"oldest_seconds"`
	// Of the messages, those that cannot be read for want of a key.
	Unreadable int64 `json:"unreadable,omitempty"`
	// What it takes on disk, and may take.
	DiskBytes int64 `json:"disk_bytes"`
	MaxBytes  int64 `json:"max_bytes"`
	// What the cloud can never take.
	Quarantined int64 `json:"quarantined"`
	// Since the start: acknowledged by the cloud, and sent again.
	Sent   uint64 `json:"sent"`
	Resent uint64 `json:"resent"`
	// Forecasts at the rates of the last minute; -1: never, or not known.
	FullInSeconds    int64 `json:"full_in_seconds"`
	DrainedInSeconds int64 `json:"drained_in_seconds"`
}

// Ledger counts messages per target since the start, and balances always:
// accepted = delivered + refused + expired + dropped + waiting.
type Ledger struct {
	Accepted  uint64 `json:"accepted"`
	Delivered uint64 `json:"delivered"`
	Refused   uint64 `json:"refused"`
	Expired   uint64 `json:"expired"`
	Dropped   uint64 `json:"dropped"`
	Waiting   uint64 `json:"waiting"`
}

// Route is a row of the subscription table with its own ledger.
type Route struct {
	Line int    `json:"line"` // in the group file
	Text string `json:"text"` // as the file writes it
	Ledger
}

// Reason is how often a thing happened for one reason.
type Reason struct {
	Reason string `json:"reason"` // a stable word such as no-row
	Count  uint64 `json:"count"`
}

// Address is one listener that is open.
type Address struct {
	Service string `json:"service"`          // "mqtt", "discovery" or "admin"
	Address string `json:"address"`          // host:port
	Scheme  string `json:"scheme,omitempty"` // of admin: "http" or "https"
}

// Shadows tells of the local shadow service.
type Shadows struct {
	Count    int64             `json:"count"` // that exist
	Bytes    int64             `json:"bytes"` // of their documents
	Waiting  int               `json:"waiting"`
	Accepted uint64            `json:"accepted"`       // requests, since the start
	Rejected map[string]uint64 `json:"rejected"`       // requests, by code
	List     []Shadow          `json:"list"`           // the first of them, in the order of their names
	Sync     *SyncStats        `json:"sync,omitempty"` // absent without a cloud
}

// SyncStats counts the shadows that are synced with the cloud, and what was done since
// the start.
type SyncStats struct {
	Shadows    int               `json:"shadows"`
	InStep     int               `json:"in_step"`
	Ahead      int               `json:"ahead"`  // the cloud lacks something
	Behind     int               `json:"behind"` // the gateway lacks something
	Asking     int               `json:"asking"` // the cloud is to be asked
	Blocked    int               `json:"blocked"`
	Conflicted int               `json:"conflicted"` // that had a conflict at some time
	Listing    bool              `json:"listing"`    // its named shadows are being listed: there may be more
	Asked      uint64            `json:"asked"`
	Written    uint64            `json:"written"`
	Applied    uint64            `json:"applied"`
	Conflicts  uint64            `json:"conflicts"` // values that both sides had changed
	Rejected   map[string]uint64 `json:"rejected"`  // by the code of the cloud
	Unknown    uint64            `json:"unknown"`   // requests whose answer did not come
	Retries    uint64            `json:"retries"`
}

// Writes are the bytes that the gateway wrote to the disk today, by the clock of the
// machine, or since its start if that is later.
type Writes struct {
	Since time.Time `json:"since"`
	Bytes int64     `json:"bytes"` // in all, by the kernel's count
	By    []Writer  `json:"by"`    // what the commits of each database wrote; the rest is other
}

// Writer is who wrote to the disk.
type Writer struct {
	Component string `json:"component"`
	Bytes     int64  `json:"bytes"`
}

// Fault is a thing that is wrong and stays wrong until somebody acts.
type Fault struct {
	Component string     `json:"component"`           // config, pki, broker...
	Message   string     `json:"message"`             // what is wrong
	NextStep  string     `json:"next_step,omitempty"` // what a person does about it
	Since     *time.Time `json:"since,omitempty"`
}

// MarshalJSON writes the empty lists as [].
func (s Status) MarshalJSON() ([]byte, error) {
	type plain Status // without this method
	p := plain(s)
	p.Devices = notNil(p.Devices)
	for i := range p.Devices {
		p.Devices[i].Labels = notNil(p.Devices[i].Labels)
	}
	p.Routes = notNil(p.Routes)
	p.Refusals = notNil(p.Refusals)
	p.TurnedAway = notNil(p.TurnedAway)
	p.LogDropped = notNil(p.LogDropped)
	p.Drops = notNil(p.Drops)
	p.Listeners = notNil(p.Listeners)
	p.Shadows.List = notNil(p.Shadows.List)
	if p.Shadows.Rejected == nil {
		p.Shadows.Rejected = map[string]uint64{}
	}
	p.GPIO = notNil(p.GPIO)
	p.Functions = notNil(p.Functions)
	p.Writes.By = notNil(p.Writes.By)
	p.Faults = notNil(p.Faults)
	return json.Marshal(p)
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
