package sqlite

import (
	"context"
	"testing"
	"time"
)

// A View sees one state, and neither waits for a writer nor stops it.
func TestViewIsASnapshot(t *testing.T) {
	db := runDB(t, Options{})
	if err := db.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	err := db.View(t.Context(), func(tx *Tx) error {
		count := func() (n int) {
			if err := tx.QueryRow("SELECT count(*) FROM rows").Scan(&n); err != nil {
				t.Error(err)
			}
			return n
		}
		before := count()
		err := db.Update(t.Context(), func(w *Tx) error { // inside the View
			defer wantIDs(t, db, 1) // inside the write, by another View
			return insert(2)(w)
		})
		if after := count(); before != 1 || after != 1 {
			t.Errorf("the View saw %d and then %d rows, want 1", before, after)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	wantIDs(t, db, 1, 2)
}

func TestViewCannotWrite(t *testing.T) {
	db := runDB(t, Options{})
	wantError(t, db.View(t.Context(), insert(1)), ErrReadOnly)
	wantError(t, db.View(t.Context(), func(*Tx) error { return errMine }), errMine)
}

func TestViewsAreBounded(t *testing.T) {
	db := runDB(t, Options{Readers: 1})
	err := db.View(t.Context(), func(*Tx) error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantError(t, db.View(ctx, func(*Tx) error { t.Error("a second View ran"); return nil }), context.Canceled)
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		wantError(t, db.View(short, func(*Tx) error { t.Error("a second View ran"); return nil }), context.DeadlineExceeded)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	wantIDs(t, db)
}

func TestViewIsInterrupted(t *testing.T) {
	db := runDB(t, Options{Readers: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := db.View(ctx, func(tx *Tx) error {
		var n int64 // years of it
		return tx.QueryRow("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n").Scan(&n)
	})
	wantError(t, err, context.DeadlineExceeded)
	wantIDs(t, db) // the connection is still good
}

func TestViewThatPanics(t *testing.T) {
	db := runDB(t, Options{Readers: 1})
	func() {
		defer func() { _ = recover() }()
		_ = db.View(t.Context(), func(*Tx) error { panic("broken") })
	}()
	wantIDs(t, db)
}

// A View that outlives Run ends in peace.
func TestEndDuringAView(t *testing.T) {
	db := openDB(t, Options{})
	stop := run(t, db)
	err := db.View(t.Context(), func(tx *Tx) error {
		stop()
		return tx.Exec("SELECT 1")
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCopy(t *testing.T) {
	db := runDB(t, Options{})
	file := newFile(t)
	for id := 1; id <= 3; id++ { // each takes the place of the one before
		if err := db.Update(t.Context(), insert(id)); err != nil {
			t.Fatal(err)
		}
		if err := db.Copy(t.Context(), file); err != nil {
			t.Fatal(err)
		}
	}
	copied := openDB(t, Options{File: file})
	if copied.Created() {
		t.Error("the copy was not there")
	}
	wantIDs(t, copied, 1, 2, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, db.Copy(ctx, file), context.Canceled)
	db.Close()
}
