package sqlite

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// A file that may not be written is refused at the start: SQLite alone would open
// it for reading and fail at the first write.
func TestReadOnlyFile(t *testing.T) {
	file := newFile(t)
	openDB(t, Options{File: file}).Close()
	for path, mode := range map[string]os.FileMode{file: 0o444, filepath.Dir(file): 0o777, filepath.Dir(filepath.Dir(file)): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	errs := make(chan error)
	go func() {
		// Modes do not bind root, so that this thread becomes somebody else for the
		// file system, for the rest of its life.
		runtime.LockOSThread()
		if os.Getuid() == 0 {
			if err := syscall.Setfsuid(65534); err != nil {
				errs <- err
				return
			}
		}
		_, err := Open(Options{File: file, Migrations: schema})
		errs <- err
	}()
	wantError(t, <-errs, ErrReadOnly)
}
