// Package gpio_test runs the gateway with the pins, the I2C bus and the 1-wire
// thermometer of a virtual machine. TestMachine boots it, with a program that has the
// other tests of this package; they need the machine, and are skipped elsewhere.
package gpio_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"greengate/testvm/machine"
)

var only = flag.String("only", "", "a pattern as of -run: in the machine only these tests of this package run")

// inside tells that this is the machine.
func inside() bool {
	_, err := os.Stat(simulator)
	return err == nil
}

// inMachine skips a test that needs the machine; TestMachine runs it there.
func inMachine(t *testing.T) {
	t.Helper()
	if !inside() {
		t.Skip("TestMachine runs it, in the machine")
	}
}

// The behaviour suite of package gpio passes on the lines of a real kernel, and so do
// the tests of the built gateway in this package.
func TestMachine(t *testing.T) {
	if inside() {
		t.Skip("this is the machine")
	}
	machine.Need(t, "./setup.sh", "qemu-system-x86_64")
	root := t.TempDir()
	machine.Build(t, filepath.Join(root, "greengate"), "greengate/cmd/greengate", nil)
	machine.BuildTest(t, filepath.Join(root, "boards.test"), "greengate/gpio")
	machine.BuildTest(t, filepath.Join(root, "gateway.test"), "greengate/testvm/gpio")
	script := "cd /tmp\n/boards.test -test.v; boards=$?\n/gateway.test -test.v; exit $((boards | $?))\n"
	if *only != "" {
		script = "cd /tmp\nexec /gateway.test -test.v -test.run '" + *only + "'\n"
	}
	machine.Script(t, root, script)
	output, status := machine.Run(t, "../run.sh", root, []string{"TESTVM_MACHINE=gpio", "TESTVM_TIMEOUT=900"})
	t.Log(output)
	if status != 0 {
		t.Errorf("the tests in the machine ended with status %d", status)
	}
	if *only == "" {
		checkVerdicts(t, machine.Verdicts(output))
	}
}

// checkVerdicts checks that the tests for the machine ran there.
func checkVerdicts(t *testing.T, verdicts map[string]string) {
	t.Helper()
	for _, name := range []string{"TestBoards/gpio-sim", "TestSensorsOnKernel", "TestGateToLine", "TestOutputs"} {
		if verdicts[name] != "PASS" {
			t.Errorf("%s did not pass: %q", name, verdicts[name])
		}
	}
	for name, verdict := range verdicts {
		if verdict == "SKIP" && name != "TestMachine" && name != "TestBoards/pi" {
			t.Errorf("%s was skipped in the machine", name)
		}
	}
}
