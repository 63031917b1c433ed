package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every connection is as the guarantees say, and one that is not is found out.
func TestPragmasAreInForce(t *testing.T) {
	file := newFile(t)
	openDB(t, Options{File: file}).Close()
	for _, r := range []role{writes, reads, migrates} {
		foreignKeys, otherwise := "1", "OFF"
		if r == migrates {
			foreignKeys, otherwise = "0", "ON"
		}
		weaker := map[string]string{"synchronous": "NORMAL", "busy_timeout": "0", "foreign_keys": otherwise}
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": foreignKeys, "busy_timeout": "5000",
			"cell_size_check": "1", "trusted_schema": "0", "wal_autocheckpoint": "1000",
		} {
			c, err := openConn(file, r)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := c.text("PRAGMA " + pragma); err != nil || got != want {
				t.Errorf("role %d: %s is %q (%v), want %s", r, pragma, got, err, want)
			}
			if weak := weaker[pragma]; weak != "" {
				if err := c.exec("PRAGMA " + pragma + "=" + weak); err != nil {
					t.Error(err)
				}
				if err := c.verify(r); err == nil || !strings.Contains(err.Error(), pragma) {
					t.Errorf("role %d: %s=%s was not found out: %v", r, pragma, weak, err)
				}
			}
			if err := c.close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestForeignKeysAreKept(t *testing.T) {
	db := runDB(t, Options{Migrations: migrations("CREATE TABLE rows (id INTEGER PRIMARY KEY); CREATE TABLE child (r REFERENCES rows)")})
	wantError(t, db.Update(t.Context(), func(tx *Tx) error { return tx.Exec("INSERT INTO child VALUES (1)") }), ErrConstraint)
}

func TestFilesAreOursAlone(t *testing.T) {
	o := Options{File: filepath.Join(t.TempDir(), "a name with ?, # and 100%.db")}
	db := runDB(t, o)
	if err := db.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	if err := db.Copy(t.Context(), o.File+"2"); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", "2"} {
		info, err := os.Stat(o.File + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("mode of %s is %o, want 600", info.Name(), mode)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(o.File))
	if err != nil || len(entries) != 4 {
		t.Errorf("the folder holds %v (%v), want 4 files", entries, err)
	}
}

func TestOpenTwice(t *testing.T) {
	o := Options{File: newFile(t)}
	db := openDB(t, o)
	_, err := Open(o)
	wantError(t, err, ErrBusy)
	db.Close()
	openDB(t, o)
}

func TestOpenNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{dir, filepath.Join(dir, "nowhere", "x.db")} {
		if _, err := Open(Options{File: file}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("error %v, want one that names %s", err, file)
		}
	}
}

// big makes a database of a few hundred pages, closed, or cut off with a WAL.
func big(t *testing.T, unclean bool) (file string) {
	t.Helper()
	o := Options{File: newFile(t)}
	db := openDB(t, o)
	stop := run(t, db)
	for id := range 400 {
		text := strings.Repeat(fmt.Sprint(id, " "), 200)
		if err := db.Update(t.Context(), func(tx *Tx) error { return tx.Exec("INSERT INTO rows VALUES (?, ?)", id, text) }); err != nil {
			t.Fatal(err)
		}
	}
	if !unclean {
		stop()
		return o.File
	}
	file = newFile(t)
	copyFiles(t, o.File, file)
	return file
}

// Whatever is done to a file, it is not opened as if it were empty.
func TestDamagedFiles(t *testing.T) {
	whole, err := os.ReadFile(big(t, false))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][]byte{
		"empty":           {},
		"all zero":        make([]byte, len(whole)),
		"zero page":       make([]byte, 4096),
		"text":            bytes.Repeat([]byte("this is not a database. "), 1000),
		"zero first page": append(make([]byte, 4096), whole[4096:]...),
		"zero rest":       append(bytes.Clone(whole[:4096]), make([]byte, len(whole)-4096)...),
		"zero from half":  append(bytes.Clone(whole[:len(whole)/2]), make([]byte, len(whole)-len(whole)/2)...),
	}
	for n := 1; n < len(whole); n = n*3/2 + 1 {
		cases[fmt.Sprint("cut at ", n)] = whole[:n]
	}
	for page := 0; page < len(whole); page += 4096 * 7 { // a bit of the head of every seventh page
		flipped := bytes.Clone(whole)
		flipped[page] ^= 0x20
		cases[fmt.Sprint("bit flipped at ", page)] = flipped
	}
	for name, data := range cases {
		file := newFile(t)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := Open(Options{File: file, Migrations: schema})
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v, want ErrCorrupt", name, err)
		}
		if err == nil {
			db.Close()
		} else if after, _ := os.ReadFile(file); !bytes.Equal(after, data) {
			t.Errorf("%s: the damaged file was changed", name)
		}
	}
}

func TestForeignDatabaseIsRefused(t *testing.T) {
	o := Options{File: newFile(t)}
	db, err := Open(o) // without a schema
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	o.Migrations = schema
	_, err = Open(o)
	wantError(t, err, ErrCorrupt)
}

// A database in use has rows in its WAL only.
func TestDamageBesideAWAL(t *testing.T) {
	for name, damage := range map[string]func(file string) error{
		"file gone":  os.Remove,
		"file empty": func(file string) error { return os.Truncate(file, 0) },
		"zero file": func(file string) error {
			n, err := size(file)
			return errors.Join(err, os.WriteFile(file, make([]byte, n), 0o600))
		},
		"WAL zero": func(file string) error {
			n, err := size(file + "-wal")
			return errors.Join(err, os.WriteFile(file+"-wal", make([]byte, n), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := big(t, true)
			if err := damage(file); err != nil {
				t.Fatal(err)
			}
			_, err := Open(Options{File: file, Migrations: schema})
			wantError(t, err, ErrCorrupt)
		})
	}
}

func TestUncleanStopIsRecovered(t *testing.T) {
	log, lines := testLog()
	o := Options{File: big(t, true), Log: log}
	db := openDB(t, o)
	if got := ids(t, db); len(got) != 400 {
		t.Errorf("%d rows, want 400", len(got))
	}
	if lines.count("unclean stop") != 1 {
		t.Error("the log does not tell of the unclean stop")
	}
	if err := db.Check(context.Background()); err != nil {
		t.Error(err)
	}
}

// What is too large to be checked at the start is found by Check.
func TestCheck(t *testing.T) {
	file := big(t, false)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2/4096*4096] ^= 0x20
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	db := openDB(t, Options{File: file, CheckLimit: 1})
	wantError(t, db.Check(t.Context()), ErrCorrupt)
	wantError(t, db.Copy(t.Context(), file+".copy"), ErrCorrupt)
	if _, err := os.Stat(file + ".copy"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a copy of a damaged database was made: %v", err)
	}
}
