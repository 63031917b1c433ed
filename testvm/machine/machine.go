// Package machine is what the tests of the virtual machines have in common: to skip
// where a machine cannot be had, to build what goes into it, and to run it. Only tests
// in testvm import it; it imports nothing of ours. Nothing here is for several
// goroutines at once.
package machine

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Need skips a test where its machine cannot be had, and returns the folder that the
// set-up has made. setup is the script of the machine, relative to the test; programs
// are what else it needs. The make targets install all of that.
func Need(t testing.TB, setup string, programs ...string) (cache string) {
	t.Helper()
	if testing.Short() {
		t.Skip("a virtual machine takes its time")
	}
	for _, program := range append(programs, "busybox") {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%v (cmd/demo/setup.sh installs it)", err)
		}
	}
	var reason bytes.Buffer
	cmd := exec.Command(setup)
	cmd.Stderr = &reason
	folder, err := cmd.Output()
	if err != nil {
		t.Skipf("there is no such virtual machine here: %v\n%s", err, &reason)
	}
	return string(bytes.TrimSpace(folder))
}

// ARM64 is the environment in which `go build` makes a program for a 64-bit Pi.
var ARM64 = []string{"GOARCH=arm64", "CGO_ENABLED=1", "CC=aarch64-linux-gnu-gcc"}

// Static are the flags of `go build` for a program that needs no library of the
// machine, although SQLite is C.
var Static = []string{"-tags", "sqlite_omit_load_extension,netgo,osusergo", "-ldflags", "-s -w -linkmode external -extldflags -static"}

// Build builds a program as it is shipped: without the race detector that the test may
// have.
func Build(t testing.TB, out, program string, env []string, flags ...string) {
	t.Helper()
	args := append([]string{"build", "-trimpath", "-buildvcs=false", "-o", out}, flags...)
	goTool(t, env, append(args, program)...)
}

// BuildTest builds the tests of a package as one program, which needs no library.
func BuildTest(t testing.TB, out, pkg string, env ...string) {
	t.Helper()
	goTool(t, append(env, "CGO_ENABLED=0"), "test", "-c", "-o", out, pkg)
}

func goTool(t testing.TB, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, text)
	}
}

// Script writes the program `start` of a machine, for its busybox, into a folder.
func Script(t testing.TB, folder, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, "start"), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// Run boots a machine with that folder, and returns what its program said and how that
// has ended. script is the run.sh of the machine, env what it takes from its
// environment.
func Run(t testing.TB, script, folder string, env []string, qemu ...string) (output string, status int) {
	t.Helper()
	cmd := exec.Command(script, append([]string{folder}, qemu...)...)
	cmd.Env = append(os.Environ(), env...)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	output = strings.ReplaceAll(string(text), "\r", "")
	if status = cmd.ProcessState.ExitCode(); status == broken {
		t.Fatalf("the machine failed:\n%s", output)
	}
	return output, status
}

// broken is the status of run.sh when it was the machine that failed.
const broken = 125

// verdictLine is how `-test.v` ends each test.
var verdictLine = regexp.MustCompile(`(?m)^\s*--- (PASS|FAIL|SKIP): (\S+) \(`)

// Verdicts returns how the tests of a program with -test.v have ended: PASS, FAIL or
// SKIP by the name of the test.
func Verdicts(output string) map[string]string {
	verdicts := map[string]string{}
	for _, match := range verdictLine.FindAllStringSubmatch(output, -1) {
		verdicts[match[2]] = match[1]
	}
	return verdicts
}
