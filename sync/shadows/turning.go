package shadows

import (
	"errors"
	"slices"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// job is a turn of an entry with what it is given and what comes of it.
type job struct {
	e         *entry
	direction Direction
	notes     []note
	reply     *reply
	unsent    *document
	erasing   bool
	force     bool
	offline   bool

	// Of the last run of the transaction.
	turn   *turn
	rest   []note
	before row
}

// turn starts the transaction of an entry in place turning.
func (r *Reconciler) turn(e *entry) {
	r.mu.Lock()
	dir, ok := r.things[e.thing]
	if !ok { // it is not synced any more
		r.turning--
		r.schedule.drop(e)
		r.mu.Unlock()
		return
	}
	j := &job{
		e: e, direction: dir, notes: e.notes, reply: e.reply, unsent: e.unsent,
		erasing: e.erasing, force: e.force, offline: !r.online || e.banned(time.Now()),
	}
	if e.reply != nil && e.reply.kind == got {
		e.ask, e.erasing = false, false
	}
	e.notes, e.reply, e.unsent, e.look, e.news, e.force = nil, nil, nil, false, false, false
	r.mu.Unlock()
	now := r.o.Now().UnixMilli()
	r.o.Shadows.Transact(e.thing, e.name, func(tx *sqlite.Tx, d localshadow.Document) (localshadow.Edit, error) {
		return j.run(tx, d, now)
	}, func(_ localshadow.Change, changed bool, err error) { r.turned(j, changed, err) })
}

// run is what happens in the transaction. It may run again, and begins anew then.
func (j *job) run(tx *sqlite.Tx, d localshadow.Document, now int64) (localshadow.Edit, error) {
	l, err := newLocal(&d)
	if err != nil {
		return localshadow.Edit{}, err
	}
	row, old, had, err := load(tx, j.e.key)
	if err != nil {
		return localshadow.Edit{}, err
	}
	j.before = row
	j.turn = newTurn(j.direction, l, row)
	j.rest = j.decide(j.turn, j.notes)
	if len(j.turn.conflicts) > 0 {
		j.turn.row.conflict = now
	}
	if err := save(tx, j.e.key, &j.turn.row, old, had); err != nil {
		return localshadow.Edit{}, err
	}
	return j.turn.edit(), nil
}

// decide takes account of all that was heard.
func (j *job) decide(t *turn, notes []note) (rest []note) {
	t.force, t.offline = j.force, j.offline
	if j.unsent != nil {
		t.unsent(*j.unsent)
	}
	if certain := j.answer(t); !certain {
		t.next = plan{do: ask}
		return nil
	}
	if a := j.reply; a != nil && a.kind == erased { // it has taken account of them
		notes = slices.DeleteFunc(slices.Clone(notes), func(n note) bool { return n.version <= a.version })
	}
	rest, ok := t.hear(notes)
	if !ok {
		t.next = plan{do: ask}
		return nil
	}
	t.finish()
	if len(rest) > 0 && t.next.do != ask {
		t.next = plan{do: await}
	}
	return rest
}

// answer takes account of the answer to a request. It reports false when only
// the cloud knows what it has now.
func (j *job) answer(t *turn) (certain bool) {
	switch a := j.reply; {
	case a == nil:
		if t.row.stored { // what direction and document say, anew
			t.learn(t.row.cloud, false)
		}
	case a.kind == got && !a.cloud.found:
		if j.erasing {
			t.erased(t.row.cloud.version, j.notes)
		} else {
			t.learn(cloudSide{version: t.row.cloud.version}, false)
		}
		t.fresh = true
	case a.kind == got:
		if a.cloud.version < a.seen { // that was of a document that is gone
			t.row.former = max(t.row.former, a.seen)
		}
		t.learn(a.cloud, false)
		t.fresh = true
	case a.kind == wrote:
		if a.version != a.plan.version+1 {
			return false
		}
		t.wrote(a.version, a.plan.doc, a.plan.state)
	case a.kind == made:
		return t.made(a.version)
	case a.kind == erased:
		t.erased(a.version, j.notes)
	case a.kind == refused:
		t.refused(a.why, a.plan)
	}
	return true
}

// turned is told when the transaction is on disk, or is not.
func (r *Reconciler) turned(j *job, changed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := j.e
	r.turning--
	r.schedule.rest(e)
	trigger(r.turns) // there is room for another
	if err != nil {
		r.undone(j, err)
		return
	}
	t := j.turn
	r.figures.turned(j, changed)
	e.stored, e.blocked, e.why = t.row.stored, t.row.stored && t.row.blocked != "", ""
	e.ahead = t.ahead()
	e.notes = append(j.rest, e.notes...) // those that came since have higher versions, or are told twice
	slices.SortStableFunc(e.notes, byVersion)
	if _, ok := r.things[e.thing]; !ok {
		r.schedule.drop(e)
		return
	}
	switch {
	case t.reverted() && j.direction == Up:
		r.hold(e, &e.newsAt)
	case t.reverted():
		r.hold(e, &e.lookAt)
	}
	e.look = e.look || t.retries()
	now := time.Now()
	switch t.next.do {
	case ask:
		e.ask = true
	case write, create:
		e.request = &request{op: opUpdate, plan: t.next}
	case erase:
		e.request = &request{op: opDelete, plan: t.next}
	case await:
		if e.gapUntil.IsZero() {
			e.gapUntil = now.Add(r.o.Timing.Reorder)
		}
	default:
		e.attempts, e.planned = 0, time.Time{}
	}
	if t.next.do != await {
		e.gapUntil = time.Time{}
	}
	if e.request != nil && e.planned.IsZero() {
		e.planned = now
	}
	if (e.look || e.news) && !e.overdue(now) { // there is news already: what was planned is out of date
		e.forgo()
	}
	r.advance(e)
}

// undone: nothing of a turn is in the database. The cloud is asked again, which
// makes good what was heard and is lost now.
func (r *Reconciler) undone(j *job, err error) {
	e := j.e
	e.look, e.ask, e.unsent, e.erasing = true, true, j.unsent, e.erasing || j.erasing
	e.notes, e.news = nil, false
	var rejection *localshadow.Rejection
	switch {
	case errors.Is(err, localshadow.ErrStopped):
		r.running = false
		return
	case errors.As(err, &rejection): // nothing that passes by itself
		e.look, e.barred = false, "the gateway refuses it: "+rejection.Message
		r.hold(e, &e.lookAt)
		if e.logged != e.barred {
			e.logged = e.barred
			r.o.Log.Warn("The gateway refuses a shadow of the cloud", "thing", e.thing, "shadow", e.name, "err", err)
		}
	default:
		r.fail(e, err.Error())
		r.o.Log.Debug("Put off a shadow", "thing", e.thing, "shadow", e.name, "err", err)
	}
	r.advance(e)
}
