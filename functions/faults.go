package functions

import (
	"fmt"
	"time"
)

// recent is how long a call that was given up is a fault.
const recent = time.Minute

// crashLoop is how many unasked ends in a row are a fault.
const crashLoop = 3

// Faults says what is wrong, in words for an operator. None: nil.
func (m *Manager) Faults() (faults []Fault) {
	now := time.Now()
	for _, f := range m.list() {
		faults = f.faults(now, faults)
	}
	return append(faults, m.store.faults()...)
}

func (f *function) faults(now time.Time, faults []Fault) []Fault {
	isolated := f.m.store.quarantined(f.name)
	f.mu.Lock()
	defer f.mu.Unlock()
	add := func(since time.Time, next, format string, args ...any) {
		faults = append(faults, Fault{Function: f.name, Message: fmt.Sprintf(format, args...), NextStep: next, Since: since})
	}
	logs := fmt.Sprintf("`greengate function logs %s` tells more", f.name)
	s := &f.stats
	if f.failures >= crashLoop {
		add(s.lastAt, logs, "the function %s has ended %d times in a row, the last time: %s", f.name, f.failures, s.last)
	}
	if !s.lastDrop.IsZero() && now.Sub(s.lastDrop) < recent {
		add(s.lastDrop, logs, "calls of the function %s are given up, %d since the start: its queue is full (raise queue.max or concurrency)", f.name, s.dropped)
	}
	if isolated > 0 {
		next := fmt.Sprintf("`greengate function quarantine %s` tells why; once that is mended, `greengate function requeue --function %s`", f.name, f.name)
		add(s.lastAt, next, "%d calls of the function %s are in quarantine", isolated, f.name)
	}
	return faults
}

func (s *store) faults() (faults []Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		faults = append(faults, Fault{Message: fmt.Sprintf("durable calls cannot be written: %v; they wait", s.failure), NextStep: "look at the disk of the data folder", Since: s.since})
	}
	if s.behind > 0 {
		faults = append(faults, Fault{Message: fmt.Sprintf("%d durable calls were turned away since the disk was too slow for them", s.behind), NextStep: "take `durable` out of rows that can do without it"})
	}
	return faults
}
