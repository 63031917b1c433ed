package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Keep says how a database keeps its second copy.
type Keep struct {
	// Every is the least time between two copies, which are made only when something
	// has changed; 0 is 10 minutes. A large database waits a minute for each MiB, so
	// that copies write 1 MiB a minute at most: 0.5 TiB a year.
	Every time.Duration
	// MaxCopy is the size in bytes, without free space, above which no copy is made;
	// 0 is 32 MiB.
	MaxCopy int64
	// Newer names, by table, the column that grows with each change of a row: of the
	// copy's row and that of the damaged file the greater one stays. In other tables
	// that of the damaged file does, since it was written later.
	Newer map[string]string
	// Mend runs once in a database that was restored, and makes right what follows
	// from other rows, or must not go back although the rows did. Optional.
	Mend func(tx *Tx) error
	// MendCopy runs in its place when nothing of the damaged file was taken over, so that
	// all rows are those of the copy, and of one moment. Nil: Mend does.
	MendCopy func(tx *Tx) error
}

func (k Keep) withDefaults() Keep {
	k.Every = cmp.Or(k.Every, 10*time.Minute)
	k.MaxCopy = cmp.Or(k.MaxCopy, 32<<20)
	return k
}

// The times of the goroutine that guards a database.
const (
	lookEvery = time.Minute      // for damage, and whether a copy is due
	lastCopy  = 10 * time.Second // what a copy may take at the end
)

// Kept is a DB with a second copy, FILE.copy, that is made in the background: soon
// after the start, then as Keep says, and at a clean end. OpenKept restores from it.
type Kept struct {
	*DB
	keep Keep
	log  *slog.Logger
	made uint64 // DB's writes when the last copy was made; the guard's

	mu       sync.Mutex
	restored []Recovery // guarded by mu: told until their notes are deleted
	copy     trouble    // guarded by mu: the last copy could not be made
	damage   trouble    // guarded by mu: found while the database is in use
	large    bool       // guarded by mu: it is too large for a copy
}

// trouble is an error and since when it is there.
type trouble struct {
	err   error
	since time.Time
}

// set keeps err, and reports whether that is a change from good to bad or back.
func (t *trouble) set(err error) (changed bool) {
	changed = (t.err == nil) != (err == nil)
	if t.err = err; changed {
		t.since = time.Now()
	}
	return changed
}

// Fault is what a person has to look at.
type Fault struct {
	Message, NextStep string
	Since             time.Time
}

// OpenKept is Open for a database with a second copy. A file that is damaged, cannot
// be read, or is gone although there was one, is set aside and restored: from the
// copy, if that is sound, and what can still be read of the file. If there is neither,
// the database begins empty. The log, a note beside the file and Faults tell of it.
func OpenKept(o Options, keep Keep) (*Kept, error) {
	k := &Kept{keep: keep.withDefaults(), log: o.withDefaults().Log}
	checked := o
	if exists(suspect(o.File)) {
		checked.CheckLimit = math.MaxInt64
	}
	finished, err := finish(o.File)
	if err == nil {
		k.tell(finished)
		err = lost(o.File)
	}
	if err == nil {
		k.DB, err = Open(checked)
	}
	if isDamage(o.File, err) {
		var r *Recovery
		if r, err = restore(o, k.keep, err); err == nil {
			k.tell(r)
			k.DB, err = Open(o)
		}
	}
	if err != nil {
		return nil, err
	}
	_ = os.Remove(suspect(o.File)) // else it is checked once more
	k.restored = notes(o.File)
	return k, nil
}

// suspect is the file that says that damage was found while the database was in use,
// so that the next start looks at all of it, however large it is.
func suspect(file string) string { return file + ".suspect" }

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// tell logs what a start had to do; nil: nothing.
func (k *Kept) tell(r *Recovery) {
	if r == nil {
		return
	}
	k.log.Error(r.Text(), "next_step", r.NextStep())
}

// Run is DB.Run, and makes the copies.
func (k *Kept) Run(ctx context.Context) error {
	var guard sync.WaitGroup
	guard.Go(func() { k.guard(ctx) })
	return k.serve(ctx, func() {
		guard.Wait()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastCopy)
		defer cancel()
		if k.due() {
			k.back(ctx)
		}
	})
}

// guard looks for damage and makes the copies until ctx ends.
func (k *Kept) guard(ctx context.Context) {
	pace := min(lookEvery, k.keep.Every)
	// A start has better things to do, and one after the other should not copy each time.
	settled := time.Now().Add(pace)
	next := settled
	if !exists(copyOf(k.o.File)) {
		next = time.Now()
	}
	s := k.Stats()
	unchecked := s.FileBytes+s.WALBytes > k.o.CheckLimit // by Open
	k.made = math.MaxUint64                              // what the last run wrote after its copy is not known
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		k.found(k.Stats().Failure)
		if unchecked && !time.Now().Before(settled) {
			unchecked = false
			k.found(k.Check(ctx))
		}
		if !time.Now().Before(next) && k.due() {
			next = time.Now().Add(max(k.keep.Every, k.back(ctx)))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// due reports whether there is something that the copy has not.
func (k *Kept) due() bool { return k.stats.writes.Load() != k.made || !exists(copyOf(k.o.File)) }

// back makes a copy if it can, and returns how long the next one should wait for the
// sake of the card.
func (k *Kept) back(ctx context.Context) (rest time.Duration) {
	made := k.stats.writes.Load()
	size, err := k.size(ctx)
	if err == nil {
		if k.tooLarge(size) {
			return 0
		}
		err = k.room(size)
	}
	if err == nil {
		err = k.Copy(ctx, copyOf(k.o.File))
	}
	if ctx.Err() != nil && !errors.Is(err, ErrCorrupt) {
		return 0 // the end interrupts it, and that is no fault
	}
	k.found(err)
	k.mu.Lock()
	changed := k.copy.set(err)
	k.mu.Unlock()
	switch {
	case err != nil && changed:
		k.log.Warn("The second copy of the database cannot be made", "err", err)
	case err == nil && changed:
		k.log.Info("The second copy of the database is made again")
	}
	if err == nil {
		k.made = made
	}
	return time.Duration(size>>20) * time.Minute
}

// size is that of a copy in bytes.
func (k *Kept) size(ctx context.Context) (bytes int64, err error) {
	err = k.View(ctx, func(tx *Tx) error {
		return tx.QueryRow("SELECT (p.page_count - f.freelist_count) * s.page_size" +
			" FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s").Scan(&bytes)
	})
	return bytes, err
}

// tooLarge reports whether size is above the bound, and logs a change.
func (k *Kept) tooLarge(size int64) bool {
	large := size > k.keep.MaxCopy
	k.mu.Lock()
	changed := large != k.large
	k.large = large
	k.mu.Unlock()
	if large && changed {
		k.log.Warn("The database is too large for a second copy; if it is damaged, what can be read of it is kept",
			"bytes", size, "limit", k.keep.MaxCopy)
	}
	return large
}

// room refuses a copy that would take what others need more: it must leave as much
// free as it takes.
func (k *Kept) room(size int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(k.o.File, &fs); err != nil {
		return err
	}
	if free := int64(fs.Bavail) * int64(fs.Bsize); free < 2*size {
		return fmt.Errorf("%w: a copy takes %d KiB, and %d KiB are free", ErrFull, size>>10, free>>10)
	}
	return nil
}

// found takes note of damage in a database that is in use. It goes on as well as it
// can; the next start restores it.
func (k *Kept) found(err error) {
	if !errors.Is(err, ErrCorrupt) {
		return
	}
	k.mu.Lock()
	changed := k.damage.set(err)
	k.mu.Unlock()
	if changed {
		// On a disk that takes nothing the fault and the log have to do.
		_ = os.WriteFile(suspect(k.o.File), nil, 0o600)
		k.log.Error("The database is damaged", "err", err, "next_step", restartStep)
	}
}

const restartStep = "restart greengate: it sets the file aside and restores what it can"

// Faults says what a person has to look at; nothing when all is well. What was
// restored is told until somebody deletes what was set aside.
func (k *Kept) Faults() (faults []Fault) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.restored {
		if exists(r.note()) {
			faults = append(faults, Fault{r.Text(), r.NextStep(), r.At})
		}
	}
	if d := k.damage; d.err != nil {
		faults = append(faults, Fault{d.err.Error(), restartStep, d.since})
	}
	if c := k.copy; c.err != nil && k.damage.err == nil {
		faults = append(faults, Fault{"no second copy since " + c.since.Format(time.RFC3339) + ": " + c.err.Error(),
			"make room on the disk, or see what ails it", c.since})
	}
	return faults
}
