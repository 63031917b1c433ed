package install_test

import (
	"os"
	"path/filepath"
	"testing"

	"greengate/testvm/machine"
)

// steady makes the clock of a machine count its instructions: one core of 500 million in
// a second, which is less than a Pi Zero 2 or a Pi 3 has. What takes a second there takes
// one however busy this computer is, although it emulates the processor.
var steady = []string{"-icount", "shift=1", "-smp", "1"}

// The whole life of the package on a Debian with systemd, testdata/service.sh tells it: on
// the release of this computer, whose systemd (252) has no notify-reload, and on the one
// after it.
func TestService(t *testing.T) {
	if !*inVM {
		t.Skip("the life of the package in a virtual machine is part of make test-install (-vm)")
	}
	for _, suite := range []string{"bookworm", "trixie"} {
		t.Run(suite, func(t *testing.T) {
			t.Setenv("TESTVM_SUITE", suite)
			machine.Need(t, "../systemd/setup.sh", "qemu-system-x86_64")
			folder := t.TempDir()
			copyFile(t, packageOf(t, "amd64", "0.0.9"), filepath.Join(folder, "old.deb"))
			copyFile(t, packageOf(t, "amd64", "9.9.9"), filepath.Join(folder, "new.deb"))
			copyFile(t, "testdata/service.sh", filepath.Join(folder, "start"))
			machine.Build(t, filepath.Join(folder, "traffic"), "greengate/testvm/install/traffic", []string{"CGO_ENABLED=0"})
			text, status := machine.Run(t, "../systemd/run.sh", folder, []string{"TESTVM_TIMEOUT=3600"}, clock()...)
			t.Logf("the script:\n%s", text)
			if status != 0 {
				journal, _ := os.ReadFile(filepath.Join(folder, "journal")) // what the script has left
				t.Errorf("the script ended with status %d; the journal:\n%s", status, journal)
			}
		})
	}
}

// clock returns steady, if the processor is emulated.
func clock() []string {
	if accel := os.Getenv("TESTVM_ACCEL"); accel != "" && accel != "tcg" {
		return nil
	}
	return steady
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
