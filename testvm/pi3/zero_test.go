package pi3_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greengate/testvm/machine"
)

// zero is an emulator of the processor of a Pi Zero and a Pi 1, an ARMv6.
var zero = []string{"qemu-arm-static", "-cpu", "arm1176"}

// armv6 is the environment in which `go build` makes a program for it. Debian's compiler
// for armhf makes code and has a C library for ARMv7; the one for armel, of an older ARM,
// is for all of them, and a static program needs no library of the board's system.
var armv6 = []string{"GOARCH=arm", "GOARM=6", "CGO_ENABLED=1", "CC=arm-linux-gnueabi-gcc"}

// The program runs on the processor of a Pi Zero: keys, a shadow on the disk, a pin.
func TestPiZero(t *testing.T) {
	if testing.Short() {
		t.Skip("to compile SQLite takes its time")
	}
	for _, program := range []string{zero[0], "arm-linux-gnueabi-gcc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%v (packages gcc-arm-linux-gnueabi, libc6-dev-armel-cross and qemu-user-static)", err)
		}
	}
	root := t.TempDir()
	greengate, site := filepath.Join(root, "greengate"), filepath.Join(root, "site")
	machine.Build(t, greengate, "greengate/cmd/greengate", armv6, machine.Static...)
	command := func(args ...string) *exec.Cmd {
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		t.Cleanup(cancel)
		return exec.CommandContext(ctx, zero[0], append(append(zero[1:len(zero):len(zero)], greengate), args...)...)
	}
	try := func(args ...string) (string, error) {
		said, err := command(append(args, "--config", filepath.Join(site, "group.yaml"))...).CombinedOutput()
		return string(said), err
	}
	must := func(said string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		return said
	}
	made, err := command("init", site, "--core", "zero", "--key", "p-256").CombinedOutput()
	must(string(made), err)
	must(try("device", "add", "light", "--out", filepath.Join(site, "devices")))
	file := `version: 1
group: pins
core: zero
data: data
broker: {listen: ["127.0.0.1:0"]}
discovery: {listen: ["127.0.0.1:0"], announce: false}
admin: {listen: ""}
pki: {dir: pki}
devices: [{thing: light}]
gpio: {driver: sim, leds: [{name: lamp, pin: GPIO17, thing: light, key: lamp}]}
`
	if err := os.WriteFile(filepath.Join(site, "group.yaml"), []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}

	gateway := command("run", "--config", filepath.Join(site, "group.yaml"))
	gateway.Cancel = func() error { return gateway.Process.Kill() }
	var log strings.Builder
	gateway.Stderr = &log
	if err := gateway.Start(); err != nil {
		t.Fatal(err)
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for begin := time.Now(); ; <-again.C {
		said, err := try("status")
		if err == nil {
			break
		}
		if time.Since(begin) > patience {
			_ = gateway.Process.Kill()
			_ = gateway.Wait() // it was killed, and says so
			t.Fatalf("after %v there is no gateway: %s\n%s", patience, said, log.String())
		}
	}
	said, err := try("shadow", "update", "light", `{"state": {"desired": {"lamp": true}}}`)
	list, listErr := try("gpio", "list")
	_ = gateway.Process.Signal(os.Interrupt) // Wait tells how it ends
	ended := gateway.Wait()
	if must(said, err); !strings.Contains(must(list, listErr), "lamp on") {
		t.Errorf("the lamp is not on:\n%s", list)
	}
	if ended != nil {
		t.Errorf("the gateway ended with %v:\n%s", ended, log.String())
	}
}
