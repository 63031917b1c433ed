package sqlite

import (
	"strings"
	"testing"
)

// What is committed is counted, and a Touch too, which changes nothing.
func TestWrittenBytesAreCounted(t *testing.T) {
	db := openDB(t, Options{})
	run(t, db)
	update := func(f func(*Tx) error) (bytes int64) {
		t.Helper()
		before := db.Stats().WrittenBytes
		if err := db.Update(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		return db.Stats().WrittenBytes - before
	}
	big := strings.Repeat("x", 1000000)
	if n := update(func(tx *Tx) error { return tx.Exec("INSERT INTO rows (text) VALUES (?)", big) }); n == 0 {
		t.Skip("the folder of this test lies in memory, or this kernel does not count")
	} else if n < 1000000 || n > 3000000 {
		t.Errorf("a row of 1 MB counts %d bytes", n)
	}
	if n := update(func(*Tx) error { return nil }); n != 0 {
		t.Errorf("an empty function counts %d bytes, want none", n)
	}
	writes := db.stats.writes.Load()
	if n := update((*Tx).Touch); n < 4096 || n > 64<<10 {
		t.Errorf("a touch counts %d bytes, want a page or some", n)
	}
	if db.stats.writes.Load() != writes {
		t.Error("a touch makes a second copy due")
	}
}

func BenchmarkThreadWrites(b *testing.B) {
	for b.Loop() {
		threadWrites()
	}
}
