package functions

import (
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robfig/cron/v3"
)

// function is one function of the file: its queue and its instances.
type function struct {
	m       *Manager
	name    string
	log     *slog.Logger
	journal *journal
	kick    chan struct{}  // its goroutine has something to look at
	binary  atomic.Bool    // its events may be any bytes
	answers sync.WaitGroup // of functions, and of what is told of calls, on their way

	// mu guards what follows, its calls and its instances.
	mu         sync.Mutex
	c          *Config // replaced, never changed
	version    int     // rises when c asks for other instances
	waiting    list    // calls in order
	later      list    // calls that failed and are due later
	idle       []*instance
	instances  []*instance
	running    int // calls that instances have
	starting   int // instances that have not asked for work
	phase      phase
	wakeAt     time.Time // when its goroutine looks by itself; zero: not
	failures   int       // unasked ends in a row
	startAfter time.Time // back-off
	pause      time.Duration
	cron       cron.Schedule
	tick       time.Time // of the schedule, next; zero: none
	told       []*call   // have ended, and are to be told after mu
	stats      counters
}

// phase is what a function does about its calls.
type phase uint8

const (
	working  phase = iota
	leaving        // it is not in the file any more: its instances end with their calls
	stopping       // so does the gateway
)

func newFunction(m *Manager, c Config) (*function, error) {
	f := &function{
		m: m, name: c.Name, log: m.log.With("function", c.Name),
		kick: make(chan struct{}, 1),
	}
	var err error
	if f.journal, err = m.journal(c.Name); err != nil {
		return nil, err
	}
	_, err = f.configure(c)
	return f, err
}

// configure takes up c, and reports whether that asks for other instances. The caller
// holds f.mu, or has f alone.
func (f *function) configure(c Config) (others bool, err error) {
	f.cron = nil
	if c.Cron != "" {
		if f.cron, err = ParseCron(c.Cron); err != nil {
			return false, err
		}
	}
	if others = f.c == nil || !reflect.DeepEqual(ofInstances(*f.c), ofInstances(c)); others {
		f.version++
	}
	f.c = &c
	f.binary.Store(c.Encoding == EncodingBinary)
	f.tick = time.Time{}
	return others, nil
}

// ofInstances is what of a configuration its instances depend on.
func ofInstances(c Config) Config {
	c.Queue, c.Concurrency, c.Idle, c.Retries, c.ReplyTo, c.Every, c.Cron = Queue{}, 0, 0, 0, "", 0, ""
	return c
}

// unlock gives f.mu back and tells what became of calls.
func (f *function) unlock() {
	told := f.told
	f.told = nil
	if len(told) == 0 {
		f.mu.Unlock()
		return
	}
	f.answers.Add(1) // the end waits until all is told
	f.mu.Unlock()
	for _, c := range told {
		f.tell(c)
	}
	f.answers.Done()
}

// tell says what became of a call that has ended. Nobody holds a lock.
func (f *function) tell(c *call) {
	if c.onStored != nil && c.seq == 0 {
		c.onStored(nil) // a call that a bound gives up has been dealt with
	}
	if c.counted {
		f.m.o.Settled(Settlement{Route: c.route, Verdict: c.end.verdict, Reason: c.end.reason, N: 1})
	}
	if c.result != nil && c.end.verdict != Done {
		failure := c.end.failure
		o := outcome{failure: &failure, instance: c.by, started: c.started}
		if !c.started.IsZero() {
			o.duration = time.Since(c.started)
		}
		switch c.end.reason {
		case ReasonStopped:
			o.err = ErrStopped
		case ReasonGone:
			o.err = ErrNoFunction
		case ReasonNoRow:
			o.err = ErrNoRow
		case ReasonOldest, ReasonNewest:
			o.err = ErrFull
		}
		c.result <- o
	}
}

// wake has the goroutine of f look again.
func (f *function) wake() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

// dispatch hands calls to instances that wait for one. The caller holds f.mu.
func (f *function) dispatch(now time.Time) {
	for len(f.idle) > 0 {
		c := f.take(now)
		if c == nil {
			break
		}
		last := len(f.idle) - 1
		in := f.idle[last] // the one that was used last, so that the others may end
		f.idle[last] = nil
		f.idle = f.idle[:last]
		in.assign(c, now)
		in.waiter <- c
		in.waiter = nil
	}
	if f.waiting.n > 0 && f.phase == working {
		f.wakeBy(f.relief(now))
	}
}

// wakeBy has the goroutine of f look at t, at once if that is past; zero: it need not.
// The caller holds f.mu.
func (f *function) wakeBy(t time.Time) {
	if !t.IsZero() && (f.wakeAt.IsZero() || t.Before(f.wakeAt)) {
		f.wakeAt = t
		f.wake()
	}
}

// nearly is how long an instance that has answered is trusted to ask for its next call,
// before another is started for it: it asks at once, unless it hangs.
const nearly = 100 * time.Millisecond

// relief is when something is to be done about the calls that wait: an instance started,
// or one ended that hangs; zero: it is done. The caller holds f.mu.
func (f *function) relief(now time.Time) time.Time {
	free, asks := 0, time.Time{} // instances about to ask, and until when that is believed
	for _, in := range f.instances {
		if !in.between() {
			continue
		}
		limit := in.freeSince.Add(nearly)
		if len(f.instances) >= f.most() { // no other can be started
			limit = in.freeSince.Add(f.c.Timeout)
		}
		if now.Before(limit) {
			free++
		}
		if asks.IsZero() || limit.Before(asks) {
			asks = limit
		}
	}
	if len(f.instances) < f.most() && f.waiting.n > f.starting+len(f.idle)+free {
		return f.startAfter.Add(1) // a time that is past, or that of the back-off
	}
	return asks
}

// most is how many instances there may be.
func (f *function) most() int {
	if f.c.Pinned {
		return 1
	}
	return f.c.Concurrency
}

// forget takes an instance off the list of those that wait for a call.
func (f *function) forget(in *instance) {
	in.waiter = nil
	if i := slices.Index(f.idle, in); i >= 0 {
		f.idle = slices.Delete(f.idle, i, i+1)
	}
}
