package localshadow

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Stats is a look at a Service.
type Stats struct {
	Shadows, Bytes int64 // that exist, and what they hold
	Remembered     int64 // deleted ones whose version lives on
	Waiting        int   // requests that are not yet answered
	Accepted       uint64
	Operations     map[string]uint64 // the accepted ones: get, update and delete
	JournalBytes   int64
	Rejected       map[int]uint64 // by code; 500: the disk failed, or a row is damaged
	Throttled      uint64         // refused with 429 before they came to the store
}

// figures are what Stats shows.
type figures struct {
	accepted  [len(opNames)]atomic.Uint64 // by Op
	throttled atomic.Uint64
	damaged   notice // a row that cannot be read
	full      notice // a bound of the store that was met
	gap       notice // an entry that had no room in the journal

	mu       sync.Mutex
	rejected map[int]uint64 // guarded by mu
	disk     error          // guarded by mu: of the last commit; nil when it was good
	since    time.Time      // guarded by mu: of disk
}

func (f *figures) reject(code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rejected == nil {
		f.rejected = make(map[int]uint64)
	}
	f.rejected[code]++
}

// fault keeps what the disk gave for the last request.
func (f *figures) fault(err error, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if (f.disk == nil) != (err == nil) {
		f.since = now
	}
	f.disk = err
}

// notice is a fault that a person has to look at. It is shown for an hour after
// it was last met.
type notice struct {
	mu   sync.Mutex
	n    uint64    // guarded by mu: how often it was met
	last string    // guarded by mu
	at   time.Time // guarded by mu
}

const shown = time.Hour

// note counts the fault and tells whether it is news.
func (n *notice) note(what string, now time.Time) (news bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	news = n.n == 0 || now.Sub(n.at).Abs() > shown
	n.n++
	n.last, n.at = what, now
	return news
}

func (n *notice) say(what string, now time.Time) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.n == 0 || now.Sub(n.at).Abs() > shown {
		return nil
	}
	return []string{fmt.Sprintf("shadows: %s (%d times), last %s", what, n.n, n.last)}
}

// full notes that a bound of the store was met, and returns the rejection.
func (s *Service) full(thing string, r *Rejection) error {
	if s.figures.full.note(thing+": "+r.Message, s.o.Now()) {
		s.o.Log.Warn("Met a bound of the shadow store", "thing", thing, "err", r.Message)
	}
	return r
}

// journalled notes a change that is not in the journal.
func (s *Service) journalled(j *job) {
	if j.spare && (j.change != nil || j.conflicts != "") && s.figures.gap.note(Subject(j.thing, j.name), s.o.Now()) {
		s.o.Log.Error("A change of a shadow is not in its history: the disk has no room", "thing", j.thing, "shadow", j.name)
	}
}

// damaged notes that a row cannot be read.
func (s *Service) damaged(thing, name string, err error) {
	if s.figures.damaged.note(Subject(thing, name), s.o.Now()) {
		s.o.Log.Error("Found a damaged shadow", "thing", thing, "shadow", name, "err", err)
	}
}

// Stats returns the figures of this moment.
func (s *Service) Stats() Stats {
	f := &s.figures
	st := Stats{
		Shadows: s.totals.shadows.Load(), Remembered: s.totals.deleted.Load(), Bytes: s.totals.bytes.Load(),
		JournalBytes: s.totals.journal.Load(), Throttled: f.throttled.Load(), Operations: map[string]uint64{},
	}
	for op := OpGet; op <= OpDelete; op++ {
		n := f.accepted[op].Load()
		st.Operations[op.String()] = n
		st.Accepted += n
	}
	s.mu.Lock()
	st.Waiting = s.waiting
	s.mu.Unlock()
	f.mu.Lock()
	st.Rejected = maps.Clone(f.rejected)
	f.mu.Unlock()
	return st
}

// Faults returns what a person has to look at, a sentence each; none when all is
// well.
func (s *Service) Faults() []string {
	f := &s.figures
	var all []string
	f.mu.Lock()
	if f.disk != nil {
		all = append(all, fmt.Sprintf("shadows: updates are rejected since %s: %v", f.since.Format(time.RFC3339), f.disk))
	}
	f.mu.Unlock()
	all = append(all, f.damaged.say("a stored shadow cannot be read; delete it, and it starts again", s.o.Now())...)
	all = append(all, f.gap.say("the disk has no room for the history of changes", s.o.Now())...)
	return append(all, f.full.say("a bound of the store was met", s.o.Now())...)
}
