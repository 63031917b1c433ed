package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// take puts one entry of the archive where it belongs.
func (r *restoring) take(h *tar.Header, content io.Reader) error {
	at, rel, err := r.placeOf(h.Name)
	if err != nil || !r.owns(at, rel) {
		return err
	}
	p := r.places[at]
	target, owner := filepath.Join(p.Path, rel), h.Uname+":"+h.Gname
	if p.Dir {
		if err := r.folder(p.Path, os.FileMode(p.Mode), p.Owner); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return r.folder(target, h.FileInfo().Mode().Perm(), owner)
	case tar.TypeSymlink:
		return r.link(h, target, owner)
	case tar.TypeReg:
		return r.file(p, target, owner, h.FileInfo().Mode().Perm(), content)
	}
	return fmt.Errorf("%s is no file, folder or link", h.Name)
}

func (r *restoring) file(p place, target, owner string, mode os.FileMode, content io.Reader) error {
	if err := r.parents(target); err != nil {
		return err
	}
	if p.Name == dataPlace {
		if filepath.Ext(target) == ".db" {
			r.stores = append(r.stores, target)
		}
		owner = p.Owner
	}
	if p.Name == configPlace && r.to != "" {
		moved, err := r.moveGroupFile(content)
		if err != nil {
			return err
		}
		content = strings.NewReader(moved)
	}
	if err := writeFrom(target, content, mode); err != nil {
		return err
	}
	r.note(target)
	return giveTo(target, owner)
}

// link remembers a link. Its text is relative between names of the archive, which may lie
// elsewhere to each other now.
func (r *restoring) link(h *tar.Header, target, owner string) error {
	text := h.Linkname
	if !path.IsAbs(text) {
		at, rel, err := r.placeOf(beside(h.Name, text))
		if err != nil {
			return fmt.Errorf("the link %s: %w", h.Name, err)
		}
		text, err = filepath.Rel(filepath.Dir(target), filepath.Join(r.places[at].Path, rel))
		if err != nil {
			return err
		}
	}
	r.links = append(r.links, link{target, text, owner})
	return nil
}

// beside is the name in the archive that a link's text leads to; placeOf refuses what leads out.
func beside(name, text string) string { return path.Join(path.Dir(name), text) }

// makeLinks makes the links, when nothing is written any more that they could lead astray.
func (r *restoring) makeLinks() error {
	for _, l := range r.links {
		if err := r.parents(l.path); err != nil {
			return err
		}
		if err := os.Symlink(l.text, l.path); err != nil {
			return err
		}
		r.note(l.path)
		if err := giveTo(l.path, l.owner); err != nil {
			return err
		}
	}
	return nil
}

// note remembers what was made.
func (r *restoring) note(paths ...string) {
	r.created = append(r.created, paths...)
	for _, p := range paths {
		r.made[p] = true
	}
}

// parents makes the folders above a file, if they are not there.
func (r *restoring) parents(file string) error {
	made, err := makeDirs(filepath.Dir(file))
	r.note(made...)
	return err
}

// folder makes a folder, and those above it, with its mode and owner. One that was there
// before keeps its own.
func (r *restoring) folder(dir string, mode os.FileMode, owner string) error {
	made, err := makeDirs(dir)
	r.note(made...)
	if err != nil || !r.made[dir] {
		return err
	}
	const ours = 0o700 // until all is in it
	if mode&ours != ours {
		r.modes = append(r.modes, folderMode{dir, mode})
	}
	if err := os.Chmod(dir, mode|ours); err != nil {
		return err
	}
	return giveTo(dir, owner)
}

// writeFrom writes a new file, down to the disk.
func writeFrom(path string, content io.Reader, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err = io.Copy(f, content); err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync()) // the umask had a say
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}

// undo removes what was made.
func (r *restoring) undo() {
	for i := len(r.created) - 1; i >= 0; i-- {
		path := r.created[i]
		for _, ending := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(path + ending) // a folder that something else has come into stays
		}
	}
}
