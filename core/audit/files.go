package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// newFile is the event of the first entry of each file but the very first. Nobody asks for it.
const newFile = "file"

// begin begins another file with e, and with all rights that there are, so that the old
// files are not needed to know them.
func (l *Log) begin(old *os.File, e Entry) (Entry, error) {
	rights, err := replay(old)
	if err != nil {
		return e, err
	}
	for _, r := range e.Removed {
		delete(rights, r)
	}
	first := Entry{Seq: e.Seq, Time: e.Time, Event: newFile, Prev: e.Prev,
		Note: "a new file; the rights that were in force before stand in it anew"}
	for r := range rights {
		first.Added = append(first.Added, r)
	}
	// Those that go were there until now.
	first.Added = append(first.Added, e.Removed...)
	slices.Sort(first.Added)
	fresh, err := os.OpenFile(l.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return e, err
	}
	defer fresh.Close()
	e.Seq = first.Seq + 1
	if e.Prev, err = write(fresh, 0, first); err != nil {
		return e, err
	}
	info, err := fresh.Stat()
	if err != nil {
		return e, err
	}
	if e.Sum, err = write(fresh, info.Size(), e); err != nil {
		return e, err
	}
	// By way of a second name, so that at no moment a power cut leaves no file.
	second := fmt.Sprintf("%s.%020d", l.path, first.Seq)
	if err := os.Link(l.path, second); err != nil && !sameFile(l.path, second) {
		return e, err
	}
	if err := os.Rename(fresh.Name(), l.path); err != nil {
		return e, err
	}
	l.forget()
	return e, nil
}

// forget removes the oldest files. One that stays costs room until the next time.
func (l *Log) forget() {
	old := l.old()
	for len(old) > maxOld {
		_ = os.Remove(old[0])
		old = old[1:]
	}
}

// Copy copies the files of the log into a folder, as they are between two entries, and returns the
// copies, the oldest first. A log that has not begun has none.
func (l *Log) Copy(dir string) (files []string, err error) {
	if _, err := os.Stat(l.path); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	err = l.locked(func(*os.File) error {
		for _, file := range append(l.old(), l.path) {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			to := filepath.Join(dir, filepath.Base(file))
			if err := os.WriteFile(to, text, 0o600); err != nil {
				return err
			}
			files = append(files, to)
		}
		return nil
	})
	return files, err
}

// old are the files before the newest one, the oldest first.
func (l *Log) old() []string {
	dir, name := filepath.Split(l.path)
	entries, _ := os.ReadDir(filepath.Clean(dir)) // one that cannot be read has none
	var old []string
	for _, e := range entries {
		if n, ok := strings.CutPrefix(e.Name(), name+"."); ok && n != "" && n[0] >= '0' && n[0] <= '9' {
			old = append(old, dir+e.Name())
		}
	}
	slices.Sort(old)
	return slices.DeleteFunc(old, func(file string) bool { return sameFile(file, l.path) })
}

// sameFile tells whether both are names of one file.
func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}
