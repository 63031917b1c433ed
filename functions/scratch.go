package functions

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// scratchLook is between two looks at what an instance has written into its scratch folder.
const scratchLook = 5 * time.Second

// scratch is the folder in which an instance may write, on the disk that the gateway has
// its stores on.
type scratch struct {
	dir   string
	most  int64 // bytes
	files int
}

// newScratch bounds a folder: by what the bounds say, and by half of what is free, so that
// two functions do not fill a small card.
func newScratch(dir string, b *Bounds) scratch {
	s := scratch{dir: dir, most: b.Scratch, files: b.ScratchFiles}
	var disk syscall.Statfs_t
	if syscall.Statfs(dir, &disk) == nil {
		s.most = min(s.most, int64(disk.Bavail)*int64(disk.Bsize)/2)
	}
	return s
}

// over says in words that the folder holds more than it may; "" when it does not. Files
// that are open and have no name any more take room, too: p tells how much.
func (s scratch) over(p process) string {
	var used int64
	files := 0
	_ = filepath.WalkDir(s.dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has gone meanwhile
		}
		files++
		if info, err := e.Info(); err == nil && e.Type().IsRegular() {
			used += onDisk(info)
		}
		if used > s.most || files > s.files {
			return fs.SkipAll
		}
		return nil
	})
	if used <= s.most && files <= s.files {
		if info, err := os.Stat(s.dir); err == nil {
			used += p.Unlinked(info.Sys().(*syscall.Stat_t).Dev)
		}
	}
	switch {
	case files > s.files:
		return fmt.Sprintf("it had more than its %d files in its scratch folder", s.files)
	case used > s.most:
		return fmt.Sprintf("it wrote more than its %d MiB into its scratch folder", s.most>>20)
	}
	return ""
}

// onDisk is the room that a file takes, in bytes.
func onDisk(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}
