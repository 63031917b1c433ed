package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The site of the service keeps its state where the package wants it, belongs to the
// service's user, and is not made over state that is there.
func TestInitService(t *testing.T) {
	top := t.TempDir()
	owner := &service{data: filepath.Join(top, "var"), uid: os.Getuid(), gid: os.Getgid()}
	if os.Getuid() == 0 {
		owner.uid, owner.gid = 12345, 12346
	}
	if err := os.Mkdir(owner.data, 0o750); err != nil { // the package has made it
		t.Fatal(err)
	}
	dir := filepath.Join(top, "etc")
	s, err := planSite(dir, "", "c_Core", "p-256", owner)
	if err == nil {
		err = s.create()
	}
	if err != nil {
		t.Fatal(err)
	}
	a := &app{config: filepath.Join(dir, "group.yaml")}
	c, err := a.load()
	if err != nil {
		t.Fatal(err)
	}
	if c.Group != "home" || c.Data != owner.data {
		t.Errorf("the group is %q, its data in %q", c.Group, c.Data)
	}
	for path, mode := range map[string]os.FileMode{
		owner.data: 0o750, filepath.Join(dir, "pki", "root-ca.key"): 0o600, a.config: 0o640,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		uid := uint32(owner.uid)
		if path == a.config {
			uid = uint32(os.Getuid()) // the daemon does not write it
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != uid || st.Gid != uint32(owner.gid) && path == a.config || info.Mode().Perm() != mode {
			t.Errorf("%s belongs to %d:%d, mode %v", path, st.Uid, st.Gid, info.Mode())
		}
	}

	if err := os.WriteFile(filepath.Join(owner.data, "spool.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := planSite(filepath.Join(top, "again"), "", "c_Core", "p-256", owner); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a site over the state of another: %v", err)
	}
}
