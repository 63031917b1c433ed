package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"greengate/core/admin/client"
)

// writeBudget counts what the gateway writes to the disk in a day, which is what an
// SD card lives from. The kernel counts for the process, the stores for
// themselves; both count from the start, so each day begins with their figures.
type writeBudget struct {
	root   string // of the file system: "/", or that of a test
	stores func() map[string]int64
	now    func() time.Time

	mu    sync.Mutex
	since time.Time        // guarded by mu: the start, or the last midnight
	all   int64            // guarded by mu: of the process, at that time
	by    map[string]int64 // guarded by mu: of the stores, at that time
}

func newWriteBudget(root string, stores func() map[string]int64) *writeBudget {
	return &writeBudget{root: root, stores: stores, now: time.Now, since: time.Now()}
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
	for {
		select {
		case <-tick.C:
			w.turn()
		case <-ctx.Done():
			return nil
		}
	}
}

// turn begins a new day, if there is one.
func (w *writeBudget) turn() {
	now := w.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	// Round takes the monotonic clock away: the days of a person are meant.
	if y, m, d := now.Date(); w.since.Round(0).Before(time.Date(y, m, d, 0, 0, 0, 0, now.Location())) {
		w.since, w.all, w.by = now, processWrites(w.root), w.stores()
	}
}

// processWrites is how many bytes this process has caused to be written to disks
// (proc(5), /proc/pid/io); 0 when the kernel does not count.
func processWrites(root string) int64 {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/io"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if digits, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
			return n
		}
	}
	return 0
}

func (g *gateway) reportWrites(s *client.Status) {
	w := g.writes
	w.turn()
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Writes = client.Writes{Since: w.since, Bytes: processWrites(w.root) - w.all}
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
