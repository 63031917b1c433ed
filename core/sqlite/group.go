package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

// How long the writer waits after a group that the disk did not take.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// groups is the writer: it owns the connection that writes, gathers jobs into
// groups, commits them, and has them told by a goroutine of its own, since the
// processor is free for that while the next group waits for the disk.
type groups struct {
	db    *DB
	conn  *conn
	jobs  []job // of the group in work
	tell  chan []job
	spare chan []job // told, and empty again

	careful bool          // the last group had a function to undo: expect another
	failure error         // that the disk gave for a part of this group
	refused bool          // a transaction of this group could not begin or commit
	wrote   bool          // a function since the last commit that counted may have changed something
	took    bool          // one could
	pause   time.Duration // after the next failure
}

func newGroups(db *DB) *groups {
	w := &groups{
		db:    db,
		conn:  db.writer,
		jobs:  make([]job, 0, db.o.MaxBatch),
		tell:  make(chan []job),
		spare: make(chan []job, 1),
		pause: firstPause,
	}
	w.spare <- make([]job, 0, db.o.MaxBatch)
	return w
}

// run works until the queue is sealed and empty.
func (w *groups) run() {
	told := make(chan struct{})
	go func() {
		defer close(told)
		for jobs := range w.tell {
			for i := range jobs {
				jobs[i].done(jobs[i].err)
			}
			clear(jobs) // let go of what the functions hold
			w.spare <- jobs[:0]
		}
	}()
	for {
		first, ok := w.db.queue.next()
		if !ok {
			break
		}
		w.jobs = append(w.jobs, first)
		// The callers who were just told run first: 8 that wait for each other's
		// commits then share one, and not two by turns.
		runtime.Gosched()
		w.db.stats.counted(w.group)
		w.handOver()
	}
	close(w.tell)
	<-told
}

// group runs and commits the first job, and all that gather meanwhile.
func (w *groups) group() {
	w.failure, w.refused, w.took = nil, false, false
	if w.careful {
		w.gather()
	}
	if w.careful || !w.plain() {
		w.careful = false
		for rest := w.jobs; len(rest) > 0; {
			rest = rest[w.guarded(rest):]
		}
	}
}

// gather takes what waits into the group, up to its bound, and reports whether
// there was anything.
func (w *groups) gather() bool {
	before := len(w.jobs)
	for len(w.jobs) < cap(w.jobs) {
		j, ok := w.db.queue.waiting()
		if !ok {
			break
		}
		w.jobs = append(w.jobs, j)
	}
	return len(w.jobs) > before
}

// handOver gives the group to those who are told. After a failure it waits until
// all have been, and pauses if the disk took nothing.
func (w *groups) handOver() {
	w.db.stats.count(w.jobs)
	w.db.note(w.failure)
	w.tell <- w.jobs
	w.jobs = <-w.spare
	if w.failure == nil {
		w.pause = firstPause
		return
	}
	w.spare <- <-w.spare // wait for the one that is being told
	// A WAL that may not grow can still be moved into the file and begun anew.
	// Its own failure is that of the next group too.
	_, _ = w.conn.text("PRAGMA wal_checkpoint(PASSIVE)")
	if w.took || !w.refused { // there is room, only not for all
		w.pause = firstPause
		return
	}
	select {
	case <-time.After(w.pause):
	case <-w.db.queue.sealed:
	}
	w.pause = min(2*w.pause, lastPause)
}

// plain runs and commits the group without savepoints, which cost a quarter of
// the time of a row. It returns false, with everything rolled back, if there is
// something to undo for one job but not for the others.
func (w *groups) plain() bool {
	if err := w.conn.control("BEGIN IMMEDIATE"); err != nil {
		w.gather()
		w.refuse(w.jobs, err)
		return true
	}
	for i := 0; i < len(w.jobs) || w.gather(); i++ {
		wrote, lost := w.call(&w.jobs[i])
		if lost || wrote && w.jobs[i].err != nil {
			w.rollback()
			return false
		}
	}
	return w.commit(w.jobs)
}

// guarded runs jobs with a savepoint for each and commits them. It returns how
// many of them it has settled, at least one.
func (w *groups) guarded(jobs []job) int {
	if err := w.conn.control("BEGIN IMMEDIATE"); err != nil {
		w.refuse(jobs, err)
		return len(jobs)
	}
	for i := range jobs {
		err := w.saved(&jobs[i])
		if err == nil {
			continue
		}
		// SQLite has ended the transaction, as it does when a statement finds no
		// room. What came before is committed without this job, which then has a
		// transaction to itself: others, which may well make room, do not suffer.
		w.rollback()
		if i > 0 {
			return w.guarded(jobs[:i])
		}
		w.fail(jobs[:1], err)
		return 1
	}
	if !w.commit(jobs) {
		for i := range jobs {
			w.guarded(jobs[i : i+1])
		}
	}
	return len(jobs)
}

// saved runs a job in a savepoint. An error means that the transaction is lost.
func (w *groups) saved(j *job) error {
	if err := w.conn.control("SAVEPOINT f"); err != nil {
		return err
	}
	wrote, lost := w.call(j)
	if lost {
		return j.err
	}
	if wrote && j.err != nil {
		w.careful = true
		w.conn.undos++
		if err := w.conn.control("ROLLBACK TO f"); err != nil {
			return err
		}
	}
	return w.conn.control("RELEASE f")
}

// commit ends the transaction, for good or with the error that the disk gave. It
// returns false, with everything rolled back, if the commit shows a fault that one
// of several jobs must have made: a deferred foreign key.
func (w *groups) commit(jobs []job) bool {
	begun := time.Now()
	err := w.conn.control("COMMIT")
	if err == nil {
		w.db.stats.committed(time.Since(begun))
		w.took = true
		if w.wrote { // after the commit: a copy that counted before it may lack it
			w.wrote = false
			w.db.stats.writes.Add(1)
		}
		return true
	}
	w.rollback()
	if !OfDisk(err) && len(jobs) > 1 {
		return false
	}
	w.refuse(jobs, err)
	return true
}

// refuse is fail for a transaction that did not begin or commit.
func (w *groups) refuse(jobs []job, err error) {
	w.refused = true
	w.fail(jobs, err)
}

// rollback ends the transaction if SQLite has not. An error of it would be that of
// the disk, and every later BEGIN tells it again.
func (w *groups) rollback() {
	w.conn.undos++
	if w.conn.inTx() {
		_ = w.conn.control("ROLLBACK")
	}
}

// fail gives the error of their transaction to all of jobs but those that failed
// by themselves.
func (w *groups) fail(jobs []job, err error) {
	err = w.db.refused(err)
	for i := range jobs {
		if jobs[i].err == nil {
			jobs[i].err = err
		}
	}
	if OfDisk(err) {
		w.failure = err
	}
	w.db.stats.failedCommits.Add(1)
}

// call runs a job's function. It reports whether that may have written, and
// whether the transaction was lost with a statement: SQLite ends it when there is
// no room. The function may have kept that to itself, but what follows must not
// run outside a transaction.
func (w *groups) call(j *job) (wrote, lost bool) {
	tx := &Tx{conn: w.conn, ctx: context.Background()}
	defer func() {
		if p := recover(); p != nil {
			j.err = fmt.Errorf("panic in a function of a group: %v\n%s", p, debug.Stack())
		}
		wrote = tx.wrote
		w.wrote = w.wrote || wrote
		if tx.failed != nil && !w.conn.inTx() {
			lost = true
			j.err = cmp.Or(j.err, tx.failed)
		}
		tx.end()
	}()
	j.err = j.f(tx)
	return false, false // see above
}
