package subscriptions

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"greengate/core/message"
)

// Recorded is a recording as it is shown.
type Recorded struct {
	Started    time.Time
	Recording  bool
	Elapsed    time.Duration
	For        time.Duration
	Restarts   int    // of the gateway since; what was sent meanwhile is not in it
	Missed     uint64 // messages that found no room
	Evicted    uint64 // records of allowed messages that were dropped
	Messages   uint64 // all that were seen and found room
	Flows      []RecordedFlow
	SaveFailed error // the file cannot be written: a restart would lose it
}

// RecordedFlow is one source and topic.
type RecordedFlow struct {
	From        message.Endpoint
	Topic       string
	Count       uint64
	First, Last time.Time
	Refused     []message.Endpoint // who would have received; a zero one: not known
	Allowed     []message.Endpoint // who could
}

// ErrNoRecording means that nothing was ever recorded.
var ErrNoRecording = errors.New("nothing was recorded")

// Recorded returns what was recorded, sorted, after asking for what is new. The
// error is ErrNoRecording, with the reason when there was one that cannot be
// read.
func (r *Recorder) Recorded() (Recorded, error) {
	r.ask()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rec.records == nil {
		if r.loadErr != nil {
			return Recorded{}, fmt.Errorf("%w by this process, and the recording before is lost: %w", ErrNoRecording, r.loadErr)
		}
		return Recorded{}, ErrNoRecording
	}
	c := Recorded{
		Started: r.rec.Started, Recording: r.detach != nil, Elapsed: r.elapsed(), For: r.rec.For,
		Restarts: r.rec.Restarts, Missed: r.rec.Missed, Evicted: r.rec.Evicted, SaveFailed: r.saveErr,
	}
	for _, one := range r.rec.records {
		c.Messages += one.count
		c.Flows = append(c.Flows, RecordedFlow{
			From: one.from, Topic: one.topic, Count: one.count, First: one.first, Last: one.last,
			Refused: slices.SortedFunc(maps.Keys(one.refused), compareEnds),
			Allowed: slices.SortedFunc(maps.Keys(one.allowed), compareEnds),
		})
	}
	slices.SortFunc(c.Flows, func(a, b RecordedFlow) int {
		return compareFlows(Flow{From: a.From, Topic: a.Topic}, Flow{From: b.From, Topic: b.Topic})
	})
	return c, nil
}

// The file of a recording.
type (
	learnFile struct {
		Version  int           `json:"version"`
		Started  time.Time     `json:"started"`
		For      time.Duration `json:"for"`
		Elapsed  time.Duration `json:"elapsed"`
		On       bool          `json:"on"`
		Restarts int           `json:"restarts"`
		Missed   uint64        `json:"missed"`
		Evicted  uint64        `json:"evicted"`
		Flows    []learnFlow   `json:"flows"`
	}
	learnFlow struct {
		From    string    `json:"from"`
		Topic   string    `json:"topic"`
		Count   uint64    `json:"count"`
		First   time.Time `json:"first"`
		Last    time.Time `json:"last"`
		Refused []string  `json:"refused,omitempty"` // "": not known
		Allowed []string  `json:"allowed,omitempty"`
	}
)

const learnVersion = 1

// save writes the file if something is new, or in any case.
func (r *Recorder) save(always bool) {
	r.mu.Lock()
	if r.rec.records == nil || !r.dirty && (!always || r.detach == nil) {
		r.mu.Unlock()
		return
	}
	f := r.snapshot()
	r.dirty = false
	r.mu.Unlock()
	err := writeLearnFile(r.o.File, f)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.dirty = true
		if r.saveErr == nil {
			r.log.Error("cannot keep the recording: a restart would lose it", "err", err)
		}
	}
	r.saveErr = err
}

// snapshot makes the form of the file. The caller holds mu.
func (r *Recorder) snapshot() learnFile {
	f := learnFile{
		Version: learnVersion, Started: r.rec.Started, For: r.rec.For, Elapsed: r.elapsed(), On: r.detach != nil,
		Restarts: r.rec.Restarts, Missed: r.rec.Missed, Evicted: r.rec.Evicted, Flows: []learnFlow{},
	}
	for _, one := range r.rec.records {
		f.Flows = append(f.Flows, learnFlow{
			From: one.from.String(), Topic: one.topic, Count: one.count, First: one.first, Last: one.last,
			Refused: endNames(one.refused), Allowed: endNames(one.allowed),
		})
	}
	return f
}

func endNames(ends map[message.Endpoint]bool) (names []string) {
	for e := range ends {
		if e == (message.Endpoint{}) {
			names = append(names, "")
		} else {
			names = append(names, e.String())
		}
	}
	slices.Sort(names)
	return names
}

// writeLearnFile replaces the file whole, so that a power cut leaves the old one
// or the new one.
func writeLearnFile(name string, f learnFile) error {
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("write the recording: %w", err)
	}
	part, err := os.CreateTemp(filepath.Dir(name), ".learn-*")
	if err != nil {
		return fmt.Errorf("write the recording: %w", err)
	}
	defer os.Remove(part.Name()) // gone already when all went well
	_, err = part.Write(data)
	if err = errors.Join(err, part.Sync(), part.Close()); err == nil {
		err = os.Rename(part.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("write the recording: %w", err)
	}
	return nil
}

// Load takes up the recording of the file, and goes on with it when it was on.
// The error tells of a file that cannot be read, which is left alone until the
// next recording replaces it. Load comes before Run and Start.
func (r *Recorder) Load() error {
	r.turning.Lock()
	defer r.turning.Unlock()
	r.loadErr = r.load()
	return r.loadErr
}

func (r *Recorder) load() error {
	data, err := os.ReadFile(r.o.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the recording: %w", err)
	}
	var f learnFile
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("read the recording %s: %w", r.o.File, err)
	}
	if f.Version != learnVersion {
		return fmt.Errorf("read the recording %s: its version is %d, not %d", r.o.File, f.Version, learnVersion)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rec = recording{
		Started: f.Started, For: f.For, Elapsed: f.Elapsed, Restarts: f.Restarts, Missed: f.Missed, Evicted: f.Evicted,
		records: map[recordKey]*record{},
	}
	for _, flow := range f.Flows {
		r.rec.take(&flow)
	}
	if f.On && f.Elapsed < f.For {
		r.rec.Restarts++
		r.attach()
		r.log.Info("recording goes on after a restart", "elapsed", f.Elapsed, "for", f.For)
	}
	return nil
}

// take enters a flow of the file. What is no flow any more is left out: the file
// is ours, and a name that no longer parses concerns nobody.
func (c *recording) take(f *learnFlow) {
	from, err := message.ParseEndpoint(f.From)
	if err != nil {
		return
	}
	one := c.add(from, f.Topic)
	if one == nil {
		c.Missed += f.Count
		return
	}
	one.count, one.first, one.last = f.Count, f.First, f.Last
	var dirty bool
	c.note(one, 0, parseEnds(f.Refused), parseEnds(f.Allowed), &dirty)
}

func parseEnds(names []string) (ends []message.Endpoint) {
	for _, name := range names {
		if name == "" {
			ends = append(ends, message.Endpoint{})
		} else if e, err := message.ParseEndpoint(name); err == nil {
			ends = append(ends, e)
		}
	}
	return ends
}
