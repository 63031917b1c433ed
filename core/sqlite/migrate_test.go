package sqlite

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// migrations makes the files of these steps.
func migrations(steps ...string) fs.FS {
	files := fstest.MapFS{}
	for i, s := range steps {
		files[fmt.Sprintf("%02d-step.sql", i+1)] = &fstest.MapFile{Data: []byte(s)}
	}
	return files
}

const firstStep = "CREATE TABLE rows (id INTEGER PRIMARY KEY); INSERT INTO rows VALUES (1)"

func TestMigrations(t *testing.T) {
	o := Options{File: newFile(t), Migrations: migrations(firstStep)}
	db := openDB(t, o)
	if !db.Created() {
		t.Error("a new database is not said to be created")
	}
	wantIDs(t, db, 1)
	db.Close()

	o.Migrations = migrations(firstStep, "INSERT INTO rows VALUES (2)", "INSERT INTO rows SELECT count(*) + 1 FROM rows")
	for range 2 { // the second time there is nothing to do
		db = openDB(t, o)
		if db.Created() {
			t.Error("an old database is said to be created")
		}
		wantIDs(t, db, 1, 2, 3)
		db.Close()
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	o := Options{File: newFile(t), Migrations: migrations(firstStep, "SELECT 1", "SELECT 1")}
	openDB(t, o).Close()
	o.Migrations = migrations(firstStep)
	_, err := Open(o)
	wantError(t, err, ErrNewer)
	for _, want := range []string{o.File, "version 3", "up to 1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, want %q in it", err, want)
		}
	}
}

// A step that fails leaves the database at the step before, whatever it had done.
func TestFailedStep(t *testing.T) {
	for name, c := range map[string]struct{ sql, want string }{
		"error":         {"INSERT INTO rows VALUES (2); INSERT INTO nowhere VALUES (1)", "no such table"},
		"foreign key":   {"INSERT INTO rows VALUES (2); CREATE TABLE c (r REFERENCES rows); INSERT INTO c VALUES (9)", "c refers to a missing row of rows"},
		"ends its own":  {"COMMIT", "ends the transaction"},
		"wrong version": {"INSERT INTO rows VALUES (1)", "UNIQUE"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{File: newFile(t), Migrations: migrations(firstStep)}
			openDB(t, o).Close()
			bad := o
			bad.Migrations = migrations(firstStep, c.sql)
			if _, err := Open(bad); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "02-step.sql") {
				t.Errorf("error %v, want the file and %q", err, c.want)
			}
			wantIDs(t, openDB(t, o), 1)
		})
	}
}

// A table that others refer to can be rebuilt, which ON DELETE CASCADE would empty.
func TestStepRebuildsATable(t *testing.T) {
	first := firstStep + "; CREATE TABLE child (r INTEGER REFERENCES rows ON DELETE CASCADE); INSERT INTO child VALUES (1)"
	o := Options{File: newFile(t), Migrations: migrations(first)}
	openDB(t, o).Close()
	o.Migrations = migrations(first, `CREATE TABLE n (id INTEGER PRIMARY KEY, text TEXT);
		INSERT INTO n (id) SELECT id FROM rows; DROP TABLE rows; ALTER TABLE n RENAME TO rows`)
	db := openDB(t, o)
	err := db.View(t.Context(), func(tx *Tx) error {
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM child").Scan(&n); err != nil || n != 1 {
			t.Errorf("%d rows refer to the rebuilt table (%v), want 1", n, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A creation that fails leaves no database, so that the next start is a new one too.
func TestFailedCreation(t *testing.T) {
	o := Options{File: newFile(t), Migrations: migrations("CREATE TABLE rows (id INTEGER PRIMARY KEY)", "nonsense")}
	if _, err := Open(o); err == nil {
		t.Fatal("nonsense was migrated to")
	}
	if _, err := os.Stat(o.File); err == nil {
		t.Error("a database was left behind")
	}
	o.Migrations = migrations(firstStep)
	if db := openDB(t, o); !db.Created() {
		t.Error("the next start is not a creation")
	}
}

func TestNamesOfMigrations(t *testing.T) {
	for _, names := range [][]string{
		{"02-a.sql"}, {"01-a.sql", "03-b.sql"}, {"01-a.sql", "01-b.sql"}, {"1-a.sql"}, {"01-a.sql", "README"}, {"01_a.sql"},
	} {
		files := fstest.MapFS{}
		for _, n := range names {
			files[n] = &fstest.MapFile{}
		}
		if _, err := Open(Options{File: newFile(t), Migrations: files}); err == nil || !strings.Contains(err.Error(), names[len(names)-1]) {
			t.Errorf("%q: error %v, want one that names the last", names, err)
		}
	}
}
