package functions

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"greengate/core/message"
	"greengate/core/sqlite"
	"greengate/functions/endpoint"
	"greengate/functions/sandbox"
)

// Options say what a Manager is made of. Those marked optional may be zero.
type Options struct {
	Functions []Config
	// Dir is the folder for logs, scratch folders and shims. It is made.
	Dir string
	// DB has the schema of Migrations. It must run longer than the Manager.
	DB      *sqlite.DB
	Sandbox *sandbox.Sandbox
	// Home returns what a function can reach, under its own identity. Optional.
	Home func(function string) endpoint.Home
	// Hidden are paths that no function may reach: keys, data, the control socket.
	Hidden []string
	// Reply publishes the answer of a function with reply_to. Optional.
	Reply func(ctx context.Context, function, topic string, payload []byte) error
	// Settled is told what became of calls, once each. It must not block, nor call the
	// Manager. Optional.
	Settled func(Settlement)
	// Requeued is told that n calls of a route were put back from quarantine, before
	// anything becomes of them. It must not block. Optional.
	Requeued func(route string, n int)
	// Stands tells whether the table in force lets a message of source on topic go to a
	// function. It is asked of each call that came by a row, as it is made, and of those that
	// wait by Recheck. It must not block, nor call the Manager. Optional.
	Stands func(source, topic, function string) bool
	// Region and Account are those of the ARNs that functions see.
	Region, Account string
	Log             *slog.Logger // optional
	Bounds          Bounds       // optional
}

// Bounds are those of time and memory that the group file does not set. A field that is
// zero has the default.
type Bounds struct {
	Grace          time.Duration // that running calls get at the end: 10 s
	Init           time.Duration // from the start of a process to its first call for work: 30 s
	FirstBackOff   time.Duration // before a crashed instance is started again: 100 ms
	LastBackOff    time.Duration // the longest: 1 min
	FirstRetry     time.Duration // before a failed call is tried again: 200 ms
	LastRetry      time.Duration // the longest: 30 s
	Payload        int           // bytes of an event: 6 MiB, as AWS Lambda
	Quarantined    int           // calls in quarantine: 1000
	QuarantineSize int64         // bytes of payload there: 16 MiB
	Scratch        int64         // bytes in the scratch folder of an instance: 512 MiB, as AWS Lambda
	ScratchFiles   int           // files and folders there: 10,000
	LogSize        int64         // bytes of each of the two log files of a function: 1 MiB
	LogLine        int           // bytes of a line of a function: 8 KiB
	LogRate        int           // lines a second: 100
	LogBurst       int           // lines at once: 1000
}

func (b Bounds) withDefaults() Bounds {
	return Bounds{
		Grace:          cmp.Or(b.Grace, 10*time.Second),
		Init:           cmp.Or(b.Init, 30*time.Second),
		FirstBackOff:   cmp.Or(b.FirstBackOff, 100*time.Millisecond),
		LastBackOff:    cmp.Or(b.LastBackOff, time.Minute),
		FirstRetry:     cmp.Or(b.FirstRetry, 200*time.Millisecond),
		LastRetry:      cmp.Or(b.LastRetry, 30*time.Second),
		Payload:        cmp.Or(b.Payload, 6<<20),
		Quarantined:    cmp.Or(b.Quarantined, 1000),
		QuarantineSize: cmp.Or(b.QuarantineSize, 16<<20),
		Scratch:        cmp.Or(b.Scratch, 512<<20),
		ScratchFiles:   cmp.Or(b.ScratchFiles, 10_000),
		LogSize:        cmp.Or(b.LogSize, 1<<20),
		LogLine:        cmp.Or(b.LogLine, 8<<10),
		LogRate:        cmp.Or(b.LogRate, 100),
		LogBurst:       cmp.Or(b.LogBurst, 1000),
	}
}

// Call is a message for a function.
type Call struct {
	Function string
	Message  *message.Message
	Route    string // the key of the row by which it came
	Durable  bool
	// Stored is called once for a durable call, when it is on the disk or will not be.
	// It must not block, nor call the Manager.
	Stored func(error)
}

// Errors of Put, Invoke and others. They say that nothing was taken and nothing will be told.
var (
	ErrNoFunction = errors.New("there is no such function")
	ErrTooLarge   = errors.New("the payload is larger than an event may be")
	ErrStopped    = errors.New("the functions have stopped")
	// ErrFull: the queue of the function gave the call up; of Invoke only.
	ErrFull = errors.New("the queue of the function is full")
	// ErrNoRow: a reload took the row while the call waited; of InvokeFrom only.
	ErrNoRow = errors.New("no row lets the call pass any more")
	// ErrBehind: as many durable calls wait for the disk as may.
	ErrBehind = errors.New("the disk is too slow for what comes in")
)

// Verdict is what became of a call.
type Verdict uint8

// The verdicts.
const (
	Done        Verdict = iota + 1 // the function answered
	Failed                         // it did not, as often as it was tried
	Dropped                        // a bound, a reload or the end gave it up
	Expired                        // its message's time ran out before its turn
	Quarantined                    // it failed, or has no function any more, and is durable
)

var verdictNames = [...]string{Done: "done", Failed: "failed", Dropped: "dropped", Expired: "expired", Quarantined: "quarantined"}

// String returns the verdict as a word.
func (v Verdict) String() string { return verdictNames[v] }

// The reasons of calls that were not answered, stable words.
const (
	ReasonError     = "function-error"   // the function reported an error
	ReasonTimeout   = "function-timeout" // it took longer than its timeout
	ReasonExit      = "function-exit"    // its instance ended
	ReasonNotJSON   = "not-json"         // the payload cannot be the event of this function
	ReasonOldest    = "full-oldest"      // given up for a newer one
	ReasonNewest    = "full-newest"      // did not find room
	ReasonTTL       = "ttl"              // Expired
	ReasonGone      = "function-gone"    // the group file has the function no more
	ReasonNoRow     = "row-gone"         // no row lets it pass any more
	ReasonStopped   = "stopped"          // the gateway ended first
	ReasonNotStored = "not-stored"       // the database ended before it was on the disk
)

// Settlement says that N calls of a route have met the same end.
type Settlement struct {
	Route   string // Call.Route
	Verdict Verdict
	Reason  string // empty for Done
	N       int
}

// Failure is how a function reports that it failed.
type Failure struct {
	Type    string   `json:"type"`
	Message string   `json:"message"`
	Trace   []string `json:"trace,omitempty"`
}

// Result is what came of Invoke.
type Result struct {
	Payload  []byte
	Failure  *Failure // nil: it answered
	Duration time.Duration
	Logs     []Line // what the instance wrote meanwhile
}

// Line is one line that a function wrote.
type Line struct {
	Time     time.Time `json:"time"`
	Stream   string    `json:"stream"`   // stdout, stderr, or gateway for what it says about them
	Instance string    `json:"instance"` // NAME/N of this run
	Text     string    `json:"text"`
}

// Record is a call in quarantine.
type Record struct {
	Seq      int64     `json:"seq"`
	Function string    `json:"function"`
	Route    string    `json:"route"`
	Reason   string    `json:"reason"` // a Reason word
	Cause    string    `json:"cause"`  // the last failure in words
	At       time.Time `json:"at"`     // when it came there
	ID       string    `json:"id"`     // the request id
	Source   string    `json:"source"`
	Topic    string    `json:"topic"`
	Payload  []byte    `json:"payload"`
}

// reasonDamaged is why a call is in quarantine that nobody may make any more.
const reasonDamaged = "damaged"

// State is how a function is.
type State string

// The states.
const (
	Idle     State = "idle"     // no instance; one starts with the next call
	Starting State = "starting" // instances that do not ask for work yet
	Running  State = "running"
	BackOff  State = "backoff" // it ended unasked, and waits before the next start
	Broken   State = "failed"  // so often that the wait is the longest
	Stopped  State = "stopped"
)

// Stats are the figures of a function since the start of the gateway.
type Stats struct {
	Name          string
	Pinned        bool
	State         State
	Instances     int
	Queued        int // calls that wait
	QueuedBytes   int64
	Running       int    // calls that instances have
	Durable       int    // of both, those on the disk
	Calls         uint64 // answered or failed, each try
	Errors        uint64 // tries that the function failed, by error, exit or timeout
	Timeouts      uint64 // of them
	Retries       uint64
	Restarts      uint64            // instances that ended unasked
	Dropped       uint64            // calls given up by a bound, a reload or the end
	Ends          map[string]uint64 // calls that were settled: done, or the reason
	Skipped       uint64            // times of the schedule at which the last call still waited
	Refused       uint64            // requests of instances that were out of order
	ReplyErrors   uint64
	Quarantined   int    // calls in quarantine now
	Last          string // the last error; empty: none
	LastAt        time.Time
	P50, P99, Max time.Duration // of answered calls
	Memory        int64         // bytes of all instances, -1: not known
	LogsDropped   uint64        // lines
	NextStart     time.Time     // in back-off
	NextTime      time.Time     // of the schedule
}

// Fault is what a person has to look at.
type Fault struct {
	Function string // empty: of all
	Message  string
	NextStep string // what to do about it
	Since    time.Time
}
