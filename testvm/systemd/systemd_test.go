// Package systemd_test tries the gateway as a service of a real systemd, in a virtual
// machine.
package systemd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"greengate/testvm/machine"
)

// newFolder returns a folder that a machine will share, with the program.
func newFolder(t *testing.T) string {
	t.Helper()
	machine.Need(t, "./setup.sh", "qemu-system-x86_64")
	folder := t.TempDir()
	machine.Build(t, filepath.Join(folder, "greengate"), "greengate/cmd/greengate", nil)
	return folder
}

// copyFile puts a file of this package into the folder.
func copyFile(t *testing.T, name, to string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o755); err != nil {
		t.Fatal(err)
	}
}

// A package installs a service, which drives a pin as a plain user, comes back when it
// is killed, ends well, and is purged. What the script finds wrong it says.
func TestService(t *testing.T) {
	folder := newFolder(t)
	tree := filepath.Join(t.TempDir(), "package")
	for _, dir := range []string{"DEBIAN", "usr/bin", "usr/lib/systemd/system"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copyFile(t, "testdata/control", filepath.Join(tree, "DEBIAN/control"))
	copyFile(t, "testdata/trial.service", filepath.Join(tree, "usr/lib/systemd/system/trial.service"))
	copyFile(t, "testdata/service.sh", filepath.Join(folder, "start"))
	if err := os.Rename(filepath.Join(folder, "greengate"), filepath.Join(tree, "usr/bin/greengate")); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", tree, filepath.Join(folder, "trial.deb")).CombinedOutput(); err != nil {
		t.Fatalf("make the package: %v\n%s", err, text)
	}
	output, status := machine.Run(t, "./run.sh", folder, nil)
	journal, err := os.ReadFile(filepath.Join(folder, "journal")) // what the script has left
	if status != 0 || err != nil {
		t.Errorf("the script ended with status %d (%v):\n%s\n%s", status, err, output, journal)
	}
}
