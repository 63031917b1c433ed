package localshadow

import (
	"context"
	"errors"
	"time"

	"greengate/core/sqlite"
)

// job is one request on its way: admitted, served in a group transaction, told
// when the group is on disk. Serve may run more than once, so it sets anew what
// it leaves behind.
type job struct {
	s           *Service
	thing, name string
	base        string // of the topics
	op          Op
	payload     string
	from        Source
	settled     func(error)                              // of a message
	answered    func([]byte, error)                      // of another request
	decide      func(*sqlite.Tx, Document) (Edit, error) // of a Transact, which has no payload
	decided     func(*job)
	refused     bool // before it came to the store: rejection says why
	throttled   bool // it was never admitted

	ahead     *ahead // what was made of it before its turn; nil: nothing
	answer    Answer
	rejection *Rejection
	change    *Change
	stays     *Change // of a Transact, if nothing changed
	counted   totals
	conflicts string // for the journal
	spare     bool   // there was no room: the journal gives way and gets no entry
	now       time.Time
	bytes     int64 // of the payload and the answers
	err       error // of the disk
}

// serve does what is asked, in the writer's goroutine.
func (j *job) serve(tx *sqlite.Tx) error {
	j.recount(totals{})
	j.answer, j.change, j.now = Answer{}, nil, j.s.o.Now()
	if j.refused {
		return nil
	}
	j.rejection = nil
	err := j.makeRoom(tx)
	switch {
	case err != nil:
	case j.decide != nil:
		err = j.transact(tx)
	default:
		err = j.judge(j.try(tx))
	}
	// The group runs again, and then the journal makes room.
	j.spare = j.spare || errors.Is(err, sqlite.ErrFull)
	return err
}

// judge keeps the rejection of a request, and returns other errors.
func (j *job) judge(err error) error {
	var r *Rejection
	if errors.As(err, &r) {
		j.rejection = r
		return nil
	}
	if errors.Is(err, ErrDamaged) {
		j.rejection = reject(500, msgInternal)
		j.s.damaged(j.thing, j.name, err)
		return nil
	}
	return err
}

// try returns the *Rejection of a request that is refused.
func (j *job) try(tx *sqlite.Tx) error {
	old, err := j.s.hot.load(tx, Key{j.thing, j.name})
	if err != nil {
		return err
	}
	lim, now := j.s.o.Limits, j.now
	d := old
	switch j.op {
	case OpGet:
		j.answer.Accepted, err = Get(old, j.payload, Subject(j.thing, j.name), now, lim)
		return err
	case OpUpdate:
		d, err = j.update(old)
	case OpDelete:
		d, j.answer.Accepted, err = Delete(old, j.payload, Subject(j.thing, j.name), now, lim)
	}
	if err != nil {
		return err
	}
	return j.keep(tx, &old, &d)
}

// keep puts d in the place of old.
func (j *job) keep(tx *sqlite.Tx, old, d *Document) error {
	if err := j.admit(tx, old, d); err != nil {
		j.answer = Answer{}
		return err
	}
	j.recount(j.counted.plus(change(old, d)))
	if err := j.write(tx, old, d); err != nil {
		return err
	}
	j.change = newChange(j.thing, j.name, old, d, j.from)
	return nil
}

func (j *job) write(tx *sqlite.Tx, old, d *Document) error {
	d.row, d.mark = old.row, old.mark
	if d.Deleted {
		d.Updated = j.s.deletions.now()
	}
	if err := j.record(tx, j.entry(old, d), &d.mark); err != nil {
		return err
	}
	if err := save(tx, j.thing, j.name, d); err != nil {
		return err
	}
	if d.Deleted {
		gone, err := forget(tx, d.Updated-remembered, j.s.o.Bounds.Shadows)
		if err != nil {
			return err
		}
		j.recount(j.counted.plus(totals{deleted: -gone}))
	}
	j.s.hot.keep(Key{j.thing, j.name}, *d)
	return nil
}

// entry is what the journal gets to read of d in the place of old.
func (j *job) entry(old, d *Document) *entry {
	e := &entry{
		thing: j.thing, name: j.name, before: old.Version, version: d.Version, deleted: d.Deleted && !old.Deleted,
		at: j.now, from: j.from, changes: j.answer.changes, conflicts: j.conflicts,
	}
	switch {
	case old.Deleted:
		e.before = -old.Version
	case d.Deleted:
		var ok bool
		if e.changes, ok = removal(old); !ok {
			e.before = 0 // this is as far as anybody can go back
		}
	}
	return e
}

// admit checks the bounds of the store. What makes it smaller may always come.
func (j *job) admit(tx *sqlite.Tx, old, d *Document) error {
	b := &j.s.o.Bounds
	if grows := int64(d.Size() - old.Size()); grows > 0 && j.s.totals.bytes.Load()+grows > b.Bytes {
		return j.s.full(j.thing, reject(413, msgStoreFull, b.Bytes))
	}
	if !d.Exists() || old.Exists() {
		return nil
	}
	if j.s.totals.shadows.Load() >= int64(b.Shadows) {
		return j.s.full(j.thing, reject(413, msgFull, b.Shadows))
	}
	var n int
	if err := tx.QueryRow(sqlOfThing, j.thing).Scan(&n); err != nil {
		return err
	}
	if n >= b.PerThing {
		return j.s.full(j.thing, reject(413, msgThingFull, b.PerThing))
	}
	return nil
}

// recount makes t what this job has added to the totals.
func (j *job) recount(t totals) {
	j.s.count(t.plus(j.counted.negated()))
	j.counted = t
}

// served is told when the group is on disk, or is not. It hands the job over to
// Run, whose queue has room for all that are pending.
func (j *job) served(err error) {
	if err != nil {
		j.recount(totals{})
		j.fail(err)
	}
	if j.decide != nil {
		j.s.out <- j // its bytes are bounded by Bounds.Edits
		return
	}
	n := int64(j.answer.held()) - j.ahead.held()
	j.s.pendingBytes.Add(n)
	j.bytes += n
	j.s.out <- j
}

// fail rejects a job that the disk did not take. A get that was in a group with
// updates can still be answered: a full disk can be read.
func (j *job) fail(err error) {
	if j.decide != nil {
		j.err = err
		return
	}
	if j.op == OpGet && !j.refused {
		if j.answer.Accepted, err = j.s.Get(context.Background(), j.thing, j.name, []byte(j.payload)); err == nil {
			return
		}
		if errors.As(err, &j.rejection) {
			return
		}
	}
	j.err = err
	j.answer, j.change = Answer{}, nil
	j.rejection = reject(500, msgInternal)
}
