package main

import (
	"archive/tar"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packer puts the files of a site into an archive. Each place is in it as a file or folder,
// also where a link leads to it. A link inside a place stays one as long as what it leads to
// is in the archive; what it brings in from elsewhere is in the archive in its stead.
//
// The text of a link is relative, from name to name in the archive, or absolute, when it
// leads to what is not in it.
type packer struct {
	t      *tar.Writer
	places []place
	self   string   // the file that is being written
	left   []string // what a person should know of what is left out
	lacks  []string // names that must come yet
	roots  []root   // of the place at hand, and of what links have brought into it
}

// authority is the group CA: without it no gateway starts, and every device needs another.
var authority = []string{pkiPlace + "/root-ca.pem", pkiPlace + "/root-ca.key"}

// without is a list without a name.
func without(list []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == name })
}

// root is a file or folder without links in its path, and its name in the archive.
type root struct{ real, name string }

// place puts a file, or a folder with all that is in it, into the archive.
func (k *packer) place(p place) error {
	k.roots = []root{{p.real, p.Name}}
	return k.entry(p.Name, p.Path, p.real)
}

// entry adds what is at real under a name. In the site it is at path, which may lead there
// through links.
func (k *packer) entry(name, path, real string) error {
	info, err := os.Lstat(real)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // gone in this moment: a site that works has such files
	case err != nil:
		return err
	case info.Mode().IsRegular():
		k.lacks = without(k.lacks, name)
		return addFile(k.t, name, real)
	case info.IsDir():
		return k.folder(name, path, real, info)
	case info.Mode()&fs.ModeSymlink != 0:
		return k.link(name, path, real)
	case info.Mode()&fs.ModeSocket == 0: // a socket is made anew by who listens
		k.left = append(k.left, path+" is not in the backup: it is no file, folder or link")
	}
	return nil
}

func (k *packer) folder(name, path, real string, info fs.FileInfo) error {
	if real != k.roots[0].real { // the manifest has that one
		if err := addHead(k.t, name+"/", tar.TypeDir, "", info); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(real)
	if err != nil {
		return err
	}
	for _, e := range entries {
		sub := filepath.Join(real, e.Name())
		if k.elsewhere(filepath.Join(path, e.Name()), sub, e.Name()) {
			continue
		}
		if err := k.entry(name+"/"+e.Name(), filepath.Join(path, e.Name()), sub); err != nil {
			return err
		}
	}
	return nil
}

// elsewhere reports whether a file in a folder is not to be added with it: it is not whole,
// or comes by itself.
func (k *packer) elsewhere(path, real, name string) bool {
	if real == k.self || k.roots[0].name == pkiPlace && strings.HasPrefix(name, ".tmp-") {
		return true
	}
	return slices.ContainsFunc(k.places, func(p place) bool {
		if p.Within != "" {
			return false
		}
		// The databases are copied in another way, under whatever name they are found.
		if real == p.real && (p.Name == configPlace || p.Name == dataPlace) {
			return true
		}
		return p.Path == path
	})
}

// behind reports whether a place lies behind a link: a folder comes back in its stead then.
func (k *packer) behind(p place, path string) bool {
	_, in := below(p.Path, path)
	return in && p.Within == ""
}

// link adds a link, or what it leads to.
func (k *packer) link(name, path, real string) error {
	text, err := os.Readlink(real)
	if err != nil {
		return err
	}
	info, err := os.Lstat(real)
	if err != nil {
		return err
	}
	next := nextOf(real, text)
	target, broken := filepath.EvalSymlinks(real)
	if slices.ContainsFunc(k.places, func(p place) bool { return k.behind(p, path) }) {
		if broken != nil || k.stays(real, target, path) {
			k.left = append(k.left, path+" is not in the backup but for what the group file names in it")
			return nil
		}
		k.roots = append(k.roots, root{target, name})
		return k.entry(name, path, target)
	}
	for _, there := range []string{next, target} {
		to, ok := k.nameOf(there)
		if !ok {
			continue
		}
		if text, err = filepath.Rel(filepath.Dir(name), to); err != nil {
			return err
		}
		if broken == nil {
			k.lacks = without(k.lacks, name)
		}
		return addHead(k.t, name, tar.TypeSymlink, text, info)
	}
	if broken != nil || k.stays(real, target, path) {
		k.left = append(k.left, path+" stays a link to "+next+", which is not in the backup")
		return addHead(k.t, name, tar.TypeSymlink, next, info)
	}
	if info, err := os.Stat(target); err == nil && info.IsDir() {
		// A second link to there leads to the first, and so does one from in there: there
		// is an end to it, even where links go round in circles.
		k.roots = append(k.roots, root{target, name})
	}
	return k.entry(name, path, target)
}

// nameOf is the name in the archive of what is at real. Of data only databases are there: the
// CA needs what links lead to, and a function shall get no copy.
func (k *packer) nameOf(real string) (string, bool) {
	if rel, ok := k.inData(real); ok {
		return filepath.Join(dataPlace, rel), k.roots[0].name != pkiPlace
	}
	for _, r := range slices.Backward(k.roots) { // the tree at hand before others
		if rel, ok := below(real, r.real); ok {
			return filepath.Join(r.name, rel), true
		}
	}
	for _, p := range k.places {
		if rel, ok := below(real, p.real); ok && p.Within == "" {
			return filepath.Join(p.Name, rel), true
		}
	}
	return "", false
}

// inData reports whether something lies in data, and not in a place within data.
func (k *packer) inData(real string) (rel string, ok bool) {
	inner := place{}
	for _, p := range k.places {
		if _, in := below(real, p.real); in && len(p.real) > len(inner.real) {
			inner = p
		}
	}
	rel, ok = below(real, inner.real)
	return rel, ok && inner.Name == dataPlace
}

// stays reports whether what a link leads to is left out: a folder around the link or a
// place, one of the system, or what the kernel shows. In the site the link is at path.
func (k *packer) stays(link, target, path string) bool {
	around := func(p place) bool { _, in := below(p.real, target); return in && !k.behind(p, path) }
	if _, in := below(link, target); in || slices.ContainsFunc(k.places, around) {
		return true
	}
	lies := func(in ...string) bool {
		return slices.ContainsFunc(in, func(dir string) bool { return strings.HasPrefix(target+"/", dir) })
	}
	if lies("/proc/", "/sys/") { // files there have no size
		return true
	}
	info, err := os.Stat(target)
	return err == nil && info.IsDir() && (ofSystem(target+"/") || lies("/dev/", "/run/"))
}

// realPath is the absolute path of a file, without links as far as that can be seen.
func realPath(file string) string {
	abs, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	return abs
}

// nextOf is where a link leads, as an absolute path. What is there may be a link again.
func nextOf(link, text string) string {
	if !filepath.IsAbs(text) {
		text = filepath.Dir(link) + "/" + text // not cleaned: behind a link .. is another folder
	}
	dir, base := filepath.Split(strings.TrimRight(text, "/"))
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return filepath.Join(real, base)
	}
	return filepath.Clean(text)
}
