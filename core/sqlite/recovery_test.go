package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func zeroAll(data []byte) []byte { return make([]byte, len(data)) }

func flip(at func(size int) int) func([]byte) []byte {
	return func(data []byte) []byte {
		data[at(len(data))] ^= 0x20
		return data
	}
}

// damages are what becomes of a file on a bad card.
var damages = map[string]func([]byte) []byte{
	"empty":            func([]byte) []byte { return nil },
	"all zero":         zeroAll,
	"cut in half":      func(data []byte) []byte { return data[:len(data)/2] },
	"cut in a page":    func(data []byte) []byte { return data[:len(data)/2+1000] },
	"zero from half":   func(data []byte) []byte { clear(data[len(data)/2:]); return data },
	"bit in the magic": flip(func(int) int { return 3 }),
	"bit in page 1":    flip(func(int) int { return 100 }),
	"bit in the root":  flip(func(int) int { return 4096 }),
	"bit in a leaf":    flip(func(size int) int { return size / 2 / 4096 * 4096 }),
	"bit in the last":  flip(func(size int) int { return size - 4096 }),
	"bit in a name": func(data []byte) []byte {
		return bytes.Replace(data, []byte("(id INTEGER"), []byte("(ie INTEGER"), 1)
	},
}

func damageFile(t testing.TB, file string, damage func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, damage(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// copyKept copies a database with its copy to a folder of its own.
func copyKept(t testing.TB, from string) (file string) {
	t.Helper()
	file = newFile(t)
	copyFiles(t, from, file)
	if exists(copyOf(from)) {
		copyFiles(t, copyOf(from), copyOf(file))
	}
	return file
}

// Whatever happens to the file, all rows of the copy are there afterwards, the damaged
// file is kept, and everybody is told.
func TestDamageIsRestoredFromTheCopy(t *testing.T) {
	whole := keptFile(t)
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			file := copyKept(t, whole)
			damageFile(t, file, damage)
			log, lines := testLog()
			k := openKept(t, Options{File: file, Log: log}, Keep{})
			if n := len(ids(t, k.DB)); n != keptRows {
				t.Errorf("%d rows, want %d", n, keptRows)
			}
			if err := k.Check(t.Context()); err != nil {
				t.Error(err)
			}
			faults := k.Faults()
			if len(faults) != 1 || !strings.Contains(faults[0].Message, "restored from the copy of") || faults[0].NextStep == "" {
				t.Fatalf("faults %v", faults)
			}
			t.Log(faults[0].Message)
			if lines.count("level=ERROR") != 1 || lines.count("next_step") != 1 {
				t.Error("the log does not tell of it")
			}
			aside, _ := filepath.Glob(file + ".damaged-*Z")
			if len(aside) != 1 {
				t.Fatalf("set aside: %v", aside)
			}
			k.Close()
			again := openKept(t, Options{File: file}, Keep{})
			if f := again.Faults(); len(f) != 1 {
				t.Errorf("after another start the faults are %v", f)
			}
			for _, left := range glob(t, file+".damaged-*") {
				if err := os.Remove(left); err != nil {
					t.Fatal(err)
				}
			}
			if f := again.Faults(); len(f) != 0 {
				t.Errorf("what was set aside is deleted, and the faults are still %v", f)
			}
		})
	}
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Without a copy, what can be read around the damage is kept, and nothing begins empty
// in silence.
func TestSalvage(t *testing.T) {
	whole := keptFile(t)
	for name, least := range map[string]int{
		"empty": 0, "all zero": 0, "cut in half": keptRows / 3, "cut in a page": keptRows / 3, "bit in the root": 0, "bit in page 1": 0,
		"bit in the magic": keptRows, "bit in a name": keptRows, "bit in a leaf": keptRows - 8, "bit in the last": keptRows - 8,
		"zero from half": keptRows / 3,
	} {
		t.Run(name, func(t *testing.T) {
			file := newFile(t)
			copyFiles(t, whole, file)
			damageFile(t, file, damages[name])
			began := time.Now()
			k := openKept(t, Options{File: file}, Keep{})
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			found := ids(t, k.DB)
			if len(found) < least {
				t.Errorf("%d rows, want at least %d", len(found), least)
			}
			text := fmt.Sprint(k.Faults())
			t.Log(text)
			if want := "EMPTY"; strings.Contains(text, want) != (len(found) == 0) {
				t.Errorf("%d rows, and the faults are %s", len(found), text)
			}
			if len(found) > 0 && !strings.Contains(text, fmt.Sprint(len(found), " rows")) {
				t.Errorf("%d rows, and the faults are %s", len(found), text)
			}
		})
	}
}

// What was written after the copy is read from the damaged file.
func TestSalvageOverTheCopy(t *testing.T) {
	file := keptFile(t)
	k := openKept(t, Options{File: file}, Keep{})
	cut := newFile(t)
	stop := runKept(t, k)
	put(t, k, keptRows+1, keptRows+100)
	if err := k.Update(t.Context(), func(tx *Tx) error { return tx.Exec("UPDATE rows SET text = 'new' WHERE id < 50") }); err != nil {
		t.Fatal(err)
	}
	copyFiles(t, file, cut) // with what stands in the WAL
	copyFiles(t, copyOf(file), copyOf(cut))
	stop()
	damageFile(t, cut, damages["bit in a leaf"])
	k = openKept(t, Options{File: cut}, Keep{})
	if n := len(ids(t, k.DB)); n < keptRows+95 {
		t.Errorf("%d rows, want those of the copy and most of the 100 after it", n)
	}
	var fresh int
	if err := k.View(t.Context(), func(tx *Tx) error {
		return tx.QueryRow("SELECT count(*) FROM rows WHERE text = 'new'").Scan(&fresh)
	}); err != nil || fresh != 49 {
		t.Errorf("%d rows are the new ones, want 49 (%v)", fresh, err)
	}
}

// A damaged WAL is damage too: what SQLite would drop in silence is told.
func TestDamagedWALIsRestored(t *testing.T) {
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		least  int
	}{
		"all zero":           {zeroAll, 0},
		"a bit of a frame":   {flip(func(size int) int { return frameNear(size/2) + 8 }), 400},
		"a bit of a page":    {flip(func(size int) int { return frameNear(size/2) + 24 + 3000 }), 390},
		"a page in the last": {flip(func(size int) int { return frameNear(size-3*4120) + 24 }), 390},
	} {
		t.Run(name, func(t *testing.T) {
			file := big(t, true)
			damageFile(t, file+"-wal", c.damage)
			k := openKept(t, Options{File: file}, Keep{})
			if n := len(ids(t, k.DB)); n < c.least {
				t.Errorf("%d rows, want at least %d", n, c.least)
			}
			text := fmt.Sprint(k.Faults())
			t.Log(text)
			if !strings.Contains(text, "damaged") {
				t.Error("nobody is told")
			}
			if len(glob(t, file+".damaged-*-wal")) != 1 {
				t.Error("the WAL is not set aside")
			}
		})
	}
}

// frameNear is where the frame begins in which the byte at stands.
func frameNear(at int) int { return 32 + (at-32)/4120*4120 }

func TestMissingFile(t *testing.T) {
	whole := keptFile(t)
	t.Run("with a copy", func(t *testing.T) {
		file := copyKept(t, whole)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		k := openKept(t, Options{File: file}, Keep{})
		if n := len(ids(t, k.DB)); n != keptRows || len(k.Faults()) != 1 {
			t.Errorf("%d rows, faults %v", n, k.Faults())
		}
	})
	t.Run("and a former one set aside", func(t *testing.T) {
		file := newFile(t)
		if err := os.WriteFile(file+".damaged-20250101T000000Z", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		k := openKept(t, Options{File: file}, Keep{})
		if text := fmt.Sprint(k.Faults()); !strings.Contains(text, "EMPTY") {
			t.Errorf("faults %s", text)
		}
	})
	t.Run("never there", func(t *testing.T) {
		k := openKept(t, Options{File: newFile(t)}, Keep{})
		if !k.Created() || len(k.Faults()) != 0 {
			t.Errorf("created %v, faults %v", k.Created(), k.Faults())
		}
	})
}

// With both damaged, what can be read is kept; with nothing left, that is said.
func TestBothAreDamaged(t *testing.T) {
	whole := keptFile(t)
	file := copyKept(t, whole)
	damageFile(t, file, damages["bit in a leaf"])
	damageFile(t, copyOf(file), damages["bit in a leaf"])
	k := openKept(t, Options{File: file}, Keep{})
	text := fmt.Sprint(k.Faults())
	if n := len(ids(t, k.DB)); n < keptRows-8 || !strings.Contains(text, "(the copy: ") {
		t.Errorf("%d rows, faults %s", n, text)
	}

	file = copyKept(t, whole)
	damageFile(t, file, zeroAll)
	damageFile(t, copyOf(file), zeroAll)
	k = openKept(t, Options{File: file}, Keep{})
	if text := fmt.Sprint(k.Faults()); len(ids(t, k.DB)) != 0 || !strings.Contains(text, "EMPTY") || !strings.Contains(text, "the copy:") {
		t.Errorf("faults %s", text)
	}
}

// A restore that is cut short at any step goes on at the next start.
func TestRestoreCutShort(t *testing.T) {
	whole := keptFile(t)
	start := func(t *testing.T) (file string, r *Recovery) {
		file = copyKept(t, whole)
		damageFile(t, file, zeroAll)
		if err := os.WriteFile(file+"-wal", []byte("left"), 0o600); err != nil {
			t.Fatal(err)
		}
		r = newRecovery(file, ErrCorrupt)
		steps, err := readMigrations(schema)
		if err != nil {
			t.Fatal(err)
		}
		b := builder{r: r, steps: steps, pageSize: defaultPage}
		if err := b.build(restoredOf(file)); err != nil {
			t.Fatal(err)
		}
		return file, r
	}
	for name, cut := range map[string]func(r *Recovery) error{
		"after the building": func(*Recovery) error { return nil },
		"after the note":     (*Recovery).write,
		"after the file is set aside": func(r *Recovery) error {
			return errors.Join(r.write(), os.Rename(r.File, r.SetAside))
		},
		"after the WAL is too": func(r *Recovery) error {
			return errors.Join(r.write(), os.Rename(r.File, r.SetAside), os.Rename(r.File+"-wal", r.SetAside+"-wal"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			file, r := start(t)
			if err := cut(r); err != nil {
				t.Fatal(err)
			}
			log, lines := testLog()
			k := openKept(t, Options{File: file, Log: log}, Keep{})
			if n := len(ids(t, k.DB)); n != keptRows {
				t.Errorf("%d rows, want %d", n, keptRows)
			}
			if lines.count("level=ERROR") != 1 {
				t.Error("the log does not tell of it")
			}
			if len(k.Faults()) == 0 || exists(restoredOf(file)) || len(glob(t, file+".damaged-*Z"))+len(glob(t, file+".damaged-*Z-2")) != 1 {
				t.Errorf("faults %v, files %v", k.Faults(), glob(t, file+"*"))
			}
		})
	}
}

// Of what is set aside the newest three are kept.
func TestSetAsideIsBounded(t *testing.T) {
	file := copyKept(t, keptFile(t))
	for range 5 {
		damageFile(t, file, zeroAll)
		k := openKept(t, Options{File: file}, Keep{})
		k.Close()
	}
	if n := notes(file); len(n) != keptDamaged {
		t.Errorf("%d notes, want %d", len(n), keptDamaged)
	}
	if all := glob(t, file+".damaged-*"); len(all) != 4*keptDamaged { // the file, its WAL and index, and the note
		t.Errorf("set aside: %v", all)
	}
}

var versioned = fstest.MapFS{"01-docs.sql": {Data: []byte(`
CREATE TABLE docs (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, version INTEGER NOT NULL);
CREATE TABLE plain (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID`)}}

// Of two versions of a row the newer one stays, wherever it stands, and Mend has the
// last word.
func TestNewerRowsStayAndMendRuns(t *testing.T) {
	o := Options{File: newFile(t), Migrations: versioned}
	k := openKept(t, o, Keep{})
	stop := runKept(t, k)
	exec := func(sql string) {
		t.Helper()
		if err := k.Update(t.Context(), func(tx *Tx) error { return tx.Exec(sql) }); err != nil {
			t.Fatal(err)
		}
	}
	exec("INSERT INTO docs (name, version) VALUES ('old in copy', 1), ('new in copy', 7)")
	exec("INSERT INTO plain VALUES ('a', 1), ('b', 1)")
	eventually(t, "the first copy is made", func() bool { return exists(copyOf(o.File)) })
	if err := k.Copy(t.Context(), copyOf(o.File)); err != nil {
		t.Fatal(err)
	}
	exec("UPDATE docs SET version = 5") // 'new in copy' goes back, as in a file without its WAL
	exec("INSERT INTO docs (name, version) VALUES ('only in file', 3)")
	exec("UPDATE plain SET n = 2 WHERE name = 'a'")
	cut := newFile(t)
	copyFiles(t, o.File, cut)
	copyFiles(t, copyOf(o.File), copyOf(cut))
	stop()
	damageFile(t, cut, damages["bit in the magic"])
	mended := 0
	k = openKept(t, Options{File: cut, Migrations: versioned}, Keep{
		Newer: map[string]string{"docs": "version"},
		Mend:  func(tx *Tx) error { mended++; return tx.Exec("UPDATE docs SET version = version + 100") },
	})
	var got []string
	if err := k.View(t.Context(), func(tx *Tx) error {
		rows, err := tx.Query("SELECT name, version FROM docs UNION ALL SELECT name, n FROM plain ORDER BY name")
		if err != nil {
			return err
		}
		for rows.Next() {
			var name string
			var n int
			if err := rows.Scan(&name, &n); err != nil {
				return err
			}
			got = append(got, fmt.Sprint(name, " ", n))
		}
		return rows.Err()
	}); err != nil {
		t.Fatal(err)
	}
	if want := "a 2, b 1, new in copy 107, old in copy 105, only in file 103"; strings.Join(got, ", ") != want || mended != 1 {
		t.Errorf("rows %q, mended %d times, want %s", got, mended, want)
	}
}

// What was read may be more than Mend can take: the copy alone is better than no start.
func TestMendThatFailsOnWhatWasRead(t *testing.T) {
	file := copyKept(t, keptFile(t))
	k := openKept(t, Options{File: file}, Keep{})
	stop := runKept(t, k)
	put(t, k, 1000, 1000)
	_ = stop
	cut := newFile(t)
	copyFiles(t, file, cut)
	copyFiles(t, copyOf(file), copyOf(cut))
	stop()
	damageFile(t, cut, damages["bit in the magic"])
	k = openKept(t, Options{File: cut}, Keep{Mend: func(tx *Tx) error {
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM rows WHERE id = 1000").Scan(&n); err != nil || n > 0 {
			return fmt.Errorf("%d rows that I cannot mend (%w)", n, err)
		}
		return nil
	}})
	if n := len(ids(t, k.DB)); n != keptRows {
		t.Errorf("%d rows, want %d", n, keptRows)
	}
}

// What is not damage is not touched.
func TestOthersErrorsRestoreNothing(t *testing.T) {
	file := copyKept(t, keptFile(t))
	first := openKept(t, Options{File: file}, Keep{})
	_, err := OpenKept(Options{File: file, Migrations: schema}, Keep{})
	wantError(t, err, ErrBusy)
	first.Close()
	newer := fstest.MapFS{"01-rows.sql": schema["01-rows.sql"], "02-more.sql": {Data: []byte("CREATE TABLE more (x)")}}
	openKept(t, Options{File: file, Migrations: newer}, Keep{}).Close()
	_, err = OpenKept(Options{File: file, Migrations: schema}, Keep{})
	wantError(t, err, ErrNewer)
	if left := glob(t, file+".damaged-*"); len(left) != 0 {
		t.Errorf("set aside: %v", left)
	}
}

// A copy of an older schema, and a damaged file of the present one.
func TestCopyOfAnOlderSchema(t *testing.T) {
	file := copyKept(t, keptFile(t))
	newer := fstest.MapFS{"01-rows.sql": schema["01-rows.sql"], "02-more.sql": {Data: []byte("ALTER TABLE rows ADD COLUMN more INTEGER NOT NULL DEFAULT 7")}}
	openKept(t, Options{File: file, Migrations: newer}, Keep{}).Close()
	damageFile(t, file, damages["bit in a leaf"])
	k := openKept(t, Options{File: file, Migrations: newer}, Keep{})
	if n := len(ids(t, k.DB)); n != keptRows {
		t.Errorf("%d rows, want %d", n, keptRows)
	}
}

func TestUnreadableFile(t *testing.T) {
	// Reading a process's memory at 0 is an I/O error, as of a bad sector.
	if !exists("/proc/self/mem") {
		t.Skip("this system has no /proc/self/mem, the file whose reading fails")
	}
	if !isDamage("/proc/self/mem", ErrIO) {
		t.Error("a file that the disk cannot read is not taken for damaged")
	}
	if file := keptFile(t); isDamage(file, ErrIO) {
		t.Error("a file that can be read is taken for damaged")
	}
}
