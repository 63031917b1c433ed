// Package subscriptions is the subscription table: the rows of the group file
// without which nothing passes, and the index that answers, for a source and a
// topic, who may receive, in time that does not depend on the number of rows.
//
// Check tells every fault of the rows, Compile makes a Table of rows without
// faults, Table.Lookup is asked by the gate, and Table.Explain answers a
// person by the same Lookup. Around the table stand a Recorder of what it refuses,
// Generalise, which finds rows that would allow that, and Lint, which finds rows
// that are not needed. The package imports core/message only; configs and cmd
// import it.
//
// Concurrency: a Table never changes after Compile. All its methods, and those
// of a Match, may be called from any number of goroutines without a lock. A
// Recorder has a lock of its own; Generalise and Lint keep no state.
package subscriptions

import (
	"encoding/binary"
	"time"
)

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
	May []string `yaml:"may" empty:"told"`
	To  Ends     `yaml:"to" empty:"told"`
	// What follows concerns messages that wait for the cloud. Empty and zero:
	// the defaults.

	// Priority is high, normal or low; TTL is how long a message keeps its worth.
	Priority string        `yaml:"priority" zero:"absent"`
	TTL      time.Duration `yaml:"ttl" zero:"absent"`
	// WhenFull is drop_oldest, drop_newest or thin; Keep is the n of thin: every
	// n-th message is kept. Empty: as the cloud section says.
	WhenFull string `yaml:"when_full" zero:"absent"`
	Keep     int    `yaml:"keep" zero:"absent"`
	// LiveShare is the part of what is sent, in percent, that new messages get
	// while a backlog drains. Overtake lets them go before the backlog of their
	// own source and topic, too.
	LiveShare int  `yaml:"live_share"`
	Overtake  bool `yaml:"overtake"`
	// Batch puts JSON messages of one source and topic together in an array.
	Batch *Batch `yaml:"batch"`

	// Durable is for rows to functions: a message waits for its function on disk
	// and leaves it when the function has answered.
	Durable bool `yaml:"durable"`

	// Line and Column are where the row begins in the file, from 1.
	Line, Column int `yaml:"-"`
	// Text is the row as the file writes it, for people.
	Text string `yaml:"-"`
}

// Batch bounds the arrays in which messages go to the cloud.
type Batch struct {
	MaxSize int64         `yaml:"max_size" unit:"bytes"` // bytes of payload, up to 128KiB
	MaxAge  time.Duration `yaml:"max_age"`               // how long the first message waits for others
}

// Spooling is how the messages of a row wait for the cloud, or for a function
// (Durable). The fields are as in Row; a Batch without MaxSize is none.
type Spooling struct {
	Priority  string
	TTL       time.Duration
	WhenFull  string
	Keep      int
	LiveShare int
	Overtake  bool
	Batch     Batch
	Durable   bool
}

func (r *Row) spooling() Spooling {
	s := Spooling{
		Priority: r.Priority, TTL: r.TTL, WhenFull: r.WhenFull, Keep: r.Keep, LiveShare: r.LiveShare, Overtake: r.Overtake,
		Durable: r.Durable,
	}
	if r.Batch != nil {
		s.Batch = *r.Batch
	}
	return s
}

// appendCanonical appends what the row says to b. Rows that say the same, however the
// file spells it, append the same.
func (r *Row) appendCanonical(b []byte) []byte {
	b = appendEnds(b, r.From)
	if r.Shadow != "" {
		b = append(appendText(b, r.Shadow), 's', byte(parseOps(r.May)))
	} else {
		b = append(appendEnds(appendText(b, r.Topic), r.To), 't')
	}
	s := r.spooling()
	if s.Priority == "normal" {
		s.Priority = ""
	}
	if s == (Spooling{}) {
		return b
	}
	b = append(appendText(appendText(b, s.Priority), s.WhenFull), truth(s.Overtake), truth(s.Durable))
	for _, n := range []int64{int64(s.TTL), int64(s.Keep), int64(s.LiveShare), s.Batch.MaxSize, int64(s.Batch.MaxAge)} {
		b = binary.AppendVarint(b, n)
	}
	return b
}

func appendEnds(b []byte, ends Ends) []byte {
	var room [8]string
	texts := canonicalEnds(room[:0], ends)
	b = binary.AppendUvarint(b, uint64(len(texts)))
	for _, text := range texts {
		b = appendText(b, text)
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func truth(is bool) byte {
	if is {
		return 1
	}
	return 0
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
	// OwnShadows lets it use its own shadows without a row; OwnLine is where the file
	// says so, or the contrary, of the device or of all: 0 is nowhere.
	OwnShadows bool
	OwnLine    int
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
