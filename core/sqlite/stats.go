package sqlite

import (
	"sync"
	"sync/atomic"
	"time"
)

// Stats is a look at a DB.
type Stats struct {
	Commits       uint64        // groups on the disk
	Functions     uint64        // functions whose done got nil
	Failed        uint64        // functions whose done got an error
	FailedCommits uint64        // transactions that were not committed
	Waiting       int           // functions in the queue, those of the group in work not counted
	Failure       error         // that the disk gave for the last group; nil when it took it
	Since         time.Time     // of the last change of Failure between nil and not nil
	FileBytes     int64         // of the database file
	WALBytes      int64         // of the WAL beside it, which is not in FileBytes
	CommitTime    time.Duration // that the commits took, all together
	// CommitTimes[i] of the commits took at most CommitBounds[i]. A mean hides the card
	// that stands still for a second now and then.
	CommitTimes  [len(CommitBounds)]uint64
	WrittenBytes int64 // that its commits wrote to the disk since Run; 0 when the kernel does not count
}

// CommitBounds reach from a good disk to a card that is about to fail.
var CommitBounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, time.Second, 5 * time.Second,
}

// Stats returns the figures of this moment. It does not touch the database.
func (db *DB) Stats() Stats {
	s := Stats{
		Commits:       db.stats.commits.Load(),
		Functions:     db.stats.functions.Load(),
		Failed:        db.stats.failed.Load(),
		FailedCommits: db.stats.failedCommits.Load(),
		Waiting:       len(db.queue.jobs),
	}
	db.stats.mu.Lock()
	s.Failure, s.Since = db.stats.failure, db.stats.since
	db.stats.mu.Unlock()
	// A size that cannot be read shows as 0; the failure of the disk shows above.
	s.FileBytes, _ = size(db.o.File)
	s.WALBytes, _ = size(db.o.File + "-wal")
	s.WrittenBytes = db.stats.written.Load()
	s.CommitTime = time.Duration(db.stats.commitTime.Load())
	var sum uint64
	for i := range CommitBounds {
		sum += db.stats.commitTimes[i].Load()
		s.CommitTimes[i] = sum
	}
	return s
}

// quiet is the time between two reports of a failure: a full disk takes what makes
// room and refuses the rest, in turn.
const quiet = time.Minute

// counters are what Stats shows; the writer counts.
type counters struct {
	commits, functions, failed, failedCommits atomic.Uint64
	// writes counts the commits that may have changed something.
	writes atomic.Uint64
	// written counts the bytes of the commits.
	written atomic.Int64
	// commitTime sums how long the commits took, in nanoseconds.
	commitTime  atomic.Int64
	commitTimes [len(CommitBounds)]atomic.Uint64 // by the bound that each is under

	mu      sync.Mutex
	failure error     // guarded by mu
	since   time.Time // guarded by mu

	told   bool      // the log says that there is a failure; the writer's
	toldAt time.Time // when it last said so; the writer's
}

// committed counts a commit that took so long.
func (c *counters) committed(took time.Duration) {
	c.commits.Add(1)
	c.commitTime.Add(int64(took))
	for i, bound := range CommitBounds {
		if took <= bound {
			c.commitTimes[i].Add(1)
			break
		}
	}
}

// count adds the functions of a settled group.
func (c *counters) count(jobs []job) {
	var failed uint64
	for i := range jobs {
		if jobs[i].err != nil {
			failed++
		}
	}
	c.failed.Add(failed)
	c.functions.Add(uint64(len(jobs)) - failed)
}

// note keeps what the disk gave for the last group, and reports whether that is a
// change from good to bad or back.
func (c *counters) note(failure error) (changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed = (c.failure == nil) != (failure == nil)
	c.failure = failure
	if changed {
		c.since = time.Now()
	}
	return changed
}

// note counts the failure, or the good end, of a group, and logs a change.
func (db *DB) note(failure error) {
	s := &db.stats
	switch changed := s.note(failure); {
	case !changed:
	case failure == nil && s.told:
		s.told = false
		db.o.Log.Info("The database takes writes again")
	case failure != nil && time.Since(s.toldAt) > quiet:
		s.told, s.toldAt = true, time.Now()
		db.o.Log.Error("The database refuses writes", "err", failure)
	}
}
