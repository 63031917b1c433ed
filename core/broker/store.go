package broker

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"greengate/core/router"
	"greengate/core/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the schema of the database that Options.DB is opened with.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return sub
}

// patience is how long a message for a connected client may wait for its
// acknowledgement before it is written to disk. Most never are: so a message
// costs the card nothing while its client is there, and the publisher's PUBACK
// leaves when the message is safe either way.
const patience = 20 * time.Millisecond

// store writes sessions and retained messages to disk. What is to be written
// gathers in lists; one goroutine turns each list into one function of the next
// group commit. A nil store keeps nothing.
type store struct {
	db   *sqlite.DB
	log  *slog.Logger
	wake chan struct{}
	port *router.Port // for the batches of run

	// whole is held for reading while a QoS 2 message is routed, so that all changes that
	// belong to it are in one list.
	whole sync.RWMutex

	// Owned by run, once it runs.
	clock   reckoning // by which the times in the database are, or will be next
	ahead   int64     // how far that is ahead of the one by which they were written, in ms
	stuck   []op      // what the disk did not take
	chunk   int       // how many of them to try at once
	retryAt time.Time // not before, unless there is room
	last    error     // that the disk gave for the last list

	mu     sync.Mutex
	next   int64  // n of the next message
	later  []lazy // in the order of their time
	now    []op
	rows   map[string]*retainedRow // those that now has, by topic
	fault  error                   // that the disk gave; nil when nothing is stuck
	since  time.Time
	behind int // changes that are stuck
	lost   int // changes that were given up since
}

// lazy is a message that is written unless it is acknowledged in time.
type lazy struct {
	due time.Time
	s   *session
	p   *pending
}

// op is one change of the database.
type op struct {
	run  func(tx *sqlite.Tx) error
	done func() // runs after the commit; nil: nobody waits
	// safe: done says that the change is on disk, so that it waits until that is so.
	// Otherwise it runs even if the disk has failed, and the change is made later.
	safe bool
	key  key // of ops with the same key only the last counts; zero: it counts by itself
	// undoes: it takes away what the op before it with this key brings, and is needless
	// if that was never written.
	undoes bool
	// alters: it takes the place of what the op before it with this key brings, written
	// or not.
	alters bool
	// passed runs after the commit, or when the disk has failed.
	passed func()

	source  string // of the message that it writes
	to      string // the thing that this message is for
	session string // the thing whose session it changes
	ends    bool   // that session: messages for it are needless
	refused bool   // the disk had no room for it alone; see retry
}

// key names the row that an op writes.
type key struct {
	n     int64  // of the queue
	topic string // of a retained message
}

func newStore(db *sqlite.DB, log *slog.Logger) *store {
	if db == nil {
		return nil
	}
	return &store{db: db, log: log, wake: make(chan struct{}, 1), next: 1}
}

// do has a change written with the next group.
func (st *store) do(o op) {
	if st == nil {
		if o.done != nil {
			o.done()
		}
		return
	}
	st.mu.Lock()
	st.now = append(st.now, o)
	st.mu.Unlock()
	st.poke()
}

func (st *store) poke() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// keep takes a message in: it is written at once, or unless it is acknowledged
// in time. The caller holds s.mu.
func (st *store) keep(s *session, p *pending, atOnce bool) {
	st.mu.Lock()
	p.n = st.next
	st.next++
	if !atOnce {
		p.disk = onTheWay
		st.later = append(st.later, lazy{time.Now().Add(patience), s, p})
	} else {
		st.save(s, p)
	}
	first := len(st.later) == 1
	st.mu.Unlock()
	if atOnce || first {
		st.poke()
	}
}

// save has a message written. The caller holds s.mu and st.mu.
func (st *store) save(s *session, p *pending) {
	p.disk = written
	row := rowOf(s.thing, p)
	o := op{key: key{n: p.n}, source: row.source, to: s.thing, safe: true, run: row.insert, done: func() {
		s.mu.Lock()
		r := p.receipt
		p.receipt = nil
		s.mu.Unlock()
		if r != nil {
			r.Done()
		}
	}}
	if p.barred {
		o.passed = func() { s.passes(p) }
	}
	st.now = append(st.now, o)
}

// forget takes a message off the disk that was, or is about to be, written. The
// caller holds s.mu.
func (st *store) forget(thing string, n int64, qos byte) {
	run := func(tx *sqlite.Tx) error { return tx.Exec("DELETE FROM queue WHERE n = ?", n) }
	if qos == 2 {
		run = forgetFlow(thing, n)
	}
	st.do(op{key: key{n: n}, undoes: true, run: run})
	at(pointForgotten)
}

// run writes until ctx is cancelled, and then what is left, if the disk takes it.
func (st *store) run(ctx context.Context, believed func() bool) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	st.align()
	for {
		ending := ctx.Err() != nil
		st.realign(believed)
		ops, next := st.gather(ending)
		took := st.commit(st.unbarred(ops))
		if len(st.stuck) > 0 && (ending || !time.Now().Before(st.retryAt)) {
			took = st.retry() || took
		}
		st.port.Flush()
		switch {
		case ending && !took:
			return
		case ending || len(ops) > 0:
			continue
		case len(st.stuck) > 0:
			next = min(next, time.Until(st.retryAt))
		}
		timer.Reset(next)
		select {
		case <-st.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// gather takes what is to be written now, and tells when to look again.
func (st *store) gather(all bool) (ops []op, next time.Duration) {
	now := time.Now()
	st.mu.Lock()
	n := 0
	for n < len(st.later) && (all || !st.later[n].due.After(now)) {
		n++
	}
	due := append([]lazy(nil), st.later[:n]...)
	clear(st.later[:n])
	st.later = st.later[n:]
	next = time.Hour
	if len(st.later) > 0 {
		next = st.later[0].due.Sub(now)
	} else {
		st.later = nil
	}
	st.mu.Unlock()
	for _, l := range due { // s.mu before st.mu, as everywhere
		l.s.mu.Lock()
		if l.p.disk == onTheWay {
			st.mu.Lock()
			st.save(l.s, l.p)
			st.mu.Unlock()
		}
		l.s.mu.Unlock()
	}
	st.whole.Lock()
	defer st.whole.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	ops, st.now, st.rows = st.now, nil, nil
	return ops, next
}

// begin has a change of a session written. The channel that it returns is closed when it is
// on disk, or the disk has failed: nobody may wait for that with a lock held. The caller
// holds s.mu, so that the change does not come after the end of its session.
func (st *store) begin(thing string, run func(tx *sqlite.Tx) error) <-chan struct{} {
	written := make(chan struct{})
	at(pointRemembered)
	st.do(op{session: thing, run: run, done: func() { close(written) }})
	return written
}

// hold makes a session's message durable, when the session is. What comes with QoS 2 is
// written at once: it belongs into one transaction with its id.
func (s *session) hold(p *pending, d *router.Delivery, atOnce bool) {
	if s.b.store != nil && s.persistent() {
		p.receipt = d.Hold()
		s.b.store.keep(s, p, atOnce || d.QoS == 2)
	}
}

// free ends what charge and hold began: the message waits no more, on disk neither, and
// its publisher is acknowledged. The caller holds s.mu.
func (s *session) free(p *pending) {
	if p.disk == written {
		s.b.store.forget(s.thing, p.n, p.qos)
	}
	p.disk = notKept
	s.discharge(p)
	if r := p.receipt; r != nil {
		p.receipt = nil
		r.Done()
	}
}
