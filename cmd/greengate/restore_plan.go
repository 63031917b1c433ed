package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// restoring is a site on its way back.
type restoring struct {
	places  []place // with the paths where they go
	was     []place // with those where they were
	to      string
	created []string        // files and folders that were not there, in the order of their making
	made    map[string]bool // the same
	links   []link          // to be made when all that they lead to is there
	modes   []folderMode    // of folders that their own owner may not write to
	stores  []string        // databases
}

// link is a symbolic link to be made.
type link struct{ path, text, owner string }

type folderMode struct {
	path string
	mode os.FileMode
}

// requireAuthority finds what a reading of a backup did not bring.
func requireAuthority(lacks *[]string) func(*tar.Header, io.Reader) error {
	*lacks = authority
	return func(h *tar.Header, _ io.Reader) error {
		*lacks = without(*lacks, h.Name)
		return nil
	}
}

// planRestore finds where everything goes, and that nothing is there yet.
func planRestore(m *manifest, to string) (*restoring, error) {
	r := &restoring{was: m.Places, places: slices.Clone(m.Places), made: map[string]bool{}}
	if to != "" {
		abs, err := filepath.Abs(to)
		if err != nil {
			return nil, inputError{err}
		}
		r.to = abs
	}
	if len(m.Places) == 0 || m.Places[0].Name != configPlace {
		return nil, badInput("the backup has no group file")
	}
	for _, p := range m.Places {
		if !filepath.IsAbs(p.Path) {
			return nil, badInput("the backup leads to %s, which is no absolute path", p.Path)
		}
	}
	if r.to != "" {
		r.move()
	}
	for _, p := range r.places {
		if p.Within != "" {
			continue // its place is looked at
		}
		if err := free(p); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// move leads the places into the new folder. What lay in the folder of the group file lies
// there again.
func (r *restoring) move() {
	home := filepath.Dir(r.was[0].Path)
	taken := map[string]bool{}
	var outside []*place
	for i := range r.places {
		p := &r.places[i]
		if rel, ok := below(p.Path, home); ok {
			p.Path = filepath.Join(r.to, rel)
			taken[p.Path] = true
		} else if p.Within == "" {
			outside = append(outside, p)
		}
	}
	for _, p := range outside {
		to := filepath.Join(r.to, filepath.FromSlash(p.Name))
		for p.Path = to; taken[p.Path]; {
			p.Path += "-moved"
		}
		taken[p.Path] = true
	}
	for i := range r.places {
		p, was := &r.places[i], r.was[i].Path
		if at := slices.IndexFunc(r.was, func(q place) bool { return q.Name == p.Within }); at >= 0 {
			rel, _ := below(was, r.was[at].Path)
			p.Path = filepath.Join(r.places[at].Path, rel)
		}
	}
}

// free reports what is in the way of a place.
func free(p place) error {
	if p.Name == dataPlace {
		if inUse(p.Path) {
			return badInput("a gateway is running on %s (stop it first: systemctl stop greengate)", p.Path)
		}
		// The folder itself, and the lock in it, are the package's to make.
		// A WAL without its database would be taken for that of the one that comes.
		for _, pattern := range append([]string{"*.db", "*.db-wal", "*.db.copy", "*.db.damaged-*", auditFile + "*"}, others...) {
			if found, _ := filesIn(p.Path, pattern); len(found) > 0 {
				return badInput("%s is there already, and restore writes over nothing (move it away first)", found[0])
			}
		}
		return nil
	}
	entries, err := os.ReadDir(p.Path)
	if p.Dir && err == nil && len(entries) == 0 {
		return nil // an empty folder
	}
	switch _, err := os.Lstat(p.Path); {
	case err == nil:
		return badInput("%s is there already, and restore writes over nothing (move it away first)", p.Path)
	case !errors.Is(err, fs.ErrNotExist):
		return badInput("restore to %s: %w", filepath.Dir(p.Path), asFolder(err))
	}
	return nil
}

func (r *restoring) config() string { return r.places[0].Path }

// placeOf finds the place of an entry, by its number, and its path from there.
func (r *restoring) placeOf(name string) (at int, rel string, err error) {
	for i, p := range r.places {
		rel, under := strings.CutPrefix(name, p.Name)
		rel = strings.TrimPrefix(rel, "/")
		if under && (rel == "" || filepath.IsLocal(filepath.FromSlash(rel)) && strings.HasPrefix(name, p.Name+"/")) {
			return i, filepath.FromSlash(rel), nil
		}
	}
	return 0, "", fmt.Errorf("%q belongs to no place of the manifest", name)
}

// owns reports whether a file comes from a place, and from no other. Backups of format 1 have
// what two places share twice, and copies of open databases when data lay in another folder:
// the innermost place counts, and the first of two that are one folder.
func (r *restoring) owns(at int, rel string) bool {
	file := filepath.Join(r.was[at].Path, rel)
	inner := at
	for i, p := range r.was {
		if _, in := below(file, p.Path); !in || p.Within != "" {
			continue
		}
		if d := len(p.Path) - len(r.was[inner].Path); d > 0 || d == 0 && i < inner {
			inner = i
		}
	}
	return inner == at
}
