package main

import (
	"fmt"
	"time"

	"greengate/core/audit"
)

// Bounds of the changes of rights that wait for the disk.
const (
	mostWaitingRights = 256
	mostWaitingBytes  = 1 << 20 // of text; one entry may be larger, for it may be that of all rights
)

// waitingRights are changes of rights that could not be written, the oldest first, each with its
// time and who asked for it: by the time they can be written, somebody else may be asking.
type waitingRights struct {
	entries []audit.Entry
	known   map[string]bool // what the log and the entries add up to; nil while nothing failed
	merged  int             // changes in the last entry besides its first
}

// keep puts the change that leads to the rights now behind the others, and returns it. Where nothing
// has changed, ok is false.
func (w *waitingRights) keep(log rightsLog, e audit.Entry, rights []string) (kept audit.Entry, ok bool) {
	now := audit.Set(rights)
	before, err := w.known, error(nil)
	if before == nil {
		before, err = log.Rights()
	}
	w.known = now
	if err != nil { // who asked is all that is known
		e.Note = "what has changed stands in a later entry: the log could not be read"
		ok = e.By != ""
	} else {
		e.Added, e.Removed = audit.Diff(before, now)
		ok = len(e.Added)+len(e.Removed) > 0
	}
	if ok {
		w.add(e)
	}
	return e, ok
}

// add puts an entry behind the others, or where there is no room, into the last one.
func (w *waitingRights) add(e audit.Entry) {
	size := textOf(e)
	for _, waits := range w.entries {
		size += textOf(waits)
	}
	if len(w.entries) == 0 || len(w.entries) < mostWaitingRights && size <= mostWaitingBytes {
		w.entries, w.merged = append(w.entries, e), 0
		return
	}
	w.merged++
	last := &w.entries[len(w.entries)-1]
	last.Added, last.Removed = addUp(*last, e)
	last.Event, last.By = both(last.Event, e.Event), both(last.By, e.By)
	last.Note = fmt.Sprintf("%d changes until %s in one entry: more waited for the disk than are kept apart", w.merged+1, e.Time.Format(time.RFC3339))
}

// both is what holds for two changes in one entry.
func both(a, b string) string {
	if a == b {
		return a
	}
	return "several"
}

// addUp returns what came and what went by two changes together.
func addUp(first, second audit.Entry) (added, removed []string) {
	before, after := audit.Set(first.Removed), audit.Set(first.Added) // what is in both is as it was
	for _, r := range second.Removed {
		if !after[r] {
			before[r] = true
		}
		delete(after, r)
	}
	for _, r := range second.Added {
		after[r] = true
	}
	return audit.Diff(before, after)
}

// textOf is how many bytes of text an entry has.
func textOf(e audit.Entry) int {
	n := len(e.By) + len(e.Note)
	for _, r := range append(e.Added[:len(e.Added):len(e.Added)], e.Removed...) {
		n += len(r)
	}
	return n
}
