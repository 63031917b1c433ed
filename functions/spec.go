package functions

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"greengate/functions/endpoint"
	"greengate/functions/sandbox"
)

// searchPath is where programs without a path are looked for.
const searchPath = "/usr/local/bin:/usr/bin:/bin"

// shims is the folder of the packages that V1's SDK wants beside it.
func (m *Manager) shims() string { return filepath.Join(m.o.Dir, "shims") }

// prepare makes the folders that instances need, and empties what a killed gateway has left.
func (m *Manager) prepare() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.prepared {
		return nil
	}
	scratch := filepath.Join(m.o.Dir, "scratch")
	if err := errors.Join(os.MkdirAll(scratch, 0o711), empty(scratch)); err != nil {
		return fmt.Errorf("make the scratch folder of the functions: %w", err)
	}
	if err := endpoint.WriteShims(m.shims()); err != nil {
		return fmt.Errorf("write the shims of the functions: %w", err)
	}
	m.prepared = true
	return nil
}

// empty removes what is in a folder. The folder stays: a full disk may not take it again.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// scratch makes the folder in which an instance may write.
func (m *Manager) scratch(in *instance) (string, error) {
	if err := m.prepare(); err != nil {
		return "", err
	}
	dir := filepath.Join(m.o.Dir, "scratch", plain(in.name))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make its scratch folder: %w", err)
	}
	if in.c.User == "" || os.Geteuid() != 0 { // the sandbox says that it may not be
		return dir, nil
	}
	if err := giveTo(dir, in.c.User); err != nil {
		return "", errors.Join(err, os.Remove(dir))
	}
	return dir, nil
}

// giveTo makes a user the owner of a folder: a name, a UID, or UID:GID.
func giveTo(dir, name string) error {
	uid, gid, both := strings.Cut(name, ":")
	if _, err := strconv.Atoi(uid); err != nil {
		found, err := user.Lookup(name)
		if err != nil {
			return fmt.Errorf("find the user %s: %w", name, err)
		}
		uid, gid = found.Uid, found.Gid
	} else if !both {
		gid = uid
	}
	u, uidErr := strconv.Atoi(uid)
	g, gidErr := strconv.Atoi(gid)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return fmt.Errorf("read the user %s: %w", name, err)
	}
	if err := os.Chown(dir, u, g); err != nil {
		return fmt.Errorf("give the scratch folder to the user %s: %w", name, err)
	}
	return nil
}

// plain is the name of an instance for files and control groups.
func plain(name string) string { return strings.NewReplacer("/", "-", ":", "_").Replace(name) }

// spec is the process of an instance.
func (m *Manager) spec(in *instance, scratch string, env []string) sandbox.Spec {
	c := in.c
	s := sandbox.Spec{
		Name: plain(in.name), Command: c.Command, Dir: c.Dir, User: c.User, Memory: c.Memory, Processes: c.Processes,
		Read: append([]string{m.shims()}, c.Read...), Write: c.Write, Devices: c.Devices, Scratch: scratch,
		Hidden: append([]string{m.o.Dir}, m.o.Hidden...),
	}
	if s.Dir == "" {
		s.Dir = scratch
	}
	s.Env = []string{"TMPDIR=" + scratch}
	for name, value := range map[string]string{"PATH": searchPath, "HOME": scratch} {
		if _, own := c.Environment[name]; !own {
			s.Env = append(s.Env, name+"="+value)
		}
	}
	for _, v := range env {
		if !strings.HasPrefix(v, "TMPDIR=") { // check says that it counts for nothing
			s.Env = append(s.Env, v)
		}
	}
	return s
}

// doorOptions are the endpoint of an instance.
func (m *Manager) doorOptions(in *instance) endpoint.Options {
	c := in.c
	return endpoint.Options{
		Function: c.Name, Handler: c.Handler, Dir: c.Dir, Region: m.o.Region, Account: m.o.Account, Memory: c.Memory,
		Timeout: c.Timeout, Encoding: c.Encoding, Environment: c.Environment, Shims: m.shims(),
		Calls: in, Home: m.o.Home(c.Name), Owns: in.owns, Note: in.note, Log: m.o.Log.With("instance", in.name),
	}
}

// note counts a request that the endpoint refused.
func (in *instance) note(string) {
	in.f.mu.Lock()
	defer in.f.unlock()
	in.f.stats.refused++
}
