package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func TestWritesOfAGroupShareACommit(t *testing.T) {
	db := openDB(t, Options{})
	var told reports
	for id := 1; id <= 100; id++ {
		told.write(db, id, insert(id))
	}
	run(t, db)
	for i, s := range told.wait() {
		if want := fmt.Sprint(i+1, " ok"); s != want {
			t.Fatalf("report %d is %q, want %q", i, s, want)
		}
	}
	if s := db.Stats(); s.Commits != 1 || s.Functions != 100 || s.Failed != 0 {
		t.Errorf("stats %+v, want 1 commit of 100 functions", s)
	}
	if got := ids(t, db); len(got) != 100 {
		t.Errorf("%d rows, want 100", len(got))
	}
}

func TestMaxBatchBoundsAGroup(t *testing.T) {
	db := openDB(t, Options{MaxBatch: 10})
	var told reports
	for id := 1; id <= 100; id++ {
		told.write(db, id, insert(id))
	}
	run(t, db)
	told.wait()
	if s := db.Stats(); s.Commits != 10 {
		t.Errorf("%d commits of 100 functions, want 10", s.Commits)
	}
}

// An error, a panic or a violated constraint undoes what its function wrote, all
// of it, and nothing else.
func TestErrorUndoesItsOwnFunctionOnly(t *testing.T) {
	for name, fault := range map[string]struct {
		f    func(*Tx) error
		want string
	}{
		"error":      {func(tx *Tx) error { return errors.Join(insert(2)(tx), errMine) }, "2 mine"},
		"read only":  {func(tx *Tx) error { return errMine }, "2 mine"},
		"constraint": {func(tx *Tx) error { return errors.Join(insert(2)(tx), insert(1)(tx)) }, "2 constraint"},
	} {
		t.Run(name, func(t *testing.T) {
			db := openDB(t, Options{})
			var told reports
			told.write(db, 1, insert(1))
			told.write(db, 2, fault.f)
			told.write(db, 3, insert(3))
			run(t, db)
			if got, want := told.wait(), []string{"1 ok", fault.want, "3 ok"}; !slices.Equal(got, want) {
				t.Errorf("told %q, want %q", got, want)
			}
			wantIDs(t, db, 1, 3)
			if s := db.Stats(); s.Commits != 1 || s.Failure != nil {
				t.Errorf("stats %+v, want one commit, and no failure of the disk", s)
			}
		})
	}
}

func TestPanicIsAnErrorOfItsFunction(t *testing.T) {
	db := runDB(t, Options{})
	err := db.Update(t.Context(), func(tx *Tx) error {
		if err := insert(1)(tx); err != nil {
			return err
		}
		panic("broken")
	})
	if err == nil || !strings.Contains(err.Error(), "broken") || !strings.Contains(err.Error(), "write_test.go") {
		t.Errorf("error %v, want the panic and where it was", err)
	}
	if err := db.Update(t.Context(), insert(2)); err != nil {
		t.Error(err)
	}
	wantIDs(t, db, 2)
}

// Groups with errors go by savepoints; every second of these functions fails.
func TestManyErrors(t *testing.T) {
	db := openDB(t, Options{MaxBatch: 50})
	var told reports
	var want []int
	for id := 1; id <= 300; id++ {
		f := insert(id)
		if id%2 == 0 {
			f = func(tx *Tx) error { return errors.Join(insert(id)(tx), errMine) }
		} else {
			want = append(want, id)
		}
		told.write(db, id, f)
	}
	run(t, db)
	for i, s := range told.wait() {
		want := fmt.Sprint(i+1, " ok")
		if i%2 == 1 {
			want = fmt.Sprint(i+1, " mine")
		}
		if s != want {
			t.Fatalf("report %d is %q, want %q", i, s, want)
		}
	}
	wantIDs(t, db, want...)
	if s := db.Stats(); s.Commits != 6 || s.Functions != 150 || s.Failed != 150 {
		t.Errorf("stats %+v, want 6 commits of 25 functions each", s)
	}
}

// What one function leaves for the COMMIT to find does not hit the others.
func TestDeferredForeignKey(t *testing.T) {
	db := openDB(t, Options{Migrations: migrations("CREATE TABLE rows (id INTEGER PRIMARY KEY);" +
		"CREATE TABLE child (row INTEGER REFERENCES rows DEFERRABLE INITIALLY DEFERRED)")})
	var told reports
	told.write(db, 1, insert(1))
	told.write(db, 2, func(tx *Tx) error {
		return errors.Join(insert(2)(tx), tx.Exec("INSERT INTO child VALUES (7)"))
	})
	told.write(db, 3, insert(3))
	run(t, db)
	if got, want := told.wait(), []string{"1 ok", "2 constraint", "3 ok"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	wantIDs(t, db, 1, 3)
}

func TestLaterFunctionsSeeEarlierOnes(t *testing.T) {
	db := openDB(t, Options{})
	var told reports
	var seen int
	told.write(db, 1, insert(1))
	told.write(db, 2, func(tx *Tx) error { return tx.QueryRow("SELECT count(*) FROM rows").Scan(&seen) })
	run(t, db)
	told.wait()
	if seen != 1 {
		t.Errorf("the second function of a group saw %d rows, want 1", seen)
	}
}

func TestQueueIsBounded(t *testing.T) {
	db := openDB(t, Options{Queue: 2})
	var told reports
	told.write(db, 1, insert(1))
	told.write(db, 2, insert(2))
	never := func(error) { t.Error("done was called for a write that was not accepted") }
	wantError(t, db.TryWrite(insert(3), never), ErrQueue)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, db.Enqueue(ctx, insert(3), never), context.Canceled)
	if w := db.Stats().Waiting; w != 2 {
		t.Errorf("%d wait, want 2", w)
	}
	blocked := make(chan struct{})
	go func() {
		defer close(blocked)
		told.write(db, 4, insert(4)) // until there is room
	}()
	run(t, db)
	<-blocked
	told.wait()
	wantIDs(t, db, 1, 2, 4)
}

// An Update that gives up has not run, and will not.
func TestUpdateGivesUp(t *testing.T) {
	db := openDB(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, db.Update(ctx, insert(1)), context.Canceled)
	run(t, db)
	if err := db.Update(t.Context(), insert(2)); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, db, 2)
}

// An Update whose function runs already waits for its end.
func TestUpdateStaysForWhatHasBegun(t *testing.T) {
	db := runDB(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var ended atomic.Bool
	err := db.Update(ctx, func(tx *Tx) error {
		cancel()
		defer ended.Store(true)
		return insert(1)(tx)
	})
	if err != nil || !ended.Load() {
		t.Errorf("Update returned %v, its function had ended: %v", err, ended.Load())
	}
	wantIDs(t, db, 1)
}

func TestEndOfRunCommitsWhatWasAccepted(t *testing.T) {
	o := Options{File: newFile(t)}
	db := openDB(t, o)
	var told reports
	for id := 1; id <= 500; id++ {
		told.write(db, id, insert(id))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Run(ctx); err != nil {
		t.Fatal(err)
	}
	told.write(db, "late", insert(501))
	if got := told.wait(); got[499] != "500 ok" || got[500] != "late closed" {
		t.Errorf("told %q, want 500 ok and late closed", got[499:])
	}
	wantError(t, db.TryWrite(insert(501), nil), ErrClosed)
	wantError(t, db.Update(t.Context(), insert(501)), ErrClosed)
	wantError(t, db.View(t.Context(), func(*Tx) error { return nil }), ErrClosed)
	wantError(t, db.Run(t.Context()), ErrClosed)
	if n, err := size(o.File + "-wal"); n > 0 || err != nil {
		t.Errorf("a clean end left a WAL of %d bytes (%v)", n, err)
	}
	if got := ids(t, openDB(t, o)); len(got) != 500 {
		t.Errorf("%d rows after a new start, want 500", len(got))
	}
}

func TestCloseTellsWhoWaits(t *testing.T) {
	db := openDB(t, Options{})
	var told reports
	told.write(db, 1, insert(1))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := told.wait(); got[0] != "1 closed" {
		t.Errorf("told %q, want closed", got)
	}
}
