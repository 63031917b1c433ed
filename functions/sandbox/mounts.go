package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// enterView gives this process, which has namespaces of its own, a root folder
// in which there is nothing but what the grants open, at its usual paths, and
// the function's scratch folder as /tmp.
func enterView(o *order, grants []grant) error {
	if o.UserSpace {
		if err := mapUser(o); err != nil {
			return err
		}
	}
	// Nothing of this reaches the machine.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("part from the machine's mounts: %w", err)
	}
	// All are taken before the new root covers some.
	mounts, err := takeMounts(o, grants)
	if err != nil {
		return err
	}
	const base = "/proc" // any folder that is there
	if err := unix.Mount("function", base, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=1m"); err != nil {
		return fmt.Errorf("make a root: %w", err)
	}
	if err := os.Chdir(base); err != nil {
		return fmt.Errorf("make a root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	for _, m := range mounts {
		if err := m.attach(); err != nil {
			return fmt.Errorf("place %s: %w", m.real, err)
		}
	}
	if err := furnish(grants); err != nil {
		return err
	}
	// What was made here has all its places now, and keeps nothing that is written.
	made := []string{"/"}
	for _, m := range mounts {
		if m.kind == hide && m.folder {
			made = append(made, m.real)
		}
	}
	for _, path := range made {
		if err := seal(unix.AT_FDCWD, path, unix.MOUNT_ATTR_RDONLY, 0); err != nil {
			return fmt.Errorf("seal %s: %w", path, err)
		}
	}
	return nil
}

// mapUser gives this process its own user and group in its user namespace.
func mapUser(o *order) error {
	for _, file := range []struct{ name, text string }{
		{"setgroups", "deny"}, // the kernel's condition: a group may be there to keep somebody out
		{"uid_map", fmt.Sprintf("%d %d 1", o.UID, o.UID)},
		{"gid_map", fmt.Sprintf("%d %d 1", o.GID, o.GID)},
	} {
		if err := os.WriteFile("/proc/self/"+file.name, []byte(file.text), 0); err != nil {
			return fmt.Errorf("map the user: %w", err)
		}
	}
	return nil
}

// mount is one mount that is ready to be placed.
type mount struct {
	grant
	fd     int
	folder bool
}

// takeMounts copies the mounts of the grants, with the rights that they give.
func takeMounts(o *order, grants []grant) ([]mount, error) {
	var mounts []mount
	if o.Scratch != "" {
		// First, since a path of the function may lie below /tmp.
		scratch, err := takeMount(grant{o.Scratch, o.Scratch, write})
		if err != nil {
			return nil, fmt.Errorf("take the scratch folder: %w", err)
		}
		scratch.real = "/tmp"
		mounts = append(mounts, scratch)
	}
	for i, g := range grants {
		if judge(grants[:i], g.real) == g.kind {
			continue // is there already, or hidden already
		}
		m, err := takeMount(g)
		if err != nil {
			return nil, fmt.Errorf("take %s: %w", g.real, err)
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

func takeMount(g grant) (mount, error) {
	info, err := os.Stat(g.real)
	if err != nil {
		return mount{}, err
	}
	m := mount{grant: g, folder: info.IsDir()}
	flags := uint64(unix.MOUNT_ATTR_NOSUID)
	switch g.kind {
	case read:
		flags |= unix.MOUNT_ATTR_RDONLY
	case write:
		flags |= unix.MOUNT_ATTR_NODEV
	case device:
		flags |= unix.MOUNT_ATTR_NOEXEC
	case hide:
		if m.folder {
			m.fd, err = newMount("tmpfs", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
		}
		return m, err // a file is covered in its place
	}
	if g.real == "/proc" {
		// Of the processes of its own. A container or a unit may have covered
		// parts of the machine's, and the kernel then gives no other.
		if m.fd, err = newMount("proc", procFlags); err == nil {
			return m, nil
		}
	}
	m.fd, err = unix.OpenTree(unix.AT_FDCWD, g.real, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return mount{}, err
	}
	return m, seal(m.fd, "", flags, unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
}

// procFlags are those of /proc. It is read-only since root, even without any
// capability, could set the machine's settings in there.
const procFlags = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR_RDONLY

// newMount makes a file system that is nowhere yet.
func newMount(kind string, flags int) (int, error) {
	fs, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, flags)
}

// seal takes rights from a mount.
func seal(fd int, path string, flags uint64, at uint) error {
	return unix.MountSetattr(fd, path, at, &unix.MountAttr{Attr_set: flags})
}

// closed is a file of the new root that nobody may open, for the places of those
// that are hidden.
const closed = "/.closed"

// attach places a mount at its path in the new root.
func (m mount) attach() error {
	if m.kind == hide && !m.folder {
		if err := os.WriteFile(closed, nil, 0); err != nil && !errors.Is(err, os.ErrPermission) {
			return err
		}
		if err := unix.Mount(closed, m.real, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		return seal(unix.AT_FDCWD, m.real, unix.MOUNT_ATTR_RDONLY, 0)
	}
	defer unix.Close(m.fd)
	if err := makePlace(m.real, m.folder); err != nil {
		return err
	}
	return unix.MoveMount(m.fd, "", unix.AT_FDCWD, m.real, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// makePlace makes a path in the new root where it is not there.
func makePlace(path string, folder bool) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	if folder {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, nil, 0o600)
}

// furnish adds the links that belong to the view: those by which the grants are
// named, and those of every machine.
func furnish(grants []grant) error {
	links := [][2]string{
		{"/dev/fd", "/proc/self/fd"}, {"/dev/stdin", "/proc/self/fd/0"},
		{"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"},
	}
	for _, g := range grants {
		if g.kind != hide && g.path != g.real {
			links = append(links, [2]string{g.path, g.real})
		}
	}
	for _, link := range links {
		if _, err := os.Lstat(link[0]); err == nil {
			continue
		}
		err := os.MkdirAll(filepath.Dir(link[0]), 0o755)
		if err == nil {
			err = os.Symlink(link[1], link[0])
		}
		// Where its folder is the machine's own, the link is there or is not needed.
		if err != nil && !errors.Is(err, unix.EROFS) && !strings.HasPrefix(link[0], "/proc/") {
			return fmt.Errorf("link %s: %w", link[0], err)
		}
	}
	return nil
}
