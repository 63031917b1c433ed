package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

const frameSize = walFrameSize + 4096

// walOf makes a database whose rows 1 to n each have a transaction in the WAL, as a
// power cut leaves it, and returns the file and the WAL's contents.
func walOf(t *testing.T, n int) (file string, wal []byte) {
	t.Helper()
	o := Options{File: newFile(t)}
	db := runDB(t, o)
	for id := 1; id <= n; id++ {
		if err := db.Update(t.Context(), insert(id)); err != nil {
			t.Fatal(err)
		}
	}
	file = newFile(t)
	copyFiles(t, o.File, file)
	wal, err := os.ReadFile(file + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if frames := (len(wal) - walHeaderSize) / frameSize; frames != n {
		t.Fatalf("%d frames in the WAL, want one for each of %d rows", frames, n)
	}
	return file, wal
}

// SQLite drops what follows a wrong frame; if that was committed, we say so.
func TestFlippedBitInTheWAL(t *testing.T) {
	const rows = 8
	whole, wal := walOf(t, rows)
	for frame := range rows {
		for place, offset := range map[string]int{
			"page number": 3, "size": 7, "salt": 8, "checksum": 16, "page": walFrameSize + 100,
		} {
			t.Run(fmt.Sprint("frame ", frame+1, " ", place), func(t *testing.T) {
				file := newFile(t)
				copyFiles(t, whole, file)
				flipped := bytes.Clone(wal)
				flipped[walHeaderSize+frame*frameSize+offset] ^= 0x10
				if err := os.WriteFile(file+"-wal", flipped, 0o600); err != nil {
					t.Fatal(err)
				}
				if frame == rows-1 {
					// Of the last one nobody can tell: a power cut may have torn it.
					wantRows(t, openDB(t, Options{File: file}), rows-1)
					return
				}
				_, err := Open(Options{File: file, Migrations: schema})
				if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), fmt.Sprint("frame ", frame+1, " ")) {
					t.Errorf("error %v, want ErrCorrupt with the number of the frame", err)
				}
			})
		}
	}
}

func wantRows(t *testing.T, db *DB, n int) {
	t.Helper()
	if got := ids(t, db); len(got) != n {
		t.Errorf("%d rows, want %d", len(got), n)
	}
}

// A torn end is what a power cut leaves, wherever it cuts.
func TestTornWAL(t *testing.T) {
	file, wal := walOf(t, 5)
	for _, cut := range []int{0, 1, walHeaderSize - 1, walHeaderSize, walHeaderSize + 1,
		walHeaderSize + frameSize - 1, walHeaderSize + frameSize, walHeaderSize + 3*frameSize + 2000} {
		torn := newFile(t)
		copyFiles(t, file, torn)
		if err := os.WriteFile(torn+"-wal", wal[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		db := openDB(t, Options{File: torn})
		wantRows(t, db, max(0, (cut-walHeaderSize)/frameSize))
	}
}

// The frames of a torn transaction may reach the disk in any order: here the last,
// with its commit, and not the first.
func TestTornTransaction(t *testing.T) {
	o := Options{File: newFile(t)}
	db := runDB(t, o)
	if err := db.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	err := db.Update(t.Context(), func(tx *Tx) error {
		for id := 2; id < 10; id++ {
			if err := fat(id)(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	file := newFile(t)
	copyFiles(t, o.File, file)
	wal, err := os.ReadFile(file + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	clear(wal[walHeaderSize+frameSize : walHeaderSize+2*frameSize])
	if err := os.WriteFile(file+"-wal", wal, 0o600); err != nil {
		t.Fatal(err)
	}
	again := runDB(t, Options{File: file})
	wantIDs(t, again, 1)

	// What is written over the torn frames does not bring the rest of them back.
	if err := again.Update(t.Context(), insert(2)); err != nil {
		t.Fatal(err)
	}
	third := newFile(t)
	copyFiles(t, file, third)
	wantIDs(t, openDB(t, Options{File: third}), 1, 2)
}

// What a commit that failed left in the WAL is no damage: the disk fails for three
// transactions, each shorter than the one before, and the next is good.
func TestFailedCommitsInTheWAL(t *testing.T) {
	o := Options{File: newFile(t)}
	db := runDB(t, o)
	if err := db.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	lift := limitFiles(t, uint64(walHeaderSize+4*frameSize))
	for n := 40; n > 10; n -= 10 {
		wantError(t, db.Update(t.Context(), func(tx *Tx) error {
			for id := range n {
				if err := fat(100 + id)(tx); err != nil {
					return err
				}
			}
			return nil
		}), ErrIO)
	}
	lift()
	if err := db.Update(t.Context(), insert(2)); err != nil {
		t.Fatal(err)
	}
	file := newFile(t)
	copyFiles(t, o.File, file)
	wantIDs(t, openDB(t, Options{File: file}), 1, 2)
}
