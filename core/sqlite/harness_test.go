package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// schema is that of most tests: rows with a number and a text.
var schema = fstest.MapFS{"01-rows.sql": {Data: []byte(`
CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT NOT NULL DEFAULT '' CHECK (text != 'forbidden'))`)}}

// logs is a log that a test reads while others write it.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

func newFile(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") }

// openDB opens the database of o, of the test schema and in a new folder where o
// does not say otherwise. Who does not run it has it closed at the end.
func openDB(t testing.TB, o Options) *DB {
	t.Helper()
	if o.File == "" {
		o.File = newFile(t)
	}
	if o.Migrations == nil {
		o.Migrations = schema
	}
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// run runs db until the test ends, or until stop is called.
func run(t testing.TB, db *DB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// runDB is openDB and run.
func runDB(t testing.TB, o Options) *DB {
	t.Helper()
	db := openDB(t, o)
	run(t, db)
	return db
}

func insert(id int) func(*Tx) error {
	return func(tx *Tx) error { return tx.Exec("INSERT INTO rows (id) VALUES (?)", id) }
}

// ids returns the ids of all rows.
func ids(t testing.TB, db *DB) []int {
	t.Helper()
	var found []int
	err := db.View(context.Background(), func(tx *Tx) error {
		rows, err := tx.Query("SELECT id FROM rows ORDER BY id")
		if err != nil {
			return err
		}
		for rows.Next() {
			var id int
			if err := rows.Scan(&id); err != nil {
				return err
			}
			found = append(found, id)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantIDs(t testing.TB, db *DB, want ...int) {
	t.Helper()
	if got := ids(t, db); !slices.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want one that is %q", err, want)
	}
}

// reports gathers the ends of writes, in the order in which they are told.
type reports struct {
	mu   sync.Mutex
	all  []string
	left sync.WaitGroup
}

// write has f written by db under a name.
func (r *reports) write(db *DB, name any, f func(*Tx) error) {
	r.left.Add(1)
	db.Write(f, r.done(name))
}

func (r *reports) done(name any) func(error) {
	return func(err error) {
		defer r.left.Done()
		r.mu.Lock()
		defer r.mu.Unlock()
		word := "ok"
		if err != nil {
			word = kind(err)
		}
		r.all = append(r.all, fmt.Sprint(name, " ", word))
	}
}

// wait waits for all that was written, and returns their ends.
func (r *reports) wait() []string {
	r.left.Wait()
	return r.all
}

// kind is the word of a test for an error.
func kind(err error) string {
	for word, e := range map[string]error{
		"full": ErrFull, "io": ErrIO, "closed": ErrClosed, "constraint": ErrConstraint, "mine": errMine,
	} {
		if errors.Is(err, e) {
			return word
		}
	}
	return err.Error()
}

var errMine = errors.New("my own")

// testLog returns a log and what reads it.
func testLog() (*slog.Logger, *logs) {
	l := &logs{}
	return slog.New(slog.NewTextHandler(l, nil)), l
}

// copyFiles copies a database as it stands on the disk, as a power cut leaves it.
func copyFiles(t testing.TB, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(from + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(to+suffix, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
