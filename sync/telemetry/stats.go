package telemetry

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"greengate/core/sqlite"
)

// Stats is a look at a spool.
type Stats struct {
	Messages    int64                 `json:"messages"`   // that wait
	Unreadable  int64                 `json:"unreadable"` // of them, for want of a key
	Bytes       int64                 `json:"bytes"`      // of topic and payload
	DiskBytes   int64                 `json:"disk_bytes"`
	MaxBytes    int64                 `json:"max_bytes"`
	Oldest      *Stamp                `json:"oldest,omitempty"` // the message that waits longest; nil when none does
	OldestAge   time.Duration         `json:"oldest_age_ns"`    // 0 when none waits
	ByPriority  map[string]Waiting    `json:"by_priority"`
	Unsettled   int                   `json:"unsettled"`  // in flight, or acknowledged and about to leave
	Unacked     time.Duration         `json:"unacked_ns"` // since the first of them in flight was sent; 0 when none is
	Quarantined int64                 `json:"quarantined"`
	Sent        uint64                `json:"sent"`   // since the start, as all below
	Spared      uint64                `json:"spared"` // of them, those that never came onto the disk
	Resent      uint64                `json:"resent"`
	Throttled   uint64                `json:"throttled"`
	Expired     uint64                `json:"expired"`
	Dropped     map[string]uint64     `json:"dropped"`   // by reason
	Requeued    uint64                `json:"requeued"`  // put back from quarantine
	Discarded   uint64                `json:"discarded"` // deleted there by somebody
	Forecast    Forecast              `json:"forecast"`
	Routes      map[string]RouteStats `json:"routes,omitempty"`
}

// Waiting is what waits of a priority.
type Waiting struct {
	Messages int64 `json:"messages"`
	Bytes    int64 `json:"bytes"`
}

// RouteStats is what waits of a route.
type RouteStats struct {
	Messages int64 `json:"messages"`
	Bytes    int64 `json:"bytes"`
}

// Forecast says what comes at the rates of the last minute. A time that never comes, or
// is not known, is negative.
type Forecast struct {
	IntakeRate float64       `json:"intake_rate"` // messages a second
	DrainRate  float64       `json:"drain_rate"`
	FullIn     time.Duration `json:"full_in_ns"`    // until the bound is reached
	DrainedIn  time.Duration `json:"drained_in_ns"` // until nothing waits, at the rate that the cloud allows
}

const never = time.Duration(-1)

// counters count since the start.
type counters struct {
	behind, spared, resent, throttled, in, inBytes, out atomic.Uint64

	mu         sync.Mutex
	ends       map[Verdict]uint64
	dropped    map[string]uint64
	quarantine count // that is there
	requeued   uint64
	discarded  uint64
	cause      string // of the last one
	lastDrop   time.Time
	rates      [3]rate // of in, inBytes and out
}

// rate is a mean over about a minute.
type rate struct {
	last  uint64
	mean  float64
	ticks int
}

func (r *rate) tick(now uint64) {
	r.ticks++
	// The first minute is a plain mean, so that there is a forecast at once.
	weight := max(1/float64(r.ticks), keepEvery.Seconds()/60)
	r.mean += weight * (float64(now-r.last)/keepEvery.Seconds() - r.mean)
	r.last = now
}

func (c *counters) init() { c.ends, c.dropped = map[Verdict]uint64{}, map[string]uint64{} }

func (c *counters) accepted(n count) {
	c.in.Add(uint64(n.messages))
	c.inBytes.Add(uint64(n.bytes))
}

func (c *counters) count(e end, n int) {
	if e.verdict == Sent {
		c.out.Add(uint64(n))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends[e.verdict] += uint64(n)
	if e.verdict == Dropped {
		c.dropped[e.reason] += uint64(n)
		if e.reason != ReasonNoRow && e.reason != ReasonUnreadable { // which somebody has wanted
			c.lastDrop = time.Now()
		}
	}
}

func (c *counters) isolated(cause string, there count) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cause, c.quarantine = cause, there
}

// restored counts what has left the quarantine, with what is there now.
func (c *counters) restored(requeued, discarded int, there count) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requeued += uint64(requeued)
	c.discarded += uint64(discarded)
	c.quarantine = there
}

func (c *counters) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, n := range []uint64{c.in.Load(), c.inBytes.Load(), c.out.Load()} {
		c.rates[i].tick(n)
	}
}

// Stats returns the figures of this moment. It reads the oldest rows, and leaves them
// out when the database does not answer within a second.
func (s *Spool) Stats() Stats {
	st := Stats{MaxBytes: s.o.MaxSize, ByPriority: map[string]Waiting{}, Dropped: map[string]uint64{}, Routes: map[string]RouteStats{}}
	s.mu.Lock()
	for lane, n := range s.waiting {
		st.Messages += n.messages
		st.Bytes += n.bytes
		st.ByPriority[priorityOf[lane].String()] = Waiting{n.messages, n.bytes}
	}
	for key, r := range s.routes {
		var n count
		for _, c := range r.waiting {
			n.add(c)
		}
		if n.messages > 0 {
			st.Routes[key] = RouteStats{n.messages, n.bytes}
		}
	}
	st.Unsettled = s.up.unsettled
	st.Unreadable = min(st.Messages, s.keys.locked.Load())
	if first := s.up.firstFlight(); !first.IsZero() {
		st.Unacked = time.Since(first)
	}
	disk := s.bounds
	s.mu.Unlock()
	db := s.o.DB.Stats()
	st.DiskBytes = db.FileBytes + db.WALBytes
	st.Oldest, st.OldestAge = s.oldest()
	s.stats.report(&st)
	st.Forecast = s.stats.forecast(st.Messages-st.Unreadable, disk, s.o.Rate)
	return st
}

func (c *counters) report(st *Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st.Sent, st.Expired, st.Quarantined = c.ends[Sent], c.ends[Expired], c.quarantine.messages
	st.Spared = c.spared.Load()
	st.Resent, st.Throttled = c.resent.Load(), c.throttled.Load()
	st.Requeued, st.Discarded = c.requeued, c.discarded
	for reason, n := range c.dropped {
		st.Dropped[reason] = n
	}
}

func (c *counters) forecast(waiting int64, disk diskState, allowed float64) Forecast {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, inBytes, out := c.rates[0].mean, c.rates[1].mean, c.rates[2].mean
	f := Forecast{IntakeRate: in, DrainRate: out, FullIn: never, DrainedIn: never}
	if in > out && disk.limit > 0 {
		// What a message takes on the disk, from those that come.
		each := inBytes/in + restAt + 2*rowOverhead
		f.FullIn = seconds(float64(max(0, disk.limit-disk.used)) / (each * (in - out)))
	}
	if waiting == 0 {
		f.DrainedIn = 0
	} else if allowed > in {
		f.DrainedIn = seconds(float64(waiting) / (allowed - in))
	}
	return f
}

func seconds(s float64) time.Duration {
	if s > math.MaxInt64/2e9 {
		return never
	}
	return time.Duration(s * float64(time.Second))
}

// oldest returns the stamp and the age of the message that waits longest.
func (s *Spool) oldest() (oldest *Stamp, age time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// An error leaves the oldest unknown; the fault of the disk shows by itself.
	_ = s.o.DB.View(ctx, func(tx *sqlite.Tx) error {
		for lane := range lanes {
			_, err := heads(tx, lane, 0, 1, func(seq int64, h *head, _ int64) {
				if oldest == nil || seq < oldest.Seq {
					stamp := s.clock.when(seq, h.mono, h.wall, h.flags)
					oldest, age = &stamp, s.clock.age(seq, h.mono, h.wall, h.flags)
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return oldest, age
}
