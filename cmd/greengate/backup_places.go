package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"greengate/configs"
)

// place is a file or folder of the site.
type place struct {
	Name   string `json:"name"`             // in the archive
	Path   string `json:"path"`             // where it was, absolute
	Key    string `json:"key,omitempty"`    // of the group file that leads to it
	Within string `json:"within,omitempty"` // the name of the place that has it already
	Dir    bool   `json:"dir,omitempty"`    // a folder
	Owner  string `json:"owner"`            // user:group, by name
	Mode   uint32 `json:"mode,omitempty"`   // of a folder

	real string // Path without links
}

// These begin the names of the folders of functions, and of the keys of the spool.
const (
	functionPlace = "functions/"
	spoolPlace    = "spool/"
)

// placesOf lists what belongs to a site: the group file first, so that a reader has it
// first.
func placesOf(c *configs.Config) ([]place, error) {
	var places []place
	for _, p := range namedPlaces(c) {
		p.Path = filepath.Clean(p.Path)
		err := p.look()
		if errors.Is(err, fs.ErrNotExist) && strings.Contains(p.Name, "/") {
			continue // of the cloud or a function, which are not set up yet
		}
		if err != nil {
			return nil, err
		}
		places = append(places, p)
	}
	for i := range places {
		places[i].Within = containerOf(places, i)
	}
	// A key of the spool is in a backup with the folder of the CA, and else kept apart.
	return slices.DeleteFunc(places, func(p place) bool { return strings.HasPrefix(p.Name, spoolPlace) && p.Within == "" }), nil
}

// look finds out what is there.
func (p *place) look() error {
	info, err := os.Stat(p.Path)
	if err != nil {
		return err
	}
	p.Owner, p.Dir = ownerOf(info), info.IsDir()
	if p.Dir {
		p.Mode = uint32(info.Mode().Perm())
	}
	p.real, err = filepath.EvalSymlinks(p.Path)
	return err
}

// namedPlaces are the paths that the group file names.
func namedPlaces(c *configs.Config) []place {
	places := []place{
		{Name: configPlace, Path: c.File}, {Name: pkiPlace, Path: c.PKI.Dir, Key: "pki.dir"},
		{Name: dataPlace, Path: c.Data, Key: "data"},
	}
	if c.Cloud != nil {
		places = append(places, place{Name: "cloud/certificate.pem", Path: c.Cloud.Certificate, Key: "cloud.certificate"})
		if !ofSystem(c.Cloud.CA) {
			places = append(places, place{Name: "cloud/ca.pem", Path: c.Cloud.CA, Key: "cloud.ca"})
		}
		// A key in a token stays there, and its PIN beside it: elsewhere it opens nothing.
		if _, inToken := tokenKey(c); !inToken {
			places = append(places, place{Name: "cloud/private.key", Path: c.Cloud.Key, Key: "cloud.key"})
		}
	}
	for _, k := range spoolKeys(c) {
		key := strings.NewReplacer("[", ".", "]", "").Replace(k.path)
		places = append(places, place{Name: spoolPlace + key, Path: k.file, Key: key})
	}
	for i, f := range c.Functions {
		if !ofSystem(f.Dir) {
			places = append(places, place{Name: functionPlace + f.Name, Path: f.Dir, Key: fmt.Sprintf("functions.%d.dir", i)})
		}
	}
	return places
}

// ofSystem reports whether a path comes with packages of the system, on the new card too.
func ofSystem(path string) bool {
	return strings.HasPrefix(path, "/etc/ssl/") || strings.HasPrefix(path, "/usr/") && !strings.HasPrefix(path, "/usr/local/")
}

// containerOf names the outermost place that has a place in its folder, so that nothing
// is written, and comes back, twice. Behind a link, which may not come back as one, it is a
// place of its own.
func containerOf(places []place, i int) string {
	p := places[i]
	if p.Name == configPlace || p.Name == dataPlace { // a file that moves, and copies of databases
		return ""
	}
	var outer *place
	for j := range places {
		q := &places[j]
		rel, ok := below(p.Path, q.Path)
		if !ok || q.Name == dataPlace || p.real != filepath.Join(q.real, rel) || rel == "." && j >= i {
			continue
		}
		if outer == nil || len(q.Path) < len(outer.Path) {
			outer = q
		}
	}
	if outer == nil {
		return ""
	}
	return outer.Name
}

// below returns the way from a folder to a path that is it or lies in it.
func below(path, dir string) (rel string, ok bool) {
	rel, err := filepath.Rel(dir, path)
	return rel, err == nil && filepath.IsLocal(rel)
}

// ownerOf names user and group: their numbers are others on another card.
func ownerOf(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	uid, gid := strconv.Itoa(int(st.Uid)), strconv.Itoa(int(st.Gid))
	if u, err := user.LookupId(uid); err == nil {
		uid = u.Username
	}
	if g, err := user.LookupGroupId(gid); err == nil {
		gid = g.Name
	}
	return uid + ":" + gid
}
