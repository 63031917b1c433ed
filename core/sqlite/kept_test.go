package sqlite

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// openKept opens a kept database that is closed with the test.
func openKept(t testing.TB, o Options, keep Keep) *Kept {
	t.Helper()
	if o.Migrations == nil {
		o.Migrations = schema
	}
	k, err := OpenKept(o, keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// runKept runs k until stop is called.
func runKept(t testing.TB, k *Kept) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

const keptRows = 400

// keptFile makes a database of keptRows fat rows and its copy, and returns its path.
func keptFile(t testing.TB) string {
	t.Helper()
	k := openKept(t, Options{File: newFile(t)}, Keep{})
	stop := runKept(t, k)
	put(t, k, 1, keptRows)
	stop()
	if !exists(copyOf(k.o.File)) {
		t.Fatal("a clean end made no copy")
	}
	return k.o.File
}

// put writes the rows from to to, of about half a page each.
func put(t testing.TB, k *Kept, from, to int) {
	t.Helper()
	err := k.Update(t.Context(), func(tx *Tx) error {
		for id := from; id <= to; id++ {
			if err := tx.Exec("INSERT INTO rows VALUES (?, ?)", id, strings.Repeat(fmt.Sprint(id, " "), 400)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for !done() {
		select {
		case <-limit:
			t.Fatalf("waited in vain until %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// The copy follows what is written, and rests while nothing is.
func TestCopiesAreMade(t *testing.T) {
	o := Options{File: newFile(t)}
	k := openKept(t, o, Keep{Every: 5 * time.Millisecond})
	stop := runKept(t, k)
	eventually(t, "the first copy is made", func() bool { return exists(copyOf(o.File)) })
	put(t, k, 1, 3)
	stop()
	made, err := os.ReadFile(copyOf(o.File))
	if err != nil {
		t.Fatal(err)
	}
	other := newFile(t)
	if err := os.WriteFile(other, made, 0o600); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, openDB(t, Options{File: other}), 1, 2, 3)

	// Nothing was written: the guard's first round is over when a write has been done.
	before, err := os.Stat(copyOf(o.File))
	if err != nil {
		t.Fatal(err)
	}
	k = openKept(t, o, Keep{})
	k.made = k.stats.writes.Load()
	if k.due() {
		t.Error("a copy is due although nothing was written")
	}
	stop = runKept(t, k)
	put(t, k, 4, 4)
	stop()
	after, err := os.Stat(copyOf(o.File))
	if err != nil || !after.ModTime().After(before.ModTime()) {
		t.Errorf("the end made no new copy (%v)", err)
	}
}

func TestTooLargeForACopy(t *testing.T) {
	log, lines := testLog()
	o := Options{File: newFile(t), Log: log}
	k := openKept(t, o, Keep{MaxCopy: 64 << 10})
	stop := runKept(t, k)
	eventually(t, "the first copy is made", func() bool { return exists(copyOf(o.File)) })
	before, _ := os.ReadFile(copyOf(o.File))
	put(t, k, 1, keptRows)
	stop()
	if after, _ := os.ReadFile(copyOf(o.File)); !bytes.Equal(before, after) {
		t.Error("a copy beyond the limit was made")
	}
	if lines.count("too large for a second copy") != 1 {
		t.Error("the log does not say so")
	}
}

// Damage that is found while the database is in use is told at once, and the next
// start looks at all of the file although it is large.
func TestDamageFoundInUse(t *testing.T) {
	file := copyKept(t, keptFile(t))
	damageFile(t, file, damages["bit in a leaf"])
	log, lines := testLog()
	o := Options{File: file, CheckLimit: 1, Log: log}
	k := openKept(t, o, Keep{Every: time.Millisecond})
	stop := runKept(t, k)
	eventually(t, "the damage is told", func() bool { return len(k.Faults()) == 1 })
	if f := k.Faults(); !strings.Contains(f[0].NextStep, "restart") {
		t.Errorf("faults %v", f)
	}
	// The log follows, when the next start has been told of it.
	eventually(t, "the damage is logged", func() bool { return lines.count("is damaged") > 0 })
	stop()
	k = openKept(t, o, Keep{})
	if n := len(ids(t, k.DB)); n != keptRows {
		t.Errorf("%d rows, want %d", n, keptRows)
	}
	if f := k.Faults(); len(f) != 1 || !strings.Contains(f[0].Message, "restored") || exists(suspect(file)) {
		t.Errorf("after a restart: faults %v", f)
	}
}
