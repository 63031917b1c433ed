package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// WriteFile replaces the contents of a group file. After a power cut at any
// instant the file has the old contents or the new, whole. Mode and owner stay;
// a new file gets 0644. Where path is a symbolic link, the file that it leads
// to is replaced, and the link stays.
func WriteFile(path string, data []byte) (err error) {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		target, err = path, nil
	}
	if err != nil {
		return fmt.Errorf("write the group file: %w", err)
	}
	dir := filepath.Dir(target)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(target)+".*")
	if err != nil {
		return fmt.Errorf("write the group file: %w", err)
	}
	defer func() {
		if err != nil {
			tmp.Close() // a second Close does no harm
			os.Remove(tmp.Name())
			err = fmt.Errorf("write the group file: %w", err)
		}
	}()
	if err := keepOwner(target, tmp); err != nil {
		return err
	}
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), target); err != nil {
		return err
	}
	return syncDir(dir)
}

// keepOwner gives the new file the owner and the mode of the old one. It would
// rather fail than make the file unreadable to the daemon that runs as another
// user.
func keepOwner(old string, tmp *os.File) error {
	info, err := os.Stat(old)
	if errors.Is(err, fs.ErrNotExist) {
		return tmp.Chmod(0o644)
	}
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		if int(stat.Uid) != os.Geteuid() || int(stat.Gid) != os.Getegid() {
			if err := tmp.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
				return err
			}
		}
	}
	return tmp.Chmod(info.Mode().Perm())
}

// syncDir makes the rename last: it is an entry of the folder.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
