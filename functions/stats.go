package functions

import (
	"maps"
	"math/bits"
	"slices"
	"time"
)

// counters are the figures of a function; function.mu guards them.
type counters struct {
	calls, errors, timeouts, retries, restarts uint64
	done                                       uint64 // calls that were answered
	dropped, skipped, refused, replyErrors     uint64
	ends                                       map[string]uint64    // of calls, by reason
	said                                       map[string]time.Time // when the log had the reason last
	lastDrop                                   time.Time
	last                                       string
	lastAt                                     time.Time
	durations                                  histogram
}

func (s *counters) answered(took time.Duration) {
	s.calls++
	s.durations.add(took)
}

func (s *counters) failed(failure Failure) {
	s.calls++
	s.errors++
	s.fault(failure.text())
}

func (s *counters) fault(text string) { s.last, s.lastAt = text, time.Now() }

// sayAgain is how often a function says that calls end for the same reason.
const sayAgain = time.Minute

// count notes how a call ended, and says so if nobody has. The caller holds f.mu.
func (f *function) count(c *call) {
	s, e := &f.stats, &c.end
	if e.verdict == Done {
		s.done++
		return
	}
	reason := e.reason
	if s.ends == nil {
		s.ends, s.said = map[string]uint64{}, map[string]time.Time{}
	}
	s.ends[reason]++
	now := time.Now()
	if e.verdict == Dropped {
		s.dropped++
		s.lastDrop = now
	}
	switch reason {
	case ReasonError, ReasonTimeout, ReasonExit: // the last try has said it
		return
	}
	if now.Sub(s.said[reason]) >= sayAgain {
		s.said[reason] = now
		f.log.Warn("Calls end without an answer", "verdict", e.verdict.String(), "reason", reason, "topic", c.subject, "calls", s.ends[reason])
	}
}

// histogram counts durations in steps of an eighth of a power of two of microseconds.
type histogram struct {
	counts [8 * 48]uint32
	n      uint64
	max    time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.max = max(h.max, d)
	h.n++
	h.counts[step(d)]++
}

// step is the place of d: the highest bit of its microseconds and the three behind it.
func step(d time.Duration) int {
	us := uint64(max(0, d.Microseconds()))
	if us < 8 {
		return int(us)
	}
	high := bits.Len64(us) - 4
	return min(8*48-1, (high+1)*8+int(us>>high&7))
}

// edge is the least duration beyond the place i.
func edge(i int) time.Duration {
	if i < 8 {
		return time.Duration(i+1) * time.Microsecond
	}
	return time.Duration((8+uint64(i%8)+1)<<(i/8-1)) * time.Microsecond
}

// quantile returns a duration that the part q of all did not exceed, an eighth too
// large at most; 0 when there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank, sum := uint64(q*float64(h.n)), uint64(0)
	for i, n := range h.counts {
		if sum += uint64(n); n > 0 && sum > rank {
			return min(edge(i), h.max)
		}
	}
	return h.max
}

// Stats returns the figures of each function, in the order of the file.
func (m *Manager) Stats() []Stats {
	var all []Stats
	for _, f := range m.list() {
		all = append(all, f.figures())
	}
	return all
}

func (f *function) figures() Stats {
	f.mu.Lock()
	c := &f.stats
	s := Stats{
		Name: f.name, Pinned: f.c.Pinned, State: f.state(time.Now()), Instances: len(f.instances),
		Queued: f.waiting.n + f.later.n, QueuedBytes: f.waiting.bytes + f.later.bytes, Running: f.running,
		Calls: c.calls, Errors: c.errors, Timeouts: c.timeouts, Retries: c.retries, Restarts: c.restarts,
		Dropped: c.dropped, Skipped: c.skipped, Refused: c.refused, ReplyErrors: c.replyErrors,
		Last: c.last, LastAt: c.lastAt,
		P50: c.durations.quantile(0.5), P99: c.durations.quantile(0.99), Max: c.durations.max, Memory: -1,
		NextTime: f.tick, Ends: map[string]uint64{Done.String(): c.done},
	}
	maps.Copy(s.Ends, c.ends)
	if s.State == BackOff || s.State == Broken {
		s.NextStart = f.startAfter
	}
	instances := slices.Clone(f.instances)
	f.mu.Unlock()
	for _, in := range instances {
		if n, ok := in.memory(); ok { // it may read files
			s.Memory = max(0, s.Memory) + n
		}
	}
	s.LogsDropped = f.journal.lost()
	s.Durable = f.m.store.waiting(f.name)
	s.Quarantined = f.m.store.quarantined(f.name)
	return s
}

// memory is what the instance uses, in bytes; false: it is not there.
func (in *instance) memory() (int64, bool) {
	select {
	case <-in.started:
		if in.process != nil {
			return in.process.Memory()
		}
	default:
	}
	return 0, false
}

// state is how the function is. The caller holds f.mu.
func (f *function) state(now time.Time) State {
	switch {
	case f.phase != working:
		return Stopped
	case f.starting < len(f.instances):
		return Running
	case len(f.instances) > 0:
		return Starting
	case now.Before(f.startAfter) && f.pause >= f.m.o.Bounds.LastBackOff*3/4:
		return Broken
	case now.Before(f.startAfter):
		return BackOff
	}
	return Idle
}
