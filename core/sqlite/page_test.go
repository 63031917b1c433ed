package sqlite

import (
	"os"
	"testing"
)

// small are pages of another size than the default.
const small = 1024

// smallFile is keptFile with small pages.
func smallFile(t testing.TB) string {
	t.Helper()
	k := openKept(t, Options{File: newFile(t), PageSize: small}, Keep{})
	stop := runKept(t, k)
	put(t, k, 1, keptRows)
	stop()
	return k.o.File
}

func wantPages(t testing.TB, file string, size int) {
	t.Helper()
	if n := numberAt(file, 16, 2); n != size {
		t.Errorf("%s has pages of %d bytes, want %d", file, n, size)
	}
}

// A database is made with the pages that were asked for, and keeps them, and so does its copy.
func TestPageSize(t *testing.T) {
	file := smallFile(t)
	wantPages(t, file, small)
	wantPages(t, copyOf(file), small)
	k := openKept(t, Options{File: file, MaxBytes: 1 << 20, MaxWAL: 1 << 20}, Keep{}) // as if 4096 were asked for now
	stop := runKept(t, k)
	put(t, k, keptRows+1, keptRows+10)
	stop()
	wantPages(t, file, small)
	if _, err := Open(Options{File: newFile(t), PageSize: 1000}); err == nil {
		t.Error("pages of 1000 bytes were made")
	}
}

// Damage to small pages is healed as that to others.
func TestDamageOfSmallPages(t *testing.T) {
	whole := smallFile(t)
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			file := copyKept(t, whole)
			damageFile(t, file, damage)
			k := openKept(t, Options{File: file, PageSize: small}, Keep{})
			if n := len(ids(t, k.DB)); n != keptRows {
				t.Errorf("%d rows, want %d", n, keptRows)
			}
			if n := len(k.Faults()); n != 1 {
				t.Errorf("%d faults, want that of the restoring", n)
			}
			wantPages(t, file, small)
		})
	}
}

// How large the pages of a damaged file are is not known from its header when that is
// what is damaged.
func TestDamagedPageSize(t *testing.T) {
	spoil := func(data []byte) []byte {
		data[3], data[16], data[17] = 0, 0x55, 0x55
		return data
	}
	for name, c := range map[string]struct {
		whole  string
		asked  int
		copied bool
	}{
		"small, without a copy": {smallFile(t), small, false},
		"small, with a copy":    {smallFile(t), small, true},
		"large, with a copy":    {keptFile(t), small, true}, // made before small ones were asked for
	} {
		t.Run(name, func(t *testing.T) {
			file := newFile(t)
			copyFiles(t, c.whole, file)
			if c.copied {
				// A copy from before there were rows: they come from the damaged file.
				empty := newFile(t)
				k := openKept(t, Options{File: empty, PageSize: numberAt(c.whole, 16, 2)}, Keep{})
				runKept(t, k)()
				if err := os.Rename(copyOf(empty), copyOf(file)); err != nil {
					t.Fatal(err)
				}
			}
			damageFile(t, file, spoil)
			k := openKept(t, Options{File: file, PageSize: c.asked}, Keep{})
			if n := len(ids(t, k.DB)); n != keptRows {
				t.Errorf("%d rows, want %d: %v", n, keptRows, k.Faults())
			}
		})
	}
}
