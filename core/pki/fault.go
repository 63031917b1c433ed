package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Fault is what is wrong with a file of the group CA, and what a person does about it.
type Fault struct {
	Problem string
	Hint    string
	err     error
}

func (f *Fault) Error() string { return f.Problem + " (" + f.Hint + ")" }

func (f *Fault) Unwrap() error { return f.err }

// unusable is a fault of a file that is not there, or not what it should be.
func unusable(path string, err error, format string, args ...any) *Fault {
	const backup = "`greengate restore BACKUP --to DIR` writes the group's keys to DIR/pki; without a backup "
	var hint string
	switch filepath.Base(path) {
	case serverCertFile:
		hint = "another is made"
	case serverKeyFile:
		hint = backup + "`openssl genrsa -out " + path + " 2048` makes another that devices take as well: give it owner and mode of " + rootKeyFile
	default:
		hint = backup + "this group CA is lost: `greengate init` makes a new site, and each device needs a certificate of that one"
	}
	return &Fault{fmt.Sprintf(format, args...), hint, err}
}

// unreadable is a fault of a file that cannot be read.
func unreadable(path string, err error) *Fault {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return unusable(path, err, "%s is missing", path)
	case errors.Is(err, fs.ErrPermission):
		return &Fault{fmt.Sprintf("read the group's keys: %v", err), "run this as root or as the user of the daemon", err}
	}
	return unusable(path, err, "read the group's keys: %v", err)
}
