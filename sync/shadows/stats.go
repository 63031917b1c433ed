package shadows

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// totals count the rows of the table.
type totals struct{ rows, blocked, conflicted int }

func (t totals) and(u totals) totals {
	return totals{t.rows + u.rows, t.blocked + u.blocked, t.conflicted + u.conflicted}
}

func (t totals) with(r *row, sign int) totals {
	if !r.stored {
		return t
	}
	t.rows += sign
	if r.blocked != "" {
		t.blocked += sign
	}
	if r.conflict != 0 {
		t.conflicted += sign
	}
	return t
}

// figures are what Stats and Faults show. They are guarded by Reconciler.mu.
type figures struct {
	totals                             map[string]totals // by thing, also of those that are not synced any more
	asked, written, applied, conflicts uint64
	unknown, retries, garbage          uint64
	rejected                           map[int]uint64
	names                              map[string]string // things whose named shadows could not be listed, and why
	listing                            bool              // the names of all things are being listed
	disk                               string            // the last error of reading the database
}

// turned takes account of a turn.
func (f *figures) turned(j *job, changed bool) {
	f.totals[j.e.thing] = f.totals[j.e.thing].with(&j.before, -1).with(&j.turn.row, +1)
	f.conflicts += uint64(len(j.turn.conflicts))
	if changed {
		f.applied++
	}
}

// state is what an entry is about; "" when it tells nothing.
func (e *entry) state() string {
	switch {
	case e.barred != "", e.blocked:
		return Blocked
	case e.ahead, e.request != nil && e.request.op != opGet:
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

// totals sums up the rows of what is synced. It expects mu to be held.
func (r *Reconciler) totals() (sum totals) {
	for thing := range r.things {
		sum = sum.and(r.figures.totals[thing])
	}
	return sum
}

// Stats returns the figures of this moment.
func (r *Reconciler) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, sum, muted := &r.figures, r.totals(), r.muted() != ""
	s := Stats{
		Shadows: sum.rows, Blocked: sum.blocked, Conflicted: sum.conflicted,
		Asked: f.asked, Written: f.written, Applied: f.applied, Conflicts: f.conflicts,
		Rejected: maps.Clone(f.rejected), Unknown: f.unknown, Retries: f.retries, Garbage: f.garbage,
		Listing: f.listing,
	}
	for _, e := range r.schedule.entries {
		if !e.stored {
			s.Shadows++
		}
		switch st := e.state(); {
		case e.blocked: // counted by its row
		case st == "" && e.place == idle: // only a change of it would wait
		case muted && st != "":
			s.Blocked++
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
	if blocked := r.totals().blocked; blocked > 0 {
		all = append(all, fmt.Sprintf("the cloud refuses the changes of %s", counted(blocked, "shadow")))
	}
	if why := r.muted(); why != "" {
		all = append(all, fmt.Sprintf("no shadow is synced until %s: %s", r.o.Now().Add(time.Until(r.mute)).Format(time.TimeOnly), why))
	}
	var barred []*entry
	for _, e := range r.schedule.entries {
		if e.barred != "" {
			barred = append(barred, e)
		}
	}
	if len(barred) > 0 {
		e := slices.MinFunc(barred, func(a, b *entry) int { return compareKeys(a.key, b.key) })
		all = append(all, fmt.Sprintf("%s cannot be synced, the first of which is %s: %s", counted(len(barred), "shadow"), e.key, e.barred))
	}
	if len(f.names) > 0 {
		thing := slices.Min(slices.Collect(maps.Keys(f.names)))
		all = append(all, fmt.Sprintf("the named shadows of %s are not listed, so that new ones are found late: %s", counted(len(f.names), "thing"), f.names[thing]))
	}
	if f.disk != "" {
		all = append(all, "the shadows could not be looked through: "+f.disk)
	}
	return all
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
