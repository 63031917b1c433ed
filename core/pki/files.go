package pki

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// tempPrefix marks a file that is not whole yet. Readers of the folder skip it;
// after a power cut one may stay behind and does no harm.
const tempPrefix = ".tmp-"

// writeFile puts data at path so that after a power cut at any instant path
// holds either what it held before or all of data. Errors name path.
func writeFile(path string, data []byte, mode os.FileMode) error {
	err := replaceFile(path, data, mode)
	if err == nil {
		return nil
	}
	// What went wrong names the temporary file, which says nothing to anybody.
	var of *fs.PathError
	var from *os.LinkError
	switch {
	case errors.As(err, &of):
		err = of.Err
	case errors.As(err, &from):
		err = from.Err
	}
	return fmt.Errorf("write %s: %w", path, err)
}

func replaceFile(path string, data []byte, mode os.FileMode) (err error) {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			temp.Close()
			os.Remove(temp.Name())
		}
	}()
	// The mode is set before a byte of a private key is in the file.
	if err = temp.Chmod(mode); err != nil {
		return err
	}
	if _, err = temp.Write(data); err != nil {
		return err
	}
	if err = temp.Sync(); err != nil {
		return err
	}
	if err = inheritOwner(temp.Name()); err != nil {
		return err
	}
	if err = temp.Close(); err != nil {
		return err
	}
	if err = os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// makeDir makes dir if it is not there, and its entry in its parent durable.
// The parent must exist.
func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if os.IsExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := inheritOwner(dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// inheritOwner gives path to the owner of the folder it lies in, when we are
// root: otherwise `sudo greengate device add` would leave files behind that the
// daemon, which runs as a user of its own, can neither read nor remove.
func inheritOwner(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	return os.Lchown(path, int(owner.Uid), int(owner.Gid))
}

// syncDir makes the entries of a folder (created, renamed, removed) durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// maxThing is the longest thing name in bytes (AWS IoT CreateThing API).
const maxThing = 128

// checkThing refuses a name that is no thing name, and with it every name that
// would lead out of the record: a thing name is a folder here.
func checkThing(thing string) error {
	if thing == "" || len(thing) > maxThing {
		return fmt.Errorf("a thing name has 1 to %d characters, this has %d", maxThing, len(thing))
	}
	legal := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(":_-", r)
	}
	for _, r := range thing {
		if !legal(r) {
			return fmt.Errorf("the thing name %q holds %q (allowed are a-z A-Z 0-9 : _ -)", thing, r)
		}
	}
	return nil
}
