package sqlite

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// Write has f run in the transaction of the next group, and done told how it
// ended, once the group is on the disk. It does not wait for the disk: only when
// Options.Queue functions wait already does it block until there is room.
//
// Functions run one at a time, in the order in which they were accepted, and done
// functions are called one at a time, in the same order. They may run at the same
// time as the functions of later groups, except that a failed group is told wholly
// before the next begins: what f remembered outside the database can be forgotten.
//
// An error of f, or its panic, undoes what f wrote, and goes to its done; the rest
// of the group is committed. To make that cheap, the group may be rolled back and
// run again without f, so that f may run more than once: only its last run counts,
// and it sets what it leaves for done anew each time. f must not keep tx, nor wait
// for anything.
//
// done gets nil when what f did is durable. An error that is f's own is given as
// it is. The others are ErrFull, ErrReadOnly, ErrIO, ErrBusy, ErrCorrupt (nothing
// of f is in the database; the same can be tried again later) and ErrClosed.
//
// Neither f nor done may call Write, Enqueue or Update of the same DB: they would
// wait for themselves when the queue is full. TryWrite is for them.
func (db *DB) Write(f func(tx *Tx) error, done func(error)) {
	if err := db.queue.put(context.Background(), job{f: f, done: done}); err != nil {
		done(db.refused(err))
	}
}

// Enqueue is Write for a caller that gives up with ctx: it then returns the error
// of ctx, or ErrClosed, and neither f nor done is called.
func (db *DB) Enqueue(ctx context.Context, f func(tx *Tx) error, done func(error)) error {
	if err := db.queue.put(ctx, job{f: f, done: done}); err != nil {
		return db.refused(err)
	}
	return nil
}

// TryWrite is Write that never blocks: it returns ErrQueue when the queue is full,
// or ErrClosed, and then calls neither f nor done.
func (db *DB) TryWrite(f func(tx *Tx) error, done func(error)) error {
	if err := db.queue.try(job{f: f, done: done}); err != nil {
		return db.refused(err)
	}
	return nil
}

// Update is Write that waits: it returns what done would get. When ctx ends first,
// it returns the error of ctx if f has not begun, and f will not run; else it waits
// for the end, so that f never runs after Update has returned.
func (db *DB) Update(ctx context.Context, f func(tx *Tx) error) error {
	const waits, runs, withdrawn = 0, 1, 2
	var state atomic.Int32
	ended := make(chan error, 1)
	claimed := func(tx *Tx) error {
		if !state.CompareAndSwap(waits, runs) && state.Load() == withdrawn {
			return context.Cause(ctx)
		}
		return f(tx)
	}
	if err := db.Enqueue(ctx, claimed, func(err error) { ended <- err }); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if state.CompareAndSwap(waits, withdrawn) {
		return ctx.Err()
	}
	return <-ended
}

func (db *DB) refused(err error) error {
	return fmt.Errorf("write to the database %s: %w", db.o.File, err)
}

// job is a function that waits for its group, runs in it, or is to be told.
type job struct {
	f    func(*Tx) error
	done func(error)
	err  error // for done
}

// queue holds the jobs that wait for the writer.
type queue struct {
	jobs   chan job
	ending chan struct{} // closed: those who wait for room give up
	sealed chan struct{} // closed: no job will come any more

	mu   sync.RWMutex // held for reading by those who put a job
	end  sync.Once
	over bool // guarded by mu: no job may come any more
}

func newQueue(capacity int) *queue {
	return &queue{
		jobs:   make(chan job, capacity),
		ending: make(chan struct{}),
		sealed: make(chan struct{}),
	}
}

// try puts j into the queue if there is room.
func (q *queue) try(j job) error {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.over {
		return ErrClosed
	}
	select {
	case q.jobs <- j:
		return nil
	default:
		return ErrQueue
	}
}

// put waits until there is room for j.
func (q *queue) put(ctx context.Context, j job) error {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.over {
		return ErrClosed
	}
	select {
	case q.jobs <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-q.ending:
		return ErrClosed
	}
}

// seal refuses all jobs from now on. Those in the queue stay there.
func (q *queue) seal() {
	q.end.Do(func() {
		close(q.ending)
		q.mu.Lock()
		q.over = true
		q.mu.Unlock()
		close(q.sealed)
	})
}

// next waits for a job. It returns false when the queue is sealed and empty.
func (q *queue) next() (job, bool) {
	select {
	case j := <-q.jobs:
		return j, true
	case <-q.sealed:
		return q.waiting()
	}
}

// waiting returns the job that has waited longest, if any waits.
func (q *queue) waiting() (job, bool) {
	select {
	case j := <-q.jobs:
		return j, true
	default:
		return job{}, false
	}
}
