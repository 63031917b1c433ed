// Package streams is what the two sides of the power-cut test agree on: which
// numbered messages the writer in the virtual machine sends, and the notes that
// it leaves of what became of them. testvm/writer and the tests in testvm import
// it; it imports nothing of ours.
//
// A Board may be used by several goroutines.
package streams

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"syscall"
)

// Stream is a row of messages with the numbers 1, 2, 3...
type Stream struct {
	Thing string // that publishes it
	Topic string
	Store Store // in which database it ends
}

// Store is where the gateway keeps a stream.
type Store int

// The stores, each with its database.
const (
	Session Store = iota // messages for the device Reader, which is away
	Spool                // messages for the cloud
	Shadow               // updates of a shadow: {"state":{"reported":{"n":N}}}
	Kept                 // retained messages
	Stores               // how many there are
)

func (s Store) String() string { return [...]string{"sessions", "spool", "shadows", "retained"}[s] }

// Late is a device that subscribes when all is over, and gets what was retained.
const Late = "late"

// Reader is the device that is away most of the time, and Filter what it has
// subscribed to.
const (
	Reader = "reader"
	Filter = "away/#"
)

// All are the streams. A Note names one by its index.
var All = []Stream{
	{"sensor", "away/sensor", Session},
	{"meter", "away/meter", Session},
	{"thermo", "sensors/thermo/n", Spool},
	{"hygro", "sensors/hygro/n", Spool},
	{"lamp", "$aws/things/lamp/shadow/update", Shadow},
	{"valve", "$aws/things/valve/shadow/name/plan/update", Shadow},
	{"clock", "kept/clock", Kept},
}

// Synced tells whether a topic in the cloud is of the sync of shadows. What it carries
// is made by the gateway, and no number of a stream.
func Synced(topic string) bool { return strings.HasPrefix(topic, "$aws/") }

// Of returns the stream of a topic.
func Of(topic string) (stream int, ok bool) {
	for i, s := range All {
		if s.Topic == topic {
			return i, true
		}
	}
	return 0, false
}

// ShadowName is the name of the shadow that a stream updates; "" is the classic one.
func (s Stream) ShadowName() string {
	_, name, _ := strings.Cut(strings.TrimSuffix(s.Topic, "/update"), "/name/")
	return name
}

// body is a numbered message: the Number of the cloud's stand-in, and the update
// of a shadow. The padding lets rows span the pages of a database.
type body struct {
	Publisher string    `json:"publisher,omitempty"`
	Seq       int       `json:"seq,omitempty"`
	State     *document `json:"state,omitempty"`
	Padding   string    `json:"padding,omitempty"`
}

type document struct {
	Reported struct {
		N int `json:"n"`
	} `json:"reported"`
}

// Payload is the message with number n.
func (s Stream) Payload(n int) []byte {
	b := body{Publisher: s.Thing, Seq: n, Padding: strings.Repeat("power", n*37%4000)}
	if s.Store == Shadow {
		b = body{State: new(document)}
		b.State.Reported.N = n
	}
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // numbers and texts always have a JSON form
	}
	return text
}

// Number reads the number of a payload, or of a shadow's document; 0: it has none.
func Number(payload []byte) int {
	var b body
	if json.Unmarshal(payload, &b) != nil {
		return 0
	}
	if b.State != nil {
		return b.State.Reported.N
	}
	return b.Seq
}

// Window is how many messages of a stream may be under way without an answer, and
// Restarts how often the gateway ends in a run, so that the writer sends those
// again.
const (
	Window   = 12
	Restarts = 4
)

// FileSystem is how much of the disk is ext4, in bytes. The notes stand behind it.
const FileSystem = 192 << 20

// Disk is the size of the whole disk in bytes.
const Disk = FileSystem + 1<<20

// Sector is the size of a note on the disk.
const Sector = 512

// Event is what happened to a message.
type Event string

// The events. A stream of shadow updates has no Taken, and none but Session a
// Subscribed.
const (
	Subscribed   Event = "subscribed"   // the reader has its SUBACK; N is 0
	Acknowledged Event = "acknowledged" // the gateway has answered for all up to N
	Taken        Event = "taken"        // the receiver has all up to N, and is about to say so
)

var slots = map[Event]int{Subscribed: 0, Acknowledged: 1, Taken: 2}

// Note says that an event has happened.
type Note struct {
	Stream int
	Event  Event
	N      int
}

// ParseNote reads the sector of a note.
func ParseNote(sector []byte) (n Note, ok bool) {
	line, _, _ := bytes.Cut(sector, []byte("\n"))
	_, err := fmt.Sscanf(string(line), "note %d %s %d", &n.Stream, &n.Event, &n.N)
	return n, err == nil && n.Stream >= 0 && n.Stream < len(All)
}

// Board writes notes.
type Board struct {
	mu     sync.Mutex // protects sector
	fd     int
	sector []byte // of one note, aligned as O_DIRECT wants it
}

// OpenBoard opens the disk, past the file system that is mounted from it and past
// the cache: a note is on its way to the disk as soon as it is written, behind
// everything that the disk had acknowledged before. It asks for no flush, which
// would make the gateway's writes durable too.
func OpenBoard(device string) (*Board, error) {
	fd, err := syscall.Open(device, syscall.O_WRONLY|syscall.O_DIRECT, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", device, err)
	}
	page, err := syscall.Mmap(-1, 0, syscall.Getpagesize(), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("get memory for notes: %w", err)
	}
	return &Board{fd: fd, sector: page[:Sector]}, nil
}

// Write returns when the disk has the note.
func (b *Board) Write(n Note) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.sector)
	copy(b.sector, fmt.Sprintf("note %d %s %d\n", n.Stream, n.Event, n.N))
	at := FileSystem + int64(n.Stream*len(slots)+slots[n.Event])*Sector
	if _, err := syscall.Pwrite(b.fd, b.sector, at); err != nil {
		return fmt.Errorf("write a note: %w", err)
	}
	return nil
}
