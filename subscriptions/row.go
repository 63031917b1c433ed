// Package subscriptions is the subscription table: the rows of the group file
// without which nothing passes, and the index that answers, for a source and a
// topic, who may receive, in time that does not depend on the number of rows.
//
// Check tells every fault of the rows, Compile makes a Table of rows without
// faults, Table.Lookup is asked by the gate, and Table.Explain answers a
// person by the same Lookup. The package imports core/message only; configs
// and cmd import it.
//
// Concurrency: a Table never changes after Compile. All its methods, and those
// of a Match, may be called from any number of goroutines without a lock.
package subscriptions

import "time"

// Row is one row of the `subscriptions` list as it stands in the group file.
// It has either topic and to, or shadow.
type Row struct {
	// From is who publishes, To who may receive: device:NAME, a bare thing
	// name without a colon, device:*, label:L, function:NAME, gpio:NAME,
	// shadow or cloud.
	From Ends `yaml:"from"`
	// Topic is a topic filter in which ${from} and ${to} stand for the thing
	// names of the two ends, as a whole level or within one.
	Topic string `yaml:"topic"`
	// Shadow is the thing whose shadows, classic and named, From may use. It
	// stands for all rows there and back.
	Shadow string `yaml:"shadow"`
	// May is what From may do with them: get, update, delete, watch. Nil is
	// all four.
	May []string `yaml:"may"`
	To  Ends     `yaml:"to"`
	// Priority is high, normal or low, TTL how long a message keeps its worth;
	// both concern what waits for the cloud. Empty and zero: the defaults.
	Priority string        `yaml:"priority"`
	TTL      time.Duration `yaml:"ttl"`

	// Line and Column are where the row begins in the file, from 1.
	Line, Column int `yaml:"-"`
	// Text is the row as the file writes it, for people.
	Text string `yaml:"-"`
}

// Ends is one side of a row: in the file one string or a list of them.
type Ends []string

// Site is what the table has to know of the group.
type Site struct {
	Core    string // the thing name of the gateway, which is no device
	Devices []Device
}

// Device is one device of the group.
type Device struct {
	Thing  string
	Labels []string
	// OwnShadows lets it use its own shadows without a row.
	OwnShadows bool
	// NoShadow says that it has no shadow at all; OwnShadows counts for
	// nothing then.
	NoShadow bool
	Line     int // in the file, from 1; 0 is unknown
}

// Names are the other names that a row may hold.
type Names struct {
	Functions []string
	Pins      []string
}

// Fault is one thing that is wrong with a row.
type Fault struct {
	Row int // index in the rows
	// Key is the key within the row, with an index where its value is a list
	// of several: from, to[1], may[0]. Empty is the row as a whole.
	Key string
	// Value is what the file holds there, Problem what is wrong with it, as a
	// clause without capital and full stop, and Hint what to write instead.
	Value, Problem, Hint string
	// Warning marks what is legal but hardly meant.
	Warning bool
}
