package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"greengate/configs"
)

// wayBack is the file that was in force, kept beside the group file. From before the group file
// is replaced it is on disk, for a power cut in the midst of a probation.
type wayBack struct {
	config, previous string
	old              []byte
	before           []byte // what was kept until now; nil: nothing
}

// keep writes the old file beside the group file, with its mode and owner.
func keep(config string, old []byte) (*wayBack, error) {
	w := &wayBack{config: config, previous: config + previousSuffix, old: old}
	if err := w.keep(); err != nil {
		return nil, fmt.Errorf("keep the old group file: %w", err)
	}
	return w, nil
}

func (w *wayBack) keep() (err error) {
	w.before, err = os.ReadFile(w.previous)
	// WriteFile keeps mode and owner of what it replaces, so that must be there.
	if errors.Is(err, fs.ErrNotExist) {
		err = w.create()
	}
	if err != nil {
		return err
	}
	if err = configs.WriteFile(w.previous, w.old); err != nil && w.before == nil {
		_ = os.Remove(w.previous) // it is empty: no way back
	}
	return err
}

func (w *wayBack) create() error {
	info, err := os.Stat(w.config)
	if err != nil {
		return err
	}
	if err := writeNew(w.previous, nil, info.Mode().Perm()); err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		return os.Lchown(w.previous, int(st.Uid), int(st.Gid))
	}
	return nil
}

// leave has the file kept that was kept before: the one that is kept now is in force again.
func (w *wayBack) leave() (err error) {
	if w.before == nil {
		err = os.Remove(w.previous)
	} else {
		err = configs.WriteFile(w.previous, w.before)
	}
	if err != nil {
		return fmt.Errorf("keep what was %s before: %w", w.previous, err)
	}
	return nil
}
