package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// makeDirs makes dir and those above it. It returns those that it has made, the
// outermost first, also beside an error.
func makeDirs(dir string) (made []string, err error) {
	var missing []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		_, err := os.Stat(d)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		missing = append(missing, d)
	}
	for _, d := range slices.Backward(missing) {
		if err := os.Mkdir(d, 0o755); err != nil {
			return made, err
		}
		made = append(made, d)
	}
	return made, nil
}

// asFolder says in other words that a file is where a folder should be.
func asFolder(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return errors.New("that is a file, or leads through one (name a folder)")
	}
	return err
}

// removeDirs removes what makeDirs has made, unless something else has come
// into it.
func removeDirs(made []string) {
	for _, d := range slices.Backward(made) {
		_ = os.Remove(d) // not empty: it is in use
	}
}

// writeNew writes a file that must not exist, down to the disk. After an error
// there is none.
func writeNew(path string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}
