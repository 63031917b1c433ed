package functions

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"greengate/core/sqlite"
)

// store has durable calls on the disk. One function of the database at a time writes
// those that came, and deletes those that ended, since the last.
type store struct {
	db      *sqlite.DB
	log     *slog.Logger
	bounds  *Bounds
	failing atomic.Bool // the disk does not take what is written
	reached func(failpoint)

	mu       sync.Mutex
	seq      int64          // the last given
	staged   []*call        // to be written
	bytes    int64          // of the payloads of staged, and of those in a write
	count    int            // of them
	leaving  []*call        // to be deleted, or moved to quarantine
	durable  map[string]int // calls of each function that are on the disk or staged
	isolated map[string]int // calls of each function in quarantine
	waits    bool           // a write is with the database, or a pause lasts
	timer    *time.Timer    // for leaving; nil: none
	pause    time.Duration  // after the last failure
	failure  error          // that the disk gave
	since    time.Time      // of failure
	behind   uint64         // calls that were turned away
	stopped  bool
	over     bool          // what cannot be written now never will be
	empty    chan struct{} // closed when nothing is left, once somebody waits for that
}

// Bounds of what waits for the disk.
const (
	maxStaged      = 4096
	maxStagedBytes = 16 << 20
)

// Bounds of what one function of the database writes: it all stands in the WAL first.
const (
	maxTaken      = 1024
	maxTakenBytes = 128 << 10
)

// What is deleted waits for a moment, since each commit costs the flash a write. Until
// then a crash makes these calls again.
const (
	removeMany  = 64
	removeAfter = 100 * time.Millisecond
)

// Between two tries on a disk that fails.
const (
	firstRewrite = 20 * time.Millisecond
	lastRewrite  = time.Second
)

// stage takes a call that is to be written. The caller holds its function's mu.
func (s *store) stage(c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := int64(len(c.payload))
	switch {
	case s.stopped:
		return ErrStopped
	case s.count >= maxStaged || s.count > 0 && s.bytes+size > maxStagedBytes:
		s.behind++
		return ErrBehind
	}
	s.seq++
	c.seq = s.seq
	s.staged = append(s.staged, c)
	s.count++
	s.bytes += size
	s.durable[c.f.name]++
	s.at(pointStaged)
	s.schedule()
	return nil
}

// remove takes a stored call that has ended off the disk. The caller holds its function's
// mu.
func (s *store) remove(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = append(s.leaving, c)
	switch {
	case len(s.leaving) >= removeMany || c.end.verdict == Quarantined || s.stopped:
		s.schedule()
	case s.timer == nil:
		s.timer = time.AfterFunc(removeAfter, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.timer = nil
			s.schedule()
		})
	}
}

// schedule sees to it that a write is with the database if there is something to write.
// The caller holds s.mu.
func (s *store) schedule() {
	if s.waits || len(s.staged)+len(s.leaving) == 0 {
		return
	}
	s.waits = true
	w := &write{s: s}
	switch err := s.db.TryWrite(w.run, w.done); {
	case err == nil:
	case errors.Is(err, sqlite.ErrClosed):
		go w.done(err)
	default:
		s.later(firstRewrite)
	}
}

// later tries again after a pause. The caller holds s.mu.
func (s *store) later(pause time.Duration) {
	time.AfterFunc(pause, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.waits = false
		s.schedule()
	})
}

// stop takes no more calls and waits until all is on the disk, for a while.
func (s *store) stop(patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.mu.Lock()
	s.stopped = true
	empty := make(chan struct{})
	if s.count == 0 && len(s.leaving) == 0 && !s.waits {
		close(empty)
	} else {
		s.empty = empty
		s.schedule()
	}
	s.mu.Unlock()
	select {
	case <-empty:
		return
	case <-ctx.Done():
	}
	s.mu.Lock()
	s.over = true
	rest := &write{s: s, taken: true, calls: s.staged}
	s.staged = nil
	s.mu.Unlock()
	rest.tell(ErrStopped)
}

func (s *store) waiting(function string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.durable[function]
}

func (s *store) quarantined(function string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isolated[function]
}
