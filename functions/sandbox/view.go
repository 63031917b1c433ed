package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// kind is what a function may do with a path, and all below it.
type kind int

const (
	hide kind = iota // nothing
	read             // read and execute
	write
	device // read, write, and control
)

// grant is one path of the view that a function has of the machine's files. A
// deeper one goes before one above it.
type grant struct {
	path string // as it is written
	real string // without symbolic links
	kind kind
}

// system is what every program needs: programs and their libraries, the
// machine's settings, processes and the kernel's own files. secrets are what
// stays closed in there, which matters where the gateway is root.
var (
	system  = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/etc", "/proc", "/sys"}
	secrets = []string{"/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/ssh", "/etc/ssl/private", "/etc/NetworkManager", "/etc/wpa_supplicant"}
	devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}
)

// resolver is named by a link on machines whose network comes and goes: the
// file is replaced then, and its folder is what has to be seen.
const resolver = "/etc/resolv.conf"

// grants resolves the paths of an order. Those of the system that are not there
// are left out; one that was written for the function has to be there.
func (o *order) grants() ([]grant, error) {
	var found []grant
	add := func(k kind, needed bool, paths ...string) error {
		for _, path := range paths {
			if path == "" {
				continue
			}
			real, err := filepath.EvalSymlinks(path)
			switch {
			case err == nil && real == "/":
				return errors.New("open / for the function: name the folders that it needs")
			case err == nil:
				found = append(found, grant{filepath.Clean(path), real, k})
			case needed || !errors.Is(err, fs.ErrNotExist):
				return fmt.Errorf("open a path for the function: %w", err)
			}
		}
		return nil
	}
	var link []string
	if real, err := filepath.EvalSymlinks(resolver); err == nil && strings.HasPrefix(real, "/run/") {
		link = append(link, filepath.Dir(real))
	}
	err := errors.Join(
		add(read, false, system...), add(read, false, link...), add(device, false, devices...),
		add(read, true, o.Dir), add(read, true, o.Read...),
		add(write, true, o.Scratch), add(write, true, o.Write...), add(device, true, o.Devices...),
		add(hide, false, secrets...), add(hide, false, o.Hidden...))
	if err != nil {
		return nil, err
	}
	sortGrants(found)
	return found, nil
}

// sortGrants puts what lies deeper behind what lies above it; of the same path
// the greater right counts, unless it is hidden: that is last.
func sortGrants(grants []grant) {
	slices.SortStableFunc(grants, func(a, b grant) int {
		if order := strings.Compare(a.real+"/", b.real+"/"); order != 0 {
			return order
		}
		return rank(a.kind) - rank(b.kind)
	})
}

func rank(k kind) int {
	if k == hide {
		return int(device) + 1
	}
	return int(k)
}

// below tells whether path is under folder, or the folder itself.
func below(path, folder string) bool {
	return folder == "/" || path == folder || strings.HasPrefix(path, folder+"/")
}

// judge returns what a function may do with a path that has no links.
func judge(grants []grant, path string) (verdict kind) {
	for _, g := range grants {
		if below(path, g.real) {
			verdict = g.kind
		}
	}
	return verdict
}

// openings are the grants as Landlock can have them, which only ever opens, and
// with a folder all below it: a folder in which something is hidden is opened
// entry by entry.
func openings(grants []grant) []grant {
	var open []grant
	var walk func(path string, k kind)
	walk = func(path string, k kind) {
		if !slices.ContainsFunc(grants, func(g grant) bool { return g.kind == hide && below(g.real, path) }) {
			open = append(open, grant{path, path, k})
			return
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return // what cannot be listed stays closed
		}
		for _, entry := range entries {
			child := filepath.Join(path, entry.Name())
			if entry.Type()&fs.ModeSymlink == 0 && judge(grants, child) == k {
				walk(child, k)
			}
		}
	}
	for _, g := range grants {
		if g.kind != hide && judge(grants, g.real) == g.kind {
			walk(g.real, g.kind)
		}
	}
	return open
}
