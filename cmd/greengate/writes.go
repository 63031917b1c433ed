package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"greengate/core/admin/client"
)

// writesName is the file in the data folder by which the counts of a day outlive a
// restart.
const writesName = "writes.json"

// saveEvery is how often that is written: after a crash the counts of so much time
// are missing. It costs a card a megabyte in two days, which is counted, too.
const saveEvery = time.Hour

// writeBudget counts what the gateway writes to the disk in a day, which is what an
// SD card lives from. The kernel counts for the process, the stores for
// themselves; both count from the start, so each day begins with their figures.
type writeBudget struct {
	file   string
	whole  func() int64            // what the process has written
	stores func() map[string]int64 // what each store has
	now    func() time.Time
	log    *slog.Logger

	mu    sync.Mutex
	since time.Time        // guarded by mu: the first start of the day, or its midnight
	all   int64            // guarded by mu: of the process, at that time; negative: as much before its start
	by    map[string]int64 // guarded by mu: of the stores, likewise
}

func newWriteBudget(data string, whole func() int64, stores func() map[string]int64, now func() time.Time, log *slog.Logger) *writeBudget {
	w := &writeBudget{
		file: filepath.Join(data, writesName), whole: whole, stores: stores, now: now, since: now(),
		by: map[string]int64{}, log: log.With("component", "write budget"),
	}
	w.load()
	return w
}

// savedWrites is what the file has.
type savedWrites struct {
	Since time.Time        `json:"since"`
	Bytes int64            `json:"bytes"`
	By    map[string]int64 `json:"by"`
}

// load takes up the counts of an earlier run of the same day.
func (w *writeBudget) load() {
	text, err := os.ReadFile(w.file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var saved savedWrites
	if err == nil {
		err = json.Unmarshal(text, &saved)
	}
	if err != nil {
		w.log.Warn("what was written today before this start is not known", "err", err)
		return
	}
	if w.isOver(saved.Since) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since, w.all = saved.Since, -saved.Bytes
	for component, n := range saved.By {
		w.by[component] = -n
	}
}

// save writes the counts down, for the next run. They need not be on the disk at
// once.
func (w *writeBudget) save() {
	w.mu.Lock()
	saved := savedWrites{Since: w.since, Bytes: w.whole() - w.all, By: map[string]int64{}}
	for component, n := range w.stores() {
		saved.By[component] = n - w.by[component]
	}
	w.mu.Unlock()
	text, err := json.Marshal(saved)
	if err == nil {
		err = os.WriteFile(w.file+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(w.file+".new", w.file)
	}
	if err != nil {
		w.log.Warn("what was written today will not be known after the next start", "err", err)
	}
}

// writtenBytes is what the commits of each store wrote.
func (g *gateway) writtenBytes() map[string]int64 {
	by := map[string]int64{}
	for _, st := range g.stores {
		by[st.component] += st.db.Stats().WrittenBytes
	}
	return by
}

// Run begins each day anew until ctx ends. It looks every minute, since the clock
// may be set.
func (w *writeBudget) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	save := time.NewTicker(saveEvery)
	defer save.Stop()
	defer w.save()
	for {
		select {
		case <-tick.C:
			w.turn()
		case <-save.C:
			w.save()
		case <-ctx.Done():
			return nil
		}
	}
}

// turn begins a new day, if there is one.
func (w *writeBudget) turn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isOver(w.since) {
		w.since, w.all, w.by = w.now(), w.whole(), w.stores()
	}
}

// isOver tells whether the day of t has ended. A clock that was set back ends none.
func (w *writeBudget) isOver(t time.Time) bool {
	y, m, d := w.now().Date()
	// Round takes the monotonic clock away: the days of a person are meant.
	return t.Round(0).Before(time.Date(y, m, d, 0, 0, 0, 0, w.now().Location()))
}

// processWrites is how many bytes this process has caused to be written to disks,
// in blocks of 512 (getrusage(2), ru_oublock); 0 when the kernel does not count.
// The same figure in /proc/self/io cannot be read by a process that has closed
// itself to others, as one with functions does.
func processWrites() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return int64(u.Oublock) * 512
}

func (g *gateway) reportWrites(s *client.Status) {
	w := g.writes
	w.turn()
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Writes = client.Writes{Since: w.since, Bytes: w.whole() - w.all}
	rest := s.Writes.Bytes
	now := w.stores()
	for _, st := range g.stores { // in their order
		n := now[st.component] - w.by[st.component]
		rest -= n
		s.Writes.By = append(s.Writes.By, client.Writer{Component: st.component, Bytes: n})
	}
	s.Writes.By = append(s.Writes.By, client.Writer{Component: "other", Bytes: max(0, rest)})
}

// writtenLine tells what was written today, and by whom.
func writtenLine(w *client.Writes) string {
	var words []string
	for _, by := range w.By {
		if by.Bytes > 0 {
			words = append(words, by.Component+" "+size(by.Bytes))
		}
	}
	line := fmt.Sprintf("%s to the disk since %s", size(w.Bytes), clock(w.Since))
	if len(words) > 0 {
		line += ": " + strings.Join(words, ", ")
	}
	return line
}
