package localshadow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"greengate/core/sqlite"
)

// Options say what a Service works with.
type Options struct {
	// DB is the database of the shadows, opened with Migrations. Its queue should
	// have room for Bounds.Pending and Bounds.Edits functions.
	DB *sqlite.DB
	// Publish sends a message of the service, through the gate. It is called
	// from the goroutine of Run alone, and may keep the payload.
	Publish func(topic string, payload []byte)
	// Offer is Publish for a message that costs something to write: payload writes it,
	// and need not be called when nobody gets the message. Nil: Publish gets it.
	Offer func(topic string, payload func() []byte)
	// Flush is called when a number of messages was published: they may wait for it.
	Flush func()
	// Known tells whether the shadows of a thing are kept here. It is called
	// from many goroutines. Nil: those of every thing are.
	Known  func(thing string) bool
	Limits Limits // zero: DefaultLimits
	Bounds Bounds // what is zero: as in DefaultBounds
	Log    *slog.Logger
	Now    func() time.Time // nil: time.Now
}

// Bounds are the limits of the store and of what waits for it. AWS has none of
// the first kind; a gateway has a disk to fill.
type Bounds struct {
	Shadows  int   // in all, and as many deleted ones whose version is remembered, see forget
	PerThing int   // shadows of one thing
	Bytes    int64 // of all documents
	Pending  int   // requests that are not yet answered
	// PendingPerThing is that of one thing. AWS has 10.
	PendingPerThing int
	PendingBytes    int64 // of their payloads and answers
	// Edits are those of Transact that are not yet told; they count in none of the
	// bounds of requests.
	Edits int
	// Journal is how many entries of each shadow are kept, about, and JournalBytes
	// what those of all take. What is full loses its oldest.
	Journal      int
	JournalBytes int64
}

// DefaultBounds returns bounds that no honest site meets.
func DefaultBounds() Bounds {
	return Bounds{
		Shadows: 50_000, PerThing: 1000, Bytes: 128 << 20,
		Pending: 4096, PendingPerThing: 256, PendingBytes: 32 << 20,
		Edits: 256, Journal: 200, JournalBytes: 32 << 20,
	}
}

func (b Bounds) withDefaults() Bounds {
	d := DefaultBounds()
	or := func(n *int, m int) {
		if *n == 0 {
			*n = m
		}
	}
	or(&b.Shadows, d.Shadows)
	or(&b.PerThing, d.PerThing)
	or(&b.Pending, d.Pending)
	or(&b.PendingPerThing, d.PendingPerThing)
	or(&b.Edits, d.Edits)
	or(&b.Journal, d.Journal)
	if b.Bytes == 0 {
		b.Bytes = d.Bytes
	}
	if b.PendingBytes == 0 {
		b.PendingBytes = d.PendingBytes
	}
	if b.JournalBytes == 0 {
		b.JournalBytes = d.JournalBytes
	}
	return b
}

// Errors of Deliver; test with errors.Is.
var (
	// ErrNotRequest: the topic is none of the service's.
	ErrNotRequest = errors.New("no request to the shadow service")
	// ErrBusy: too much waits already. The client was told with a 429.
	ErrBusy = errors.New("too many shadow requests are waiting")
	// ErrStopped: the service ends.
	ErrStopped = errors.New("the shadow service has stopped")
)

// Service keeps the shadows and answers for them.
type Service struct {
	o   Options
	out chan *job // served, to be told

	mu      sync.Mutex
	pending map[string]int // guarded by mu: requests of each thing
	waiting int            // guarded by mu: requests of all
	edits   int            // guarded by mu: of Transact
	over    bool           // guarded by mu: no request may come any more

	pendingBytes atomic.Int64
	totals       struct{ shadows, deleted, bytes, journal atomic.Int64 }
	entries      atomic.Int64 // id of the newest entry of the journal
	deletions    deletionClock
	hot          hot
	hand         hand
	watchers     watchers
	figures      figures
}

// New returns a service for the shadows in o.DB. It counts them, which reads the
// database once. It starts nothing.
func New(o Options) (*Service, error) {
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	if o.Known == nil {
		o.Known = func(string) bool { return true }
	}
	if o.Offer == nil {
		o.Offer = func(topic string, payload func() []byte) { o.Publish(topic, payload()) }
	}
	if o.Flush == nil {
		o.Flush = func() {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Bounds = o.Bounds.withDefaults()
	o.Log = o.Log.With("component", "shadow")
	s := &Service{
		o: o,
		// Twice as many as can be pending: the other half is for those that were
		// told to come back later. Edits have room of their own.
		out:     make(chan *job, 2*o.Bounds.Pending+o.Bounds.Edits),
		pending: make(map[string]int),
	}
	err := o.DB.View(context.Background(), func(tx *sqlite.Tx) error {
		t, err := count(tx)
		if err != nil {
			return err
		}
		var last int64
		if err := tx.QueryRow(sqlLast).Scan(&last, &t.journal); err != nil {
			return fmt.Errorf("find the end of the journal: %w", err)
		}
		s.deletions.since = time.Now()
		if err := tx.QueryRow(sqlNewestDeletion, o.Now().Unix()).Scan(&s.deletions.from); err != nil {
			return fmt.Errorf("find the newest deletion: %w", err)
		}
		s.count(t)
		s.entries.Store(last)
		return nil
	})
	return s, err
}

// together is how many requests are told before their messages leave, at most: so the
// answers of a group to one client leave together.
const together = 64

// Run sends the answers until ctx is cancelled, and then those of all requests
// that were accepted: the database must run longer. It returns nil.
func (s *Service) Run(ctx context.Context) error {
	end := ctx.Done()
	for told := 1; ; told++ {
		select {
		case j := <-s.out:
			s.tell(j)
			if len(s.out) == 0 || told%together == 0 {
				s.o.Flush()
			}
		case <-end:
			end = nil
			s.mu.Lock()
			s.over = true
			s.mu.Unlock()
		}
		if end == nil && s.idle() {
			return nil
		}
	}
}

// Deliver takes a message on a topic of the service. It does not wait for the
// disk; the payload is copied. When it returns nil, done is called once, after
// the answers were published: with nil when the request is settled and what it
// changed is on disk, or with the error of the disk when it was rejected for that.
// When it returns an error, done is not called.
func (s *Service) Deliver(topic string, payload []byte, from Source, done func(error)) error {
	thing, name, base, op, ok := parseTopic(topic)
	if !ok {
		return ErrNotRequest
	}
	return s.enqueue(&job{s: s, thing: thing, name: name, base: base, op: op, from: from, settled: done}, payload)
}

// Handle takes a request that came by another way than MQTT. As of the REST API
// of AWS, what is accepted is published as if it had come by MQTT, but rejections
// and the answers to a get are not. done is called once, after that, from the
// goroutine of Run, which it must not hold up, or at once from this one when the
// request is not taken. Its error is a *Rejection or ErrStopped.
func (s *Service) Handle(thing, name string, op Op, payload []byte, from Source, done func(accepted []byte, err error)) {
	j := &job{s: s, thing: thing, name: name, base: topicOf(thing, name), op: op, from: from, answered: done}
	switch s.enqueue(j, payload) {
	case ErrBusy:
		done(nil, reject(429, msgThrottled))
	case ErrStopped:
		done(nil, ErrStopped)
	}
}

// enqueue has j served, in order of the calls.
func (s *Service) enqueue(j *job, payload []byte) error {
	j.rejection = checkNames(j.thing, j.name)
	if j.rejection == nil && !s.o.Known(j.thing) {
		j.rejection = reject(404, msgThing)
	}
	if len(payload) > s.o.Limits.Payload {
		if j.rejection == nil && j.op == OpUpdate {
			j.rejection = reject(413, msgTooLarge)
		}
		payload = nil // of a get it does not count
	}
	j.refused = j.rejection != nil
	j.payload, j.bytes = string(payload), int64(len(payload))
	s.prepare(j)

	// Under the lock, so that requests are served in the order of their admission.
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.o.Bounds
	switch {
	case s.over:
		return ErrStopped
	case s.waiting >= b.Pending, s.pending[j.thing] >= b.PendingPerThing, s.pendingBytes.Load() >= b.PendingBytes:
		return s.throttle(j)
	}
	s.pendingBytes.Add(j.bytes)
	if err := s.o.DB.TryWrite(j.serve, j.served); err != nil {
		s.pendingBytes.Add(-j.bytes)
		if errors.Is(err, sqlite.ErrQueue) {
			return s.throttle(j)
		}
		return ErrStopped
	}
	s.pending[j.thing]++
	s.waiting++
	return nil
}

// throttle tells the client to come back later, if there is still room for that.
func (s *Service) throttle(j *job) error {
	s.figures.throttled.Add(1)
	// If not even that has room, the client has to find out by itself.
	if j.answered == nil && len(s.out) < s.o.Bounds.Pending {
		r := reject(429, msgThrottled).with(tokenOf(j.payload, &s.o.Limits))
		s.out <- &job{base: j.base, op: j.op, rejection: r, throttled: true}
	}
	return ErrBusy
}

// settle ends what enqueue began.
func (s *Service) settle(j *job) {
	s.pendingBytes.Add(-j.bytes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
	if s.pending[j.thing]--; s.pending[j.thing] == 0 {
		delete(s.pending, j.thing)
	}
}

// idle tells whether all is answered.
func (s *Service) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting == 0 && s.edits == 0 && len(s.out) == 0
}

// count adds to the totals.
func (s *Service) count(t totals) {
	s.totals.shadows.Add(t.shadows)
	s.totals.deleted.Add(t.deleted)
	s.totals.bytes.Add(t.bytes)
	s.totals.journal.Add(t.journal)
}
