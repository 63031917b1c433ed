package sqlite

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisks are file systems that are soon full. That of 1 KiB blocks is one on which
// SQLite alone leaves holes in what it maps.
var smallDisks = map[string]func(t *testing.T) string{
	"tmpfs": func(t *testing.T) string {
		dir := t.TempDir()
		if err := unix.Mount("none", dir, "tmpfs", 0, "size=4m"); err != nil {
			t.Skipf("mount a tmpfs: %v (root can)", err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
		return dir
	},
	"ext4 of 1 KiB blocks": func(t *testing.T) string { return mountExt4(t, "1024") },
	"ext4 of 4 KiB blocks": func(t *testing.T) string { return mountExt4(t, "4096") },
}

func mountExt4(t *testing.T, block string) string {
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	for _, args := range [][]string{
		{"mkfs.ext4", "-q", "-m", "0", "-b", block, image, "8M"},
		{"mount", "-o", "loop", image, dir},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%q: %v: %s", args, err, out)
		}
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// fillDisk writes into a folder until the disk takes nothing more.
func fillDisk(t *testing.T, dir string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "others"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
	unix.Sync() // what waits to be written has its place then
}

// A database that was closed opens on a disk that has filled up since, again and again,
// and goes on to take what changes the rows that are there.
func TestOpensOnAFullDisk(t *testing.T) {
	for name, disk := range smallDisks {
		t.Run(name, func(t *testing.T) {
			dir := disk(t)
			o := Options{File: filepath.Join(dir, "test.db"), PageSize: 1024}
			stop := run(t, openDB(t, o))
			stop()
			for range 2 {
				fillDisk(t, dir)
				db := openDB(t, o)
				stop := run(t, db)
				if db.Stats().WALBytes != 0 {
					t.Error("a clean stop has left something in the WAL")
				}
				refused := 0
				for n := range 400 {
					err := db.Update(t.Context(), func(tx *Tx) error { return tx.Touch() })
					if err == nil {
						continue
					}
					if refused++; !errors.Is(err, ErrFull) || n < 100 {
						t.Fatalf("commit %d on a full disk: %v", n, err)
					}
				}
				// One each time that the WAL is at its end, and is moved into the file.
				if refused > 3 {
					t.Errorf("%d of 400 commits were refused", refused)
				}
				stop()
			}
		})
	}
}
