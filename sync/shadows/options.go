package shadows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// Link is the connection to the cloud as the reconciler needs it.
type Link interface {
	// Connected reports whether Send would be heard; the filters of Filters are
	// subscribed to then.
	Connected() bool
	// Changed returns a channel that is closed at the next change of Connected.
	Changed() <-chan struct{}
	// Send publishes at QoS 1. It blocks while the limits want it. When it
	// returns an error nothing was sent: ErrOffline, *Never, that of ctx, or
	// another one for "later". Otherwise done is called once, by any goroutine:
	// with nil when the cloud has the message, ErrLost when the connection ended
	// before it said so, *Never when it refused it, or another error when it
	// refused it for now.
	Send(ctx context.Context, topic string, payload []byte, done func(error)) error
	// Names lists the named shadows that a thing has in the cloud.
	Names(ctx context.Context, thing string) ([]string, error)
}

// Errors of a Link.
var (
	// ErrOffline: there is no connection.
	ErrOffline = errors.New("not connected to the cloud")
	// ErrLost: the connection ended before the acknowledgement.
	ErrLost = errors.New("the connection ended before the cloud acknowledged")
)

// Never says that the cloud will not take a message, however often it is sent.
type Never struct{ Err error }

func (e *Never) Error() string { return e.Err.Error() }
func (e *Never) Unwrap() error { return e.Err }

// Direction says which side may change the other.
type Direction uint8

// The directions.
const (
	Both Direction = iota
	Up             // the cloud is made equal to the gateway
	Down           // the gateway is made equal to the cloud
)

var directionNames = [...]string{Both: "both", Up: "up", Down: "down"}

// String returns the word of the group file.
func (d Direction) String() string { return directionNames[d] }

// MarshalText is for JSON.
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the word of the group file.
func (d *Direction) UnmarshalText(text []byte) error {
	for i, name := range directionNames {
		if string(text) == name {
			*d = Direction(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no direction (write both, up or down)", text)
}

// Options say what a Reconciler works with.
type Options struct {
	Shadows *localshadow.Service
	DB      *sqlite.DB // that of Shadows
	Link    Link
	// Cloud names the cloud that Link leads to, so that what another one was known to have
	// is not taken for what this one has lost. Empty: it is always the same.
	Cloud string
	// Things says whose shadows are synced. It is asked at each connection and
	// at Refresh. The map is the reconciler's to keep.
	Things func() map[string]Direction
	Rate   Rate             // what is zero: as in DefaultRate
	Timing Timing           // what is zero: as in DefaultTiming
	Now    func() time.Time // of what is shown; no decision rests on it. Nil: time.Now
	Log    *slog.Logger     // nil is silent
}

// Rate bounds what is under way. The limits of the connection in all are the
// link's to keep.
type Rate struct {
	Exchanges int // shadows that are in an exchange at a time, without live ones
	Live      int // as many more may be, whose change somebody waits for
	PerThing  int // requests a second for the shadows of one thing; negative: no limit
	InFlight  int // requests of one thing without answer
}

// DefaultRate stays below AWS's limits: 20 requests a second and 10 in flight for
// each thing.
func DefaultRate() Rate { return Rate{Exchanges: 64, Live: 32, PerThing: 18, InFlight: 8} }

// Timing says how long is waited for what.
type Timing struct {
	Answer   time.Duration // of the cloud, to one request
	Reorder  time.Duration // for a notification that another has overtaken
	Retry    time.Duration // the first ceiling of a wait after a refusal "for now"
	RetryMax time.Duration // and the last
	Names    time.Duration // of one listing
}

// DefaultTiming returns the times for a link as slow as AWS allows.
func DefaultTiming() Timing {
	return Timing{
		Answer: 10 * time.Second, Reorder: 500 * time.Millisecond,
		Retry: time.Second, RetryMax: 2 * time.Minute, Names: 30 * time.Second,
	}
}

func (o *Options) complete() error {
	switch {
	case o.Shadows == nil, o.DB == nil, o.Link == nil, o.Things == nil:
		return errors.New("set up the shadow reconciler: shadows, database, link or things are missing")
	}
	r, t := DefaultRate(), DefaultTiming()
	o.Rate = Rate{
		Exchanges: cmp.Or(o.Rate.Exchanges, r.Exchanges), Live: cmp.Or(o.Rate.Live, r.Live),
		PerThing: cmp.Or(o.Rate.PerThing, r.PerThing), InFlight: cmp.Or(o.Rate.InFlight, r.InFlight),
	}
	o.Timing = Timing{
		Answer: cmp.Or(o.Timing.Answer, t.Answer), Reorder: cmp.Or(o.Timing.Reorder, t.Reorder),
		Retry: cmp.Or(o.Timing.Retry, t.Retry), RetryMax: cmp.Or(o.Timing.RetryMax, t.RetryMax),
		Names: cmp.Or(o.Timing.Names, t.Names),
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler)).With("component", "sync")
	return nil
}
