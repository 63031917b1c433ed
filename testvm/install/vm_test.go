package install_test

import (
	"os"
	"path/filepath"
	"testing"

	"greengate/testvm/machine"
)

// The whole life of the package on a Debian with systemd: testdata/service.sh tells it.
func TestService(t *testing.T) {
	if !*inVM {
		t.Skip("the life of the package in a virtual machine is part of make test-install (-vm)")
	}
	machine.Need(t, "../systemd/setup.sh", "qemu-system-x86_64")
	folder := t.TempDir()
	copyFile(t, packageOf(t, "amd64", "0.0.9"), filepath.Join(folder, "old.deb"))
	copyFile(t, packageOf(t, "amd64", "9.9.9"), filepath.Join(folder, "new.deb"))
	copyFile(t, "testdata/service.sh", filepath.Join(folder, "start"))
	machine.Build(t, filepath.Join(folder, "traffic"), "greengate/testvm/install/traffic", []string{"CGO_ENABLED=0"})
	text, status := machine.Run(t, "../systemd/run.sh", folder, []string{"TESTVM_TIMEOUT=1200"})
	t.Logf("the script:\n%s", text)
	if status != 0 {
		journal, _ := os.ReadFile(filepath.Join(folder, "journal")) // what the script has left
		t.Errorf("the script ended with status %d; the journal:\n%s", status, journal)
	}
}

// copyFile puts a file into the folder of a machine.
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
