// Package pi3_test runs the program for a Raspberry Pi, as it is shipped, on an emulated
// Pi 3 with the kernel's own driver for its pins, and looks at these from outside.
package pi3_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"greengate/testvm/machine"
)

// patience is for what is only slow when something is wrong. The processor is emulated.
const patience = time.Minute

// pi is the emulated board, with a shell on its serial line.
type pi struct {
	*probes
	t     *testing.T
	shell io.WriteCloser
	lines chan string // what it says
}

// boot starts a board with the program for a Pi, and a site with that gpio section. It
// ends with the test.
func boot(t *testing.T, gpio string) *pi {
	t.Helper()
	cache := machine.Need(t, "./setup.sh", "qemu-system-aarch64", "aarch64-linux-gnu-gcc")
	root, dir := t.TempDir(), t.TempDir()
	machine.Build(t, filepath.Join(root, "greengate"), "greengate/cmd/greengate", machine.ARM64, machine.Static...)
	machine.BuildTest(t, filepath.Join(root, "boards.test"), "greengate/gpio", "GOARCH=arm64")
	makeSite(t, filepath.Join(root, "site"), gpio)
	socket, initrd := filepath.Join(dir, "qmp"), filepath.Join(dir, "initrd")
	archive := exec.Command("sh", "-c", `cd "$1" && find . | busybox cpio -o -H newc 2>/dev/null | cat "$2" - >"$3"`,
		"sh", root, filepath.Join(cache, "base.cpio"), initrd)
	if text, err := archive.CombinedOutput(); err != nil {
		t.Fatalf("make the initramfs: %v\n%s", err, text)
	}
	// iomem=relaxed lets a program in there look at the levels past the kernel, too.
	// With a thread for each of the four processors the idle ones would spin.
	qemu := exec.Command("qemu-system-aarch64", "-M", "raspi3b", "-accel", "tcg,thread=single",
		"-display", "none", "-monitor", "none", "-no-reboot",
		"-kernel", filepath.Join(cache, "kernel"), "-dtb", filepath.Join(cache, "board.dtb"), "-initrd", initrd,
		"-append", "console=ttyS1,115200 loglevel=3 panic=-1 cryptomgr.notests iomem=relaxed rdinit=/init",
		"-serial", "null", "-serial", "stdio", "-qmp", "unix:"+socket+",server=on,wait=off")
	shell, err := qemu.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	serial, err := qemu.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := qemu.Start(); err != nil {
		t.Fatal(err)
	}
	p := &pi{t: t, shell: shell, lines: make(chan string, 10_000)}
	go p.listen(serial)
	t.Cleanup(func() {
		_ = qemu.Process.Kill()
		_ = qemu.Wait() // it was killed, and says so
	})
	p.until("testvm: ready")
	if p.probes, err = openProbes(socket); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.conn.Close() })
	return p
}

// listen takes what the board says until it is off.
func (p *pi) listen(serial io.Reader) {
	defer close(p.lines)
	for said := bufio.NewScanner(serial); said.Scan(); {
		p.lines <- strings.TrimRight(said.Text(), "\r")
	}
}

// until returns what the board says up to a line that begins like that, and the rest
// of this line.
func (p *pi) until(begin string) (said []string, rest string) {
	p.t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the board is off; it said:\n%s", strings.Join(said, "\n"))
			}
			// The kernel may write on the same line.
			if before, after, found := strings.Cut(line, begin); found {
				return append(said, before), after
			}
			said = append(said, line)
		case <-late:
			p.t.Fatalf("the board does not say %q after %v, but:\n%s", begin, patience, strings.Join(said, "\n"))
		}
	}
}

// try has the shell of the board carry out a line, and returns what that says, and its
// exit code.
func (p *pi) try(line string) (said string, code int) {
	p.t.Helper()
	if _, err := io.WriteString(p.shell, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
	lines, rest := p.until("testvm: status ")
	code, err := strconv.Atoi(rest)
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(strings.Join(lines, "\n")), code
}

// must is try for what must succeed.
func (p *pi) must(line string) string {
	p.t.Helper()
	said, code := p.try(line)
	if code != 0 {
		p.t.Fatalf("%s: exit code %d\n%s", line, code, said)
	}
	return said
}

// eventually waits until check is true.
func (p *pi) eventually(what string, check func() bool) {
	p.t.Helper()
	late := time.After(patience)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !check() {
		select {
		case <-again.C:
		case <-late:
			p.t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}

// makeSite makes a site on this computer, with that gpio section.
func makeSite(t *testing.T, site, gpio string) {
	t.Helper()
	greengate := filepath.Join(t.TempDir(), "greengate")
	machine.Build(t, greengate, "greengate/cmd/greengate", nil)
	for _, args := range [][]string{
		{"init", site, "--group", "pins", "--core", "pins_Core", "--key", "p-256"},
		{"device", "add", "light", "--config", site + "/group.yaml", "--out", site + "/devices"},
	} {
		if text, err := exec.Command(greengate, args...).CombinedOutput(); err != nil {
			t.Fatalf("greengate %v: %v\n%s", args, err, text)
		}
	}
	file := `version: 1
group: pins
core: pins_Core
data: /tmp/data
discovery: {announce: false}
admin: {listen: ""}
pki: {dir: pki}
devices: [{thing: light}]
gpio:
` + gpio
	if err := os.WriteFile(filepath.Join(site, "group.yaml"), []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
}
