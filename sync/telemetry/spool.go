package telemetry

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"greengate/core/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations returns the schema of the spool, for sqlite.Options.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return sub
}

// Options say what a spool is made of. Those marked optional may be zero.
type Options struct {
	// DB has the schema of Migrations and is the spool's alone, since MaxSize bounds
	// the whole of it.
	DB   *sqlite.DB
	Link Link
	// MaxSize is how many bytes the spool may take on the disk: database and WAL.
	// At least 1 MiB; under 32 MiB the WAL, up to 8 MiB, may go beyond it.
	MaxSize int64
	// Reserve is how many bytes of the file system stay free for others: beyond
	// that the spool is full, whatever its size. It needs Free.
	Reserve int64
	// Free returns the free bytes of the file system; optional. See FreeBytes.
	Free func() (int64, error)
	// Settled is told what became of messages, once each, after they have left the
	// disk, or instead of coming onto it. It must not block. Optional.
	Settled func(Settlement)
	// Requeued is told that n messages of a route were put back from quarantine, before
	// anything becomes of them. It must not block. Optional. See Requeue.
	Requeued func(route string, n int)
	// Stands tells whether the table in force lets a message of source on topic go to the
	// cloud. It is asked of all that waits; see Recheck. It must not block. Optional.
	Stands func(source, topic string) bool
	// Encrypt is the file of the key with which what waits is encrypted; empty: it is
	// written in clear. Decrypt are files of keys that are needed for reading besides. See
	// ReadKey. A file that is not there does not stop the spool, and is looked for: until
	// that of Encrypt is there, Put takes nothing.
	Encrypt string
	Decrypt []string
	// Rate is how many messages a second the cloud takes, for the forecast; optional:
	// 100, AWS's limit for a connection.
	Rate float64

	Clock Clock // optional: that of the machine
	// Synced tells whether the clock is right, asked every second; false: not known.
	// Optional: then only a step of the clock tells. See KernelSync.
	Synced func() bool
	BootID string       // optional: the kernel's
	Log    *slog.Logger // optional
	Bounds Bounds       // optional
}

// Bounds are those of the memory and of what a crash sends twice. A field that is
// zero has the default.
type Bounds struct {
	Staged      int   // messages that wait for their commit: 16384
	StagedBytes int64 // of them: 16 MiB
	ReadAhead   int   // messages of a priority read before they can be sent: 256
	Unsettled   int   // messages sent whose rows are still on the disk: 256
	Quarantined int   // messages kept in quarantine: 1000, in an eighth of MaxSize at most
}

func (b Bounds) withDefaults() Bounds {
	return Bounds{
		Staged:      cmp.Or(b.Staged, 16384),
		StagedBytes: cmp.Or(b.StagedBytes, 16<<20),
		ReadAhead:   cmp.Or(b.ReadAhead, 256),
		Unsettled:   cmp.Or(b.Unsettled, 256),
		Quarantined: cmp.Or(b.Quarantined, 1000),
	}
}

// minSize is the smallest MaxSize.
const minSize = 1 << 20

// Errors of Put. They say that the message was not taken and nothing will be told
// about it.
var (
	// ErrBehind: as many messages wait for the disk as Bounds allow.
	ErrBehind = errors.New("the disk is too slow for what comes in")
	// ErrStopped: the spool takes no more messages.
	ErrStopped = errors.New("the spool has stopped")
)

// Verdict is what became of a message.
type Verdict uint8

// The verdicts.
const (
	Sent        Verdict = iota + 1 // the cloud acknowledged it
	Expired                        // its time ran out
	Dropped                        // a bound gave it up
	Quarantined                    // the cloud can never take it; it is in quarantine
)

var verdictNames = [...]string{Sent: "sent", Expired: "expired", Dropped: "dropped", Quarantined: "quarantined"}

// String returns the verdict as a word.
func (v Verdict) String() string { return verdictNames[v] }

// The reasons of what is dropped, stable words.
const (
	ReasonTTL        = "ttl"         // Expired
	ReasonOldest     = "full-oldest" // given up for a newer one
	ReasonNewest     = "full-newest" // did not find room
	ReasonThinned    = "full-thinned"
	ReasonPriority   = "full-priority" // given up for one of higher priority
	ReasonNotStored  = "not-stored"    // the database ended before it was on the disk
	ReasonQuarantine = "quarantine"
	ReasonUnreadable = "unreadable" // its key is lost, and somebody has deleted it
	ReasonNoRow      = "row-gone"   // no row leads it to the cloud any more
)

// Settlement says that N messages of a route have met the same end.
type Settlement struct {
	Route   string // Route.Key
	Verdict Verdict
	Reason  string // empty for Sent
	N       int
}

// Spool keeps messages on disk until the cloud has them.
type Spool struct {
	o     Options
	log   *slog.Logger
	clock *clock
	kick  chan struct{} // the uploader has something to look at
	judge chan struct{} // so has the keeper: all that waits

	keys    keys
	intake  intake
	streams streams
	up      uploader
	leaving leaving
	reached func(failpoint) // of a test, else nil

	// mu guards what follows, and the fields that say so.
	mu        sync.Mutex
	routes    map[string]*route
	byID      map[int64]*route
	lastRoute int64
	live      bool            // a route has a live share
	waiting   [lanes]count    // on the disk
	committed [lanes]int64    // highest seq on the disk
	timed     [lanes]bool     // there may be rows with a time to live
	held      map[int64]*item // rows that the uploader or the writer has in hand
	reading   int             // Views that read rows: what they saw may have left since
	ghosts    []int64         // left held while somebody was reading
	stats     counters
	bounds    diskState
}

// New reads what a spool holds. It starts nothing: messages wait for Run.
func New(o Options) (*Spool, error) {
	if o.MaxSize < minSize {
		return nil, fmt.Errorf("a spool of %d bytes is too small (1MiB at least)", o.MaxSize)
	}
	o.Bounds = o.Bounds.withDefaults()
	o.Rate = cmp.Or(o.Rate, 100)
	if o.Settled == nil {
		o.Settled = func(Settlement) {}
	}
	if o.Requeued == nil {
		o.Requeued = func(string, int) {}
	}
	if o.Stands == nil {
		o.Stands = func(string, string) bool { return true }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	clock, err := newClock(o)
	if err != nil {
		return nil, err
	}
	s := &Spool{
		o:      o,
		log:    o.Log.With("component", "telemetry"),
		clock:  clock,
		kick:   make(chan struct{}, 1),
		judge:  make(chan struct{}, 1),
		timed:  [lanes]bool{true, true, true},
		routes: map[string]*route{},
		byID:   map[int64]*route{},
		held:   map[int64]*item{},
	}
	s.keys.s, s.intake.s, s.leaving.s, s.up.s = s, s, s, s
	if err := s.keys.load(); err != nil {
		return nil, err
	}
	s.up.init()
	s.streams.init()
	s.stats.init()
	if err := o.DB.View(context.Background(), s.load); err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	return s, nil
}

// load reads what must be known; none of it is a walk through the messages, unless a key is
// missing.
func (s *Spool) load(tx *sqlite.Tx) error {
	if err := tx.QueryRow("SELECT reserved FROM state").Scan(&s.intake.seq); err != nil {
		return err
	}
	s.intake.reserved, s.intake.safe = s.intake.seq, s.intake.seq
	for lane := range lanes {
		if err := tx.QueryRow(lane.sql().last).Scan(&s.committed[lane]); err != nil {
			return err
		}
		// That is so already, unless somebody wrote to the database by hand.
		s.intake.seq = max(s.intake.seq, s.committed[lane])
	}
	s.streams.unsure = s.intake.seq
	if err := s.loadRoutes(tx); err != nil {
		return err
	}
	s.judge <- struct{}{} // rows may have left the file while nobody ran
	if err := s.loadUncounted(tx); err != nil {
		return err
	}
	if err := s.clock.load(tx, s.intake.seq+1); err != nil {
		return err
	}
	if err := s.keys.count(tx); err != nil {
		return err
	}
	q := &s.stats.quarantine
	return tx.QueryRow(sqlQuarantined).Scan(&q.messages, &q.bytes)
}

// patience is how long the end waits for the disk.
const patience = 3 * time.Second

// Run takes messages onto the disk and sends them until ctx ends. It then takes no
// more, and has what was taken committed.
func (s *Spool) Run(ctx context.Context) error {
	err := s.begun(ctx)
	if err != nil && ctx.Err() != nil { // the end was first, but something may have been taken
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		if err = s.o.DB.Update(last, s.begin); err != nil {
			s.intake.stop(0)
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("begin the spool: %w", err)
	}
	s.intake.start()
	var tasks sync.WaitGroup
	tasks.Go(func() { s.intake.run(ctx) })
	tasks.Go(func() { s.keep(ctx) })
	s.up.run(ctx)
	tasks.Wait()
	s.up.linger()
	s.leaving.flush(time.Second)
	s.intake.stop(patience)
	return nil
}

// begun waits until the disk has taken begin. What comes meanwhile waits for that, as for
// any commit that the disk does not take.
func (s *Spool) begun(ctx context.Context) error {
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		err := s.o.DB.Update(ctx, s.begin)
		if err == nil || !ofDisk(err) {
			return err
		}
		s.intake.mu.Lock()
		s.intake.failed(err)
		s.intake.mu.Unlock()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin notes that a new start has come, and forgets routes of which nothing waits.
func (s *Spool) begin(tx *sqlite.Tx) error {
	if err := s.intake.tally.renew(s, tx); err != nil {
		return err
	}
	for _, sql := range []string{
		"DELETE FROM waiting WHERE messages <= 0 AND lane >= 0",
		"DELETE FROM routes WHERE id NOT IN (SELECT route FROM waiting)",
	} {
		if err := tx.Exec(sql); err != nil {
			return err
		}
	}
	if err := s.clock.begin(tx, s.keys.id()); err != nil {
		return err
	}
	err := s.keys.begin(tx)
	s.at(pointBegun)
	return err
}

// wake has the uploader look again.
func (s *Spool) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Content returns how many messages of each route wait on the disk, by Route.Key.
// Right after New it is what the last run left behind.
func (s *Spool) Content() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	content := map[string]int{}
	for key, r := range s.routes {
		var n int64
		for _, c := range r.waiting {
			n += c.messages
		}
		if n > 0 {
			content[key] = int(n)
		}
	}
	return content
}
