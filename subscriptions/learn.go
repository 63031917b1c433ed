package subscriptions

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"greengate/core/message"
)

// Bounds of what a Recorder holds: some 4 MB of memory, and less on disk. What
// does not fit is counted.
const (
	maxRecords     = 4096    // sources and topics
	maxRecordText  = 1 << 20 // bytes of all topics
	maxRecordTopic = 1024    // bytes of one topic
	maxReceivers   = 32768   // of all records together
)

// LearnFor is how long a recording lasts by default.
const LearnFor = 24 * time.Hour

// Recorder records what the gate refuses, and who would have received it, and
// beside that what it allows, so that a person can ask for the rows that are
// missing or too wide. It keeps its recording in a file.
//
// See may be called from any goroutine; it takes a lock for less than a
// microsecond and waits for nothing else. All else is done by Run.
type Recorder struct {
	o    RecorderOptions
	log  *slog.Logger
	wake chan struct{} // capacity 1: something is in queue, or the recording was started or ended

	turning sync.Mutex // one Start, Stop or end of Run at a time; taken before mu
	asking  sync.Mutex // one ask at a time; taken before mu

	mu      sync.Mutex // guards what follows
	rec     recording
	queue   []*record
	detach  func() // from the messages; nil: it does not record
	began   time.Time
	dirty   bool  // a record or a receiver is new since the file was written
	saveErr error // of the last write
	loadErr error // of the file of a former process
}

// RecorderOptions are what a Recorder asks of the gateway.
type RecorderOptions struct {
	File string // of the recording
	Log  *slog.Logger
	// Watch calls see for each message, on the goroutines that route, until
	// detach has returned.
	Watch func(see func(from message.Endpoint, topic string)) (detach func())
	// Wants yields who has subscribed to what `from` publishes on topic, whether
	// a row lets it through or not.
	Wants func(from message.Endpoint, topic string, yield func(to message.Endpoint))
	// Table is the table in force. Changes rises whenever Table or Wants may
	// answer otherwise than before.
	Table   func() *Table
	Changes func() uint64
}

// recording is what was recorded.
type recording struct {
	Started  time.Time
	For      time.Duration // how long it is to last
	Elapsed  time.Duration // how long it has, without the time since began
	Restarts int           // of the gateway; what was sent meanwhile is not in it
	Missed   uint64        // messages of sources and topics that found no room
	Evicted  uint64        // records of allowed messages that made room for others
	text     int           // bytes of all topics
	to       int           // receivers of all records
	records  map[recordKey]*record
	allowed  int // records that are plain
}

type recordKey struct {
	from  message.Endpoint
	topic string
}

// record is one source and topic.
type record struct {
	recordKey
	count       uint64
	first, last time.Time
	asked       uint64 // the change at which the table and the subscribers were asked, plus one
	queued      bool
	plain       bool                      // it was allowed, and nothing of it refused
	refused     map[message.Endpoint]bool // who would have received; the zero one: not known
	allowed     map[message.Endpoint]bool // who could
}

// NewRecorder returns a recorder. Load takes up what the file has.
func NewRecorder(o RecorderOptions) *Recorder {
	return &Recorder{o: o, log: o.Log.With("component", "learn"), wake: make(chan struct{}, 1)}
}

// Start begins a recording that lasts so long, in place of the one before. It
// tells whether it did: not while one is on.
func (r *Recorder) Start(d time.Duration) bool {
	r.turning.Lock()
	defer r.turning.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.detach != nil {
		return false
	}
	r.rec = recording{Started: time.Now(), For: d, records: map[recordKey]*record{}}
	r.queue, r.dirty, r.loadErr = nil, true, nil
	r.attach()
	r.log.Info("recording what is refused", "for", d)
	return true
}

// attach begins to see messages. The caller holds turning, so that nobody is in
// See, and mu.
func (r *Recorder) attach() {
	r.began = time.Now()
	r.detach = r.o.Watch(r.See)
	r.poke()
}

// Stop ends the recording, which stays to be shown, and tells whether there was
// one.
func (r *Recorder) Stop() bool {
	r.turning.Lock()
	defer r.turning.Unlock()
	r.mu.Lock()
	detach := r.detach
	if detach != nil {
		r.rec.Elapsed = r.elapsed()
		r.detach, r.dirty = nil, true
	}
	r.mu.Unlock()
	if detach == nil {
		return false
	}
	detach() // waits for See, so it is called without the lock
	r.log.Info("recording has ended")
	r.poke()
	return true
}

// elapsed is how long the recording has lasted. The caller holds mu.
func (r *Recorder) elapsed() time.Duration {
	if r.detach == nil {
		return r.rec.Elapsed
	}
	return min(r.rec.Elapsed+time.Since(r.began), r.rec.For)
}

func (r *Recorder) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// See notes one message.
func (r *Recorder) See(from message.Endpoint, topic string) {
	change := r.o.Changes() + 1
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.detach == nil {
		return
	}
	one := r.rec.records[recordKey{from, topic}]
	if one == nil {
		if one = r.rec.add(from, topic); one == nil {
			r.rec.Missed++
			return
		}
	}
	one.count++
	one.last = time.Now()
	if one.asked != change && !one.queued {
		one.queued = true
		r.queue = append(r.queue, one)
		r.poke()
	}
}

// add makes a record, or returns nil when there is no room.
func (c *recording) add(from message.Endpoint, topic string) *record {
	if len(topic) > maxRecordTopic {
		return nil
	}
	if (len(c.records) >= maxRecords || c.text+len(topic) > maxRecordText) && !c.evict() {
		return nil
	}
	one := &record{recordKey: recordKey{from, strings.Clone(topic)}, first: time.Now()}
	one.refused, one.allowed = map[message.Endpoint]bool{}, map[message.Endpoint]bool{}
	c.records[one.recordKey] = one
	c.text += len(topic)
	return one
}

// evict drops a record that has been allowed only: those that were refused are
// what the recording is for.
func (c *recording) evict() bool {
	if c.allowed == 0 {
		return false
	}
	for k, one := range c.records {
		if one.plain && !one.queued {
			delete(c.records, k)
			c.text -= len(k.topic)
			c.to -= len(one.allowed)
			c.allowed--
			c.Evicted++
			return true
		}
	}
	return false
}

// Bounds on how often the file is written: a card wears.
const (
	saveNew    = time.Minute      // after something new
	saveCounts = 10 * time.Minute // after anything
)

// Run asks who would have received what was refused, ends the recording when its
// time is over, and writes the file, until ctx is cancelled.
func (r *Recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(saveNew)
	defer tick.Stop()
	for ticks := 1; ; {
		over := time.NewTimer(r.Remaining())
		if !r.Recording() {
			over.Stop()
		}
		select {
		case <-ctx.Done():
			over.Stop()
			r.pause()
			return nil
		case <-r.wake:
			r.ask()
			if !r.Recording() {
				r.save(false)
			}
		case <-over.C:
			r.Stop()
		case <-tick.C:
			r.save(ticks%int(saveCounts/saveNew) == 0)
			ticks++
		}
		over.Stop()
	}
}

// pause ends what this process records; the next one goes on.
func (r *Recorder) pause() {
	r.turning.Lock()
	defer r.turning.Unlock()
	r.ask()
	r.save(true)
	r.mu.Lock()
	detach := r.detach
	r.mu.Unlock()
	if detach != nil {
		detach()
	}
}

// Recording tells whether one is on.
func (r *Recorder) Recording() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.detach != nil
}

// Remaining is how long the recording still lasts; 0 when none is on.
func (r *Recorder) Remaining() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.detach == nil {
		return 0
	}
	return r.rec.For - r.elapsed()
}
