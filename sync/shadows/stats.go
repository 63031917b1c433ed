package shadows

import (
	"fmt"
	"maps"
	"slices"
)

// totals count the rows of the table.
type totals struct{ rows, blocked, conflicted int }

func (t *totals) add(r *row, sign int) {
	if !r.stored {
		return
	}
	t.rows += sign
	if r.blocked != "" {
		t.blocked += sign
	}
	if r.conflict != 0 {
		t.conflicted += sign
	}
}

// figures are what Stats and Faults show. They are guarded by Reconciler.mu.
type figures struct {
	totals
	asked, written, applied, conflicts uint64
	unknown, retries, garbage          uint64
	rejected                           map[int]uint64
	names                              map[string]string // things whose named shadows could not be listed, and why
	disk                               string            // the last error of reading the database
}

// turned takes account of a turn.
func (f *figures) turned(j *job, changed bool) {
	f.add(&j.before, -1)
	f.add(&j.turn.row, +1)
	f.conflicts += uint64(len(j.turn.conflicts))
	if changed {
		f.applied++
	}
}

// state is what an entry is about; "" when it tells nothing.
func (e *entry) state() string {
	switch {
	case e.barred != "":
		return Blocked
	case e.request != nil && e.request.op != opGet:
		return Ahead
	case e.ask || e.request != nil:
		return Asking
	case e.reply != nil || len(e.notes) > 0:
		return Behind
	case e.look:
		return Ahead
	}
	return ""
}

// Stats returns the figures of this moment.
func (r *Reconciler) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &r.figures
	s := Stats{
		Shadows: f.rows, Blocked: f.totals.blocked, Conflicted: f.conflicted,
		Asked: f.asked, Written: f.written, Applied: f.applied, Conflicts: f.conflicts,
		Rejected: maps.Clone(f.rejected), Unknown: f.unknown, Retries: f.retries, Garbage: f.garbage,
	}
	for _, e := range r.schedule.entries {
		if !e.stored {
			s.Shadows++
		}
		switch st := e.state(); {
		case e.blocked: // counted by its row
		case st == Ahead:
			s.Ahead++
		case st == Asking:
			s.Asking++
		case st == Blocked:
			s.Blocked++
		default:
			s.Behind++
		}
	}
	s.InStep = max(s.Shadows-s.Ahead-s.Asking-s.Blocked-s.Behind, 0)
	return s
}

// Faults returns what a person has to look at, a sentence each; none when all is
// well.
func (r *Reconciler) Faults() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	f := &r.figures
	if f.totals.blocked > 0 {
		all = append(all, fmt.Sprintf("sync: the cloud refuses %d shadows; `greengate status` says why", f.totals.blocked))
	}
	var barred []*entry
	for _, e := range r.schedule.entries {
		if e.barred != "" {
			barred = append(barred, e)
		}
	}
	if len(barred) > 0 {
		e := slices.MinFunc(barred, func(a, b *entry) int { return compareKeys(a.key, b.key) })
		all = append(all, fmt.Sprintf("sync: the cloud refuses to tell %d shadows, the first of which is %s: %s", len(barred), e.key, e.barred))
	}
	if len(f.names) > 0 {
		thing := slices.Min(slices.Collect(maps.Keys(f.names)))
		all = append(all, fmt.Sprintf("sync: the named shadows of %d things are not listed, so that new ones are found late: %s", len(f.names), f.names[thing]))
	}
	if f.disk != "" {
		all = append(all, "sync: the shadows could not be looked through: "+f.disk)
	}
	return all
}
