package systemd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"greengate/testvm/machine"
)

// Functions under the unit of the package: good ones of Go and Node.js work, bad ones end
// alone, and what closes them in is what this kernel has: Landlock, as Debian, or the
// namespaces of namespaces.conf, as Raspberry Pi OS. testdata/functions.sh tells it.
func TestFunctions(t *testing.T) {
	for name, line := range map[string]string{
		"Landlock":   "",
		"namespaces": "lsm=lockdown,capability,yama,apparmor",
	} {
		t.Run(name, func(t *testing.T) {
			folder := newFolder(t)
			for _, file := range []string{"greengate.service", "namespaces.conf", "greengate.sysusers", "greengate.tmpfiles"} {
				copyFile(t, "../../systemd/"+file, filepath.Join(folder, file))
			}
			copyFile(t, "testdata/functions.sh", filepath.Join(folder, "start"))
			machine.Build(t, filepath.Join(folder, "trial"), "greengate/cmd/greengate/testdata/functions/trial", []string{"CGO_ENABLED=0"})
			bringNode(t, filepath.Join(folder, "node"))
			output, status := machine.Run(t, "./run.sh", folder, []string{"TESTVM_TIMEOUT=900", "TESTVM_CMDLINE=" + line})
			t.Logf("the script:\n%s", output)
			if status != 0 {
				journal, _ := os.ReadFile(filepath.Join(folder, "journal")) // what the script has left
				t.Errorf("the script ended with status %d; the journal:\n%s", status, journal)
			}
		})
	}
}

// library is a line of ldd: a name, and where it is.
var library = regexp.MustCompile(`=> (/\S+) \(`)

// bringNode copies this computer's Node.js with its libraries into a folder. Without one
// the script tries no function for it.
func bringNode(t *testing.T, to string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		return
	}
	text, err := exec.Command("ldd", node).Output()
	if err == nil {
		err = os.Mkdir(to, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	copyFile(t, node, filepath.Join(to, "node"))
	for _, match := range library.FindAllSubmatch(text, -1) {
		copyFile(t, string(match[1]), filepath.Join(to, filepath.Base(string(match[1]))))
	}
}
