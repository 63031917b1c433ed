package telemetry

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"greengate/core/sqlite"
)

// intake gathers messages and has them written by functions of the database, which
// take all that have gathered when their turn comes. There is one at a time: were there
// two in a group, the disk could take the second one only, and the order would be lost.
type intake struct {
	s    *Spool
	kick chan struct{} // a function could not be handed to the database at once

	mu      sync.Mutex
	seq     int64    // the last given
	back    []*write // wait for their turn, which is before that of staged
	staged  []entry
	early   int     // so many of staged are in the uploader's hand
	unused  []entry // the memory of a batch that is done
	bytes   int64   // of staged, and of those in a function
	count   int
	waits   bool          // a function is with the database, or a pause lasts
	pause   time.Duration // after the last failure
	running int           // functions that have not told how they ended
	waiting bool          // what comes may wait for the uploader
	armed   bool          // a timer sees to it that it does not wait too long
	quick   bool          // the cloud acknowledges in less than hold
	round   int           // counts how often what was sent early had to be sent again
	safe    int64         // no seq up to here is given again after a crash
	started bool
	stopped bool
	over    bool          // what cannot be written now never will be
	failure error         // that the disk gave
	since   time.Time     // of failure
	empty   chan struct{} // closed by stop when nothing is left

	// Owned by the functions of the database.
	reserved int64 // no seq up to here is free after a crash
	evict    evictions
	tally    tally
	sealed   []byte // what one statement writes, if it is encrypted
}

// maxTaken bounds the messages, and about the bytes, that one function writes.
const (
	maxTaken      = 4096
	maxTakenBytes = 1 << 20
)

// Between two tries on a disk that fails.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
)

// schedule sees to it that a function is with the database if messages wait, unless they
// wait for the uploader first. The caller holds in.mu.
func (in *intake) schedule() {
	if in.waiting && len(in.back) == 0 && len(in.staged) > 0 && !in.stopped {
		in.arm()
		return
	}
	in.write()
}

// write is schedule for messages that may not wait.
func (in *intake) write() {
	if in.waits || !in.started {
		return
	}
	w := in.turn()
	if w == nil {
		return
	}
	in.waits = true
	in.running++
	if err := in.s.o.DB.TryWrite(w.run, w.done); err != nil {
		in.waits = false
		in.running--
		if w.back != nil {
			in.back = slices.Insert(in.back, 0, w)
		}
		select {
		case in.kick <- struct{}{}:
		default:
		}
	}
}

// turn returns the function whose turn it is; nil when nothing is to be written. The
// caller holds in.mu.
func (in *intake) turn() *write {
	if len(in.back) > 0 && in.early == 0 { // the others have been seen under their seq
		w := in.back[0]
		in.back = in.back[1:]
		return w
	}
	if len(in.staged) > 0 {
		return &write{in: in}
	}
	return nil
}

func (in *intake) start() {
	in.mu.Lock()
	in.started, in.failure = true, nil
	in.schedule()
	in.mu.Unlock()
}

// run hands functions over that the database had no room for.
func (in *intake) run(ctx context.Context) {
	for {
		select {
		case <-in.kick:
		case <-ctx.Done():
			return
		}
		var w *write
		in.mu.Lock()
		if !in.waits {
			if w = in.turn(); w != nil {
				in.waits = true
				in.running++
			}
		}
		in.mu.Unlock()
		if w != nil {
			in.s.o.DB.Write(w.run, w.done)
		}
	}
}

// stop takes no more messages, and waits until those that were taken are on the disk.
// It gives up after a while: a disk that fails must not hold up the end, after which
// the database tells stored that it has closed.
func (in *intake) stop(patience time.Duration) {
	in.mu.Lock()
	in.stopped = true
	for _, w := range in.back {
		w.back.told <- ErrStopped
	}
	in.back = nil
	if in.count == 0 {
		in.mu.Unlock()
		return
	}
	empty := make(chan struct{})
	in.empty = empty
	in.schedule()
	idle := !in.waits // the database has no room, or no life, for a function of ours
	if idle {
		in.running++
	}
	in.waits = true
	in.mu.Unlock()
	if idle {
		w := &write{in: in}
		in.s.o.DB.Write(w.run, w.done)
	}
	select {
	case <-empty:
		return
	case <-time.After(patience):
	}
	in.mu.Lock()
	in.over = true
	rest := in.staged
	in.staged = nil
	in.mu.Unlock()
	in.fail(rest, ErrStopped)
}

// fail tells that messages will not be on the disk.
func (in *intake) fail(batch []entry, err error) {
	told := ends{}
	in.mu.Lock()
	for i := range batch {
		batch[i].done = batch[i].sent()
	}
	in.mu.Unlock()
	for i := range batch {
		if batch[i].done {
			batch[i].stored(nil)
			told[end{batch[i].route, Sent, ""}]++
			continue
		}
		batch[i].stored(err)
		told[end{batch[i].route, Dropped, ReasonNotStored}]++
	}
	told.tell(in.s)
	in.settle(batch)
}

// take gives a function what has gathered, as much as is good for one.
func (in *intake) take() []entry {
	in.mu.Lock()
	defer in.mu.Unlock()
	n, bytes := 0, int64(0)
	most := min(maxTakenBytes, in.s.o.MaxSize/8) // it all stands in the WAL before it is in the file
	for n < len(in.staged) && n < maxTaken && (n == 0 || bytes < most) {
		bytes += in.staged[n].weight()
		in.staged[n].done = in.staged[n].sent()
		n++
	}
	in.early = max(0, in.early-n)
	if n == len(in.staged) {
		taken := in.staged
		in.staged, in.unused = in.unused, nil
		return taken
	}
	taken := in.staged[:n:n]
	in.staged = in.staged[n:]
	return taken
}

// next has the messages written that have gathered since a function took its own.
func (in *intake) next() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.waits, in.pause, in.failure = false, 0, nil
	in.schedule()
}

// giveBack puts what a function took in front again, to be tried anew after a pause.
// It returns false when there is no time left for that.
func (in *intake) giveBack(batch []entry, err error) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.over {
		return false
	}
	in.failed(err)
	in.staged = slices.Concat(batch, in.staged)
	in.early = 0
	for i := range batch {
		if it := batch[i].item; it != nil && it.end == nil && it.round != in.round {
			batch[i].item = nil // it was to be sent again meanwhile
		}
		if batch[i].item != nil && in.early == i {
			in.early++
		}
	}
	in.pause = min(max(firstRetry, 2*in.pause), lastRetry)
	time.AfterFunc(in.pause, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.waits = false
		in.schedule()
	})
	return true
}

// failed takes note that the disk refuses what is to be written. The caller holds in.mu.
func (in *intake) failed(err error) {
	if in.failure == nil {
		in.failure, in.since = err, time.Now()
	}
}

// settle counts messages out that have been told of; batch is not to be used again.
func (in *intake) settle(batch []entry) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.count -= len(batch)
	for i := range batch {
		in.bytes -= batch[i].weight()
	}
	clear(batch)
	if in.unused == nil && cap(batch) >= 64 && cap(batch) <= maxTaken {
		in.unused = batch[:0]
	}
	if in.count == 0 && in.empty != nil {
		close(in.empty)
		in.empty = nil
	}
}

// ofDisk reports whether the same write may work later.
func ofDisk(err error) bool {
	for _, kind := range []error{sqlite.ErrFull, sqlite.ErrReadOnly, sqlite.ErrIO, sqlite.ErrBusy, sqlite.ErrCorrupt} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
