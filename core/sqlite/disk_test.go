package sqlite

import (
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// fat is a row of about two pages.
func fat(id int) func(*Tx) error {
	return func(tx *Tx) error {
		return tx.Exec("INSERT INTO rows VALUES (?, ?)", id, strings.Repeat("x", 8000))
	}
}

func remove(id int) func(*Tx) error {
	return func(tx *Tx) error { return tx.Exec("DELETE FROM rows WHERE id = ?", id) }
}

// fill writes fat rows until there is no room, and returns how many there are.
func fill(t *testing.T, db *DB) int {
	t.Helper()
	for id := 1; id < 1000; id++ {
		if err := db.Update(t.Context(), fat(id)); errors.Is(err, ErrFull) {
			return id - 1
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the database was never full")
	return 0
}

// When there is no room, what needs none is written, what makes room too, and all
// in the order in which they came.
func TestFullDatabase(t *testing.T) {
	log, lines := testLog()
	o := Options{File: newFile(t), MaxBytes: 256 << 10, Log: log}
	db := openDB(t, o)
	stop := run(t, db)
	n := fill(t, db)
	if s := db.Stats(); !errors.Is(s.Failure, ErrFull) || s.Since.IsZero() || s.FileBytes > o.MaxBytes {
		t.Errorf("stats %+v, want a failure, and a file of at most %d bytes", s, o.MaxBytes)
	}
	stop()

	db = openDB(t, o)
	var told reports
	told.write(db, "insert", fat(1001))
	told.write(db, "update", func(tx *Tx) error { return tx.Exec("UPDATE rows SET text = 'y' WHERE id = 1") })
	told.write(db, "insert", fat(1002))
	told.write(db, "hidden", func(tx *Tx) error { _ = fat(1003)(tx); return nil })
	told.write(db, "remove", remove(2))
	told.write(db, "insert", fat(1004))
	run(t, db)
	got := told.wait()
	if want := []string{"insert full", "update ok", "insert full", "hidden full", "remove ok", "insert ok"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	if rows := ids(t, db); len(rows) != n || rows[0] != 1 || rows[1] != 3 || rows[n-1] != 1004 {
		t.Errorf("rows %v, want the %d of before but 2, and 1004", rows, n)
	}
	if err := db.Update(t.Context(), remove(1)); err != nil {
		t.Fatal(err)
	}
	if s := db.Stats(); s.Failure != nil {
		t.Errorf("after a good group the failure is still %v", s.Failure)
	}
	if n := lines.count("refuses writes"); n != 2 {
		t.Errorf("the log tells %d times of a failure, want once for each DB", n)
	}
	if n := lines.count("takes writes again"); n != 1 {
		t.Errorf("the log tells %d times of its end, want once", n)
	}
}

// A disk that fails for a while: everybody is told, and it goes on afterwards.
// The limit of the process on the size of its files stands for the disk.
func TestFailingDisk(t *testing.T) {
	db := runDB(t, Options{})
	if err := db.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	lift := limitFiles(t, uint64(db.Stats().WALBytes))
	for id := 2; id < 5; id++ {
		wantError(t, db.Update(t.Context(), fat(id)), ErrIO)
	}
	if s := db.Stats(); !errors.Is(s.Failure, ErrIO) || s.FailedCommits != 3 || s.Failed != 3 {
		t.Errorf("stats %+v, want 3 failed commits", s)
	}
	wantIDs(t, db, 1)
	lift()
	if err := db.Update(t.Context(), fat(5)); err != nil {
		t.Error(err)
	}
	if s := db.Stats(); s.Failure != nil {
		t.Errorf("stats %+v, want no failure any more", s)
	}
	wantIDs(t, db, 1, 5)
}

func limitFiles(t *testing.T, bytes uint64) (lift func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	set := func(cur uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: cur, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
	}
	signal.Ignore(syscall.SIGXFSZ)
	set(bytes)
	lift = func() { set(old.Cur); signal.Reset(syscall.SIGXFSZ) }
	t.Cleanup(lift)
	return lift
}

// After a failed group, no function runs until all of the group have been told.
func TestFailureIsToldBeforeTheNextGroup(t *testing.T) {
	db := openDB(t, Options{MaxBytes: 4096, MaxBatch: 1})
	ran := make(chan struct{})
	told := make(chan bool, 1)
	db.Write(fat(1), func(err error) {
		wantError(t, err, ErrFull)
		select {
		case <-ran:
			told <- false
		case <-time.After(50 * time.Millisecond): // long enough for the function to run
			told <- true
		}
	})
	db.Write(func(*Tx) error { close(ran); return nil }, func(error) {})
	run(t, db)
	if !<-told {
		t.Error("a function of the next group ran while the failed one was being told")
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err  sqlite3.Error
		want error
	}{
		{sqlite3.Error{Code: sqlite3.ErrFull}, ErrFull},
		{sqlite3.Error{Code: sqlite3.ErrIoErr, SystemErrno: syscall.EDQUOT}, ErrFull},
		{sqlite3.Error{Code: sqlite3.ErrIoErr, ExtendedCode: sqlite3.ErrIoErrFsync, SystemErrno: syscall.EIO}, ErrIO},
		{sqlite3.Error{Code: sqlite3.ErrIoErr, ExtendedCode: ioErrCorruptFS}, ErrCorrupt},
		{sqlite3.Error{Code: sqlite3.ErrReadonly}, ErrReadOnly},
		{sqlite3.Error{Code: sqlite3.ErrCantOpen, SystemErrno: syscall.EROFS}, ErrReadOnly},
		{sqlite3.Error{Code: sqlite3.ErrCantOpen}, ErrIO},
		{sqlite3.Error{Code: sqlite3.ErrNotADB}, ErrCorrupt},
		{sqlite3.Error{Code: sqlite3.ErrBusy}, ErrBusy},
		{sqlite3.Error{Code: sqlite3.ErrConstraint}, ErrConstraint},
	} {
		err := classify(fmt.Errorf("run it: %w", c.err))
		if !errors.Is(err, c.want) || !errors.As(err, new(sqlite3.Error)) {
			t.Errorf("%v (%d) is %v, want %v and the original", c.err, c.err.Code, err, c.want)
		}
		if OfDisk(err) == (c.want == ErrConstraint) {
			t.Errorf("%v: OfDisk is wrong", err)
		}
	}
	if err := classify(errMine); err != errMine {
		t.Errorf("an error of others became %v", err)
	}
}
