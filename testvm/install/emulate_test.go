package install_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The end-to-end tests that a program for another processor runs: identity and discovery,
// the gate, sessions, shadows and the spool through kill -9, reload, the REST data plane.
var endToEnd = []string{
	"TestForeignCertificateIsRefused", "TestDiscoveryAnswersAsGreengrass", "TestMessagePassesAlongItsRow",
	"TestQoSAndPropertiesTravel", "TestSessionsOutliveTheGateway", "TestShadowSurvivesKill", "TestTrafficLight",
	"TestReloadSwapsTheTableUnderTraffic", "TestTelemetrySurvives", "TestDataPlaneShadows",
}

// The programs of the packages for the Pi pass the end-to-end tests under emulation.
func TestEmulated(t *testing.T) {
	if !*inVM {
		t.Skip("programs for other processors are part of make test-install (-vm)")
	}
	for _, c := range []struct{ arch, emulator, compiler string }{
		{"arm64", "qemu-aarch64-static", "aarch64-linux-gnu-gcc"},
		{"armhf", "qemu-arm-static", "arm-linux-gnueabihf-gcc"},
	} {
		t.Run(c.arch, func(t *testing.T) {
			need(t, c.emulator, c.compiler)
			file := packageOf(t, c.arch, "")
			size(t, file, maxPackage)
			lint(t, file)
			program := filepath.Join(unpacked(t, file), "usr/bin/greengate")
			size(t, program, maxProgram)
			// One process, so that the signals of the tests reach the program.
			wrapper := filepath.Join(t.TempDir(), "greengate")
			script := fmt.Sprintf("#!/bin/sh\nexec %s %s \"$@\"\n", c.emulator, program)
			if err := os.WriteFile(wrapper, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("go", "test", "-count", "1", "-timeout", "1h", "-v", "-run", "^("+strings.Join(endToEnd, "|")+")$", "greengate/cmd/greengate")
			cmd.Env = append(os.Environ(), "GREENGATE_UNDER_TEST="+wrapper)
			text, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			for _, name := range endToEnd {
				if !strings.Contains(string(text), "--- PASS: "+name+" (") {
					t.Errorf("%s has not passed:\n%s", name, text)
				}
			}
		})
	}
}
