package sqlite

import (
	"errors"
	"fmt"
	"syscall"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// Errors of the disk and the file. They can come from Open, from a function's own
// statements and to its done; test with errors.Is.
var (
	// ErrFull: the disk, a quota or Options.MaxBytes is exhausted.
	ErrFull = errors.New("no room on the disk or in the database")
	// ErrReadOnly: the file or its file system cannot be written.
	ErrReadOnly = errors.New("the database is read-only")
	// ErrIO: the disk or the file system failed.
	ErrIO = errors.New("the disk failed")
	// ErrBusy: another process, or this one, holds the database.
	ErrBusy = errors.New("the database is in use")
	// ErrCorrupt: the file is not, or no longer wholly, a database.
	ErrCorrupt = errors.New("the database is damaged")
)

// Errors of the caller's making.
var (
	// ErrNewer: the schema of the file is later than the last migration known.
	ErrNewer = errors.New("the database was written by a newer program")
	// ErrConstraint: a statement violates the schema (unique, foreign key, check).
	ErrConstraint = errors.New("a constraint of the schema is violated")
	// ErrNoRows: QueryRow found nothing.
	ErrNoRows = errors.New("no rows")
	// ErrQueue: TryWrite found as many functions waiting as Options.Queue allows.
	ErrQueue = errors.New("too many writes are waiting")
	// ErrClosed: Run has ended, or was told to end, or Close was called.
	ErrClosed = errors.New("the database is closed")
	// ErrTxEnded: a Tx or its Rows were used after their function had returned.
	ErrTxEnded = errors.New("the transaction has ended")
)

// ioErrCorruptFS is SQLITE_IOERR_CORRUPTFS, which go-sqlite3 has no name for.
var ioErrCorruptFS = sqlite3.ErrIoErr.Extend(33)

// classify gives an error of SQLite the sentinel that says what it means to us,
// and keeps the original within. Others are returned as they are.
func classify(err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return err
	}
	if kind := kindOf(e); kind != nil {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return err
}

// kindOf follows https://www.sqlite.org/rescode.html. The system's errno goes
// first where SQLite passes it on: a quota, for one, is an IOERR to SQLite.
func kindOf(e sqlite3.Error) error {
	switch e.SystemErrno {
	case syscall.ENOSPC, syscall.EDQUOT:
		return ErrFull
	case syscall.EROFS, syscall.EACCES, syscall.EPERM:
		return ErrReadOnly
	}
	switch e.Code {
	case sqlite3.ErrFull:
		return ErrFull
	case sqlite3.ErrReadonly, sqlite3.ErrPerm:
		return ErrReadOnly
	case sqlite3.ErrIoErr:
		if e.ExtendedCode == ioErrCorruptFS {
			return ErrCorrupt
		}
		return ErrIO
	case sqlite3.ErrCantOpen:
		return ErrIO
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return ErrCorrupt
	case sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrProtocol:
		return ErrBusy
	case sqlite3.ErrConstraint:
		return ErrConstraint
	}
	return nil
}

// OfDisk reports whether err tells about the disk or the file rather than about
// what one function did: the same function may work later.
func OfDisk(err error) bool {
	for _, kind := range []error{ErrFull, ErrReadOnly, ErrIO, ErrBusy, ErrCorrupt} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
