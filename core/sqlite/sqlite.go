// Package sqlite keeps database files that survive a power cut: it opens and
// checks them, migrates them, and commits what many callers write in groups,
// fsynced. It is the only door to go-sqlite3 and imports nothing of ours; any
// room of the gateway may import it.
//
// A DB has one connection that writes, owned by the goroutine of Run, and a few
// that read. Callers hand functions to Write or Update; the writer runs all that
// have gathered in one transaction, commits, and tells each caller. There is no
// timer: while one group is on its way to the disk the next one gathers, so that
// a group is as large as the disk is slow. Readers see the last commit, and
// neither wait for the writer nor make it wait.
//
// All methods of a DB may be called from any goroutine. A Tx and its Rows belong
// to the function that got them and end with it.
//
// # Guarantees
//
// Every connection has journal_mode=WAL, synchronous=FULL, foreign_keys=ON and a
// busy_timeout, read back when it is opened: with synchronous=NORMAL, the default
// of go-sqlite3, a power cut takes acknowledged rows with it. A file that exists
// is never taken for a new one: a new database is made beside it and renamed, so
// that an empty or damaged file can only be a fault, and is ErrCorrupt.
//
// What SQLite cannot see, this package cannot see either: a bit that flips inside
// the value of a row is no damage to the structure. Who must know it keeps a
// checksum in the row.
//
// # Damage
//
// OpenKept opens a DB that keeps a second copy beside the file. A damaged, unreadable
// or missing file is set aside and restored from the copy and from what can still be
// read; kept.go makes the copies, recovery.go decides and swaps, build.go and
// salvage.go make the restored database.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Options says which database to open, and its bounds.
type Options struct {
	// File is the path of the database. SQLite keeps FILE-wal and FILE-shm
	// beside it, also when it is closed: see room. The folder must exist.
	File string
	// Migrations holds in its root the files NN-name.sql, NN from 01 without a
	// gap. NN is the version of the schema that the file leads to. Nil: the
	// database has no schema of ours, as in tests.
	Migrations fs.FS
	// Log gets the changes of state: damage, a full disk, and its end.
	Log *slog.Logger
	// MaxBatch is the largest number of functions in a group; 0 is 1024.
	MaxBatch int
	// Queue is the number of functions that may wait for their group; at that
	// number Write blocks. 0 is 1024.
	Queue int
	// Readers is the largest number of Views at a time; 0 is 2. The connection
	// of each is opened when it is first needed and may hold 2 MiB of cache.
	Readers int
	// PageSize is that of a database that is made, in bytes: a power of two from 512 to
	// 32768; 0 is 4096. One that is there keeps its own. A commit writes whole pages: of
	// 1 KiB they cost the disk two thirds of what those of 4 KiB do, where a commit brings
	// a row or two, and a third more of the processor where it brings hundreds.
	PageSize int
	// MaxBytes bounds the database file, not the WAL beside it (MaxWAL). What would need more fails with ErrFull. 0: the disk is the bound.
	MaxBytes int64
	// MaxWAL is the length of the WAL in bytes at which a commit also moves it into the
	// database file: it gets longer by that commit, and behind a slow View. 0 is 4 MiB.
	MaxWAL int64
	// CheckLimit is the size in bytes, with the WAL, up to which Open walks the
	// structure of the whole file. Of a larger one it sees the two ends only: call
	// Check once the gateway runs. 0 is 64 MiB, which take 0.2 s, or on a small
	// computer the time to read them.
	CheckLimit int64
}

// withDefaults fills in what is zero.
func (o Options) withDefaults() Options {
	if o.MaxBatch <= 0 {
		o.MaxBatch = 1024
	}
	if o.Queue <= 0 {
		o.Queue = 1024
	}
	if o.Readers <= 0 {
		o.Readers = 2
	}
	if o.PageSize <= 0 {
		o.PageSize = defaultPage
	}
	if o.CheckLimit <= 0 {
		o.CheckLimit = 64 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("component", "sqlite", "file", o.File)
	return o
}

// DB is an open database.
type DB struct {
	o       Options
	created bool
	writer  *conn // of Run's goroutine, or of Close
	readers *pool
	queue   *queue
	room    room
	stats   counters

	owned  atomic.Bool // Run or Close has taken the connections
	forget func()      // takes the file off the list of open ones
}

// opened holds the files that this process has open. A second opening of a file
// in one process is refused: SQLite's POSIX locks belong to the process, so that
// reading the header of a file that is open here would give away its locks.
var opened struct {
	sync.Mutex
	files map[string]bool
}

// claim puts file on the list of open ones, and returns what takes it off.
func claim(file string) (release func(), err error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	opened.Lock()
	defer opened.Unlock()
	if opened.files[path] {
		return nil, fmt.Errorf("%w: this process has it open already", ErrBusy)
	}
	if opened.files == nil {
		opened.files = make(map[string]bool)
	}
	opened.files[path] = true
	return sync.OnceFunc(func() {
		opened.Lock()
		defer opened.Unlock()
		delete(opened.files, path)
	}), nil
}

// Open opens the database, which it makes if there is none, and brings its schema
// up to date. It starts nothing: what is written waits for Run. Every error names
// the file; those to tell apart are ErrCorrupt, ErrNewer, ErrReadOnly, ErrFull,
// ErrIO and ErrBusy.
func Open(o Options) (*DB, error) {
	db := &DB{o: o.withDefaults(), room: room{file: o.File}}
	if err := db.open(); err != nil {
		return nil, fmt.Errorf("open the database %s: %w", o.File, err)
	}
	return db, nil
}

func (db *DB) open() (err error) {
	steps, err := readMigrations(db.o.Migrations)
	if err != nil {
		return err
	}
	if db.forget, err = claim(db.o.File); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			db.forget()
		}
	}()
	found, err := inspect(db.o.File)
	if err != nil {
		return err
	}
	if !found.exists {
		if err := create(db.o.File, db.o.PageSize, steps); err != nil {
			return err
		}
		db.created = true
	}
	if db.writer, err = openChecked(db.o, found, steps); err != nil {
		return err
	}
	if err := db.room.take(); err != nil {
		err = errors.Join(err, db.writer.close())
		db.room.leave(false)
		return err
	}
	if found.unclean {
		db.o.Log.Info("Recovered the database after an unclean stop", "wal_bytes", found.wal)
	}
	db.queue = newQueue(db.o.Queue)
	db.readers = newPool(db.o.Readers, func() (*conn, error) { return openLasting(db.o.File, reads) })
	return nil
}

// Created reports whether Open made the file because there was none. Who expects
// one, because it keeps a second copy for example, looks here.
func (db *DB) Created() bool { return db.created }

// Run commits what is written until ctx is cancelled. It then refuses what comes,
// commits what was accepted, and closes the database. A disk that fails does not
// end it: see Write. The error is that of closing, or that Run was called twice.
func (db *DB) Run(ctx context.Context) error { return db.serve(ctx, func() {}) }

// serve is Run, with what is to be done when all is committed, before the end.
func (db *DB) serve(ctx context.Context, last func()) error {
	if !db.owned.CompareAndSwap(false, true) {
		return fmt.Errorf("run the database %s: %w", db.o.File, ErrClosed)
	}
	stop := context.AfterFunc(ctx, db.queue.seal)
	defer stop()
	newGroups(db).run()
	last()
	return db.close()
}

// Close closes a database that was not Run; functions that wait fail with
// ErrClosed. After Run it does nothing, so that it can be deferred.
func (db *DB) Close() error {
	if !db.owned.CompareAndSwap(false, true) {
		return nil
	}
	db.queue.seal()
	for j, ok := db.queue.next(); ok; j, ok = db.queue.next() {
		j.done(ErrClosed)
	}
	return db.close()
}

// close closes the readers before the writer, since the last connection of a file
// takes the WAL into it. A View that still runs closes its own.
func (db *DB) close() error {
	defer db.forget()
	err := errors.Join(db.readers.close(), db.writer.close())
	db.room.leave(len(db.readers.slots) > 0)
	if err != nil {
		return fmt.Errorf("close the database %s: %w", db.o.File, err)
	}
	return nil
}
