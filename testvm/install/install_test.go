// Package install_test tries the packages of systemd/package as a person would who gets
// one: what is in it, what lintian and systemd say of it, whether it installs into a
// folder, and with -vm, whether it lives well on a Debian with systemd. It builds them
// from this tree. Its tests share the packages, and run one after the other.
package install_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var inVM = flag.Bool("vm", false, "try the package in the virtual machine, and those of the other processors under emulation")

// The sizes that nobody has to wait for.
const (
	maxPackage = 12_000_000
	maxProgram = 25_000_000
)

// made remembers what packageOf has built, by architecture and version.
var made sync.Map

// builds is where the packages of this run are; TestMain removes it.
var builds string

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "greengate-packages-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	builds = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// packageOf builds the package of a processor, of this tree's version or of that one, and
// returns its file. Without the tools of packages the test is skipped.
func packageOf(t *testing.T, arch, version string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("packages are built")
	}
	need(t, filepath.Join(toolFolder(t), "nfpm"), "dpkg-deb", "gcc")
	key := arch + version
	if file, ok := made.Load(key); ok {
		return file.(string)
	}
	out := filepath.Join(builds, key)
	cmd := exec.Command("../../systemd/package/package.sh", "-C", out, arch)
	cmd.Env = os.Environ()
	if version != "" {
		cmd.Env = append(cmd.Env, "GREENGATE_VERSION="+version)
	}
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make the package: %v\n%s", err, text)
	}
	files, err := filepath.Glob(filepath.Join(out, "*.deb"))
	if err != nil || len(files) != 1 {
		t.Fatalf("packages: %v, %v", files, err)
	}
	made.Store(key, files[0])
	return files[0]
}

// toolFolder is where cmd/demo/setup.sh puts nfpm.
func toolFolder(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	return filepath.Join(cache, "greengate-tools")
}

// need skips a test where a program is missing.
func need(t *testing.T, programs ...string) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("the packages are tried on an amd64")
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%v (cmd/demo/setup.sh packages installs it)", err)
		}
	}
}

// output runs a program to its good end, and returns what it said on both streams.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0")
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, text)
	}
	return string(text)
}

// unpacked returns a folder with what is in the package.
func unpacked(t *testing.T, file string) string {
	t.Helper()
	dir := t.TempDir()
	output(t, "dpkg-deb", "-x", file, dir)
	return dir
}

// The package has what a service needs, in the places that Debian has for it, owned by
// root; and nobody waits long for it.
func TestContents(t *testing.T) {
	file := packageOf(t, "amd64", "")
	list := output(t, "dpkg-deb", "-c", file)
	for _, line := range []string{
		"-rwxr-xr-x root/root ./usr/bin/greengate",
		"-rwxr-xr-x root/root ./usr/lib/greengate/greengate-token",
		"-rw-r--r-- root/root ./usr/lib/systemd/system/greengate.service",
		"-rw-r--r-- root/root ./usr/lib/sysusers.d/greengate.conf",
		"-rw-r--r-- root/root ./usr/lib/tmpfiles.d/greengate.conf",
		"-rw-r--r-- root/root ./usr/lib/udev/rules.d/60-greengate.rules",
		"-rw-r--r-- root/root ./etc/default/greengate",
		"drwxr-xr-x root/root ./etc/greengate/",
		"-rw-r--r-- root/root ./usr/share/man/man1/greengate.1.gz",
		"-rw-r--r-- root/root ./usr/share/man/man1/greengate-device-add.1.gz",
		"-rw-r--r-- root/root ./usr/share/bash-completion/completions/greengate",
		"-rw-r--r-- root/root ./usr/share/zsh/vendor-completions/_greengate",
		"-rw-r--r-- root/root ./usr/share/fish/vendor_completions.d/greengate.fish",
		"-rw-r--r-- root/root ./usr/share/doc/greengate/copyright",
		"-rw-r--r-- root/root ./usr/share/doc/greengate/changelog.Debian.gz",
		"-rw-r--r-- root/root ./usr/share/doc/greengate/third-party-notices.gz",
		"-rw-r--r-- root/root ./usr/share/doc/greengate/examples/group.yaml",
		"-rw-r--r-- root/root ./usr/share/doc/greengate/examples/alerts.yaml",
	} {
		if !hasLine(list, line) {
			t.Errorf("not in the package: %s", line)
		}
	}
	if t.Failed() {
		t.Log(list)
	}
	size(t, file, maxPackage)
	root := unpacked(t, file)
	size(t, filepath.Join(root, "usr/bin/greengate"), maxProgram)
	// The one that is shipped as an example is one that the program takes.
	dir := t.TempDir()
	output(t, filepath.Join(root, "usr/bin/greengate"), "init", dir)
	sample, err := os.ReadFile(filepath.Join(root, "usr/share/doc/greengate/examples/group.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "group.yaml"), sample, 0o644); err != nil {
		t.Fatal(err)
	}
	output(t, filepath.Join(root, "usr/bin/greengate"), "check", "--config", filepath.Join(dir, "group.yaml"))
}

// hasLine tells whether a line of `dpkg-deb -c` begins and ends as want does: between
// them are size and date.
func hasLine(list, want string) bool {
	owner, name, _ := strings.Cut(want, " ./")
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, owner) && strings.HasSuffix(line, " ./"+name) {
			return true
		}
	}
	return false
}

func size(t *testing.T, file string, most int64) {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %.1f MB", filepath.Base(file), float64(info.Size())/1e6)
	if info.Size() > most {
		t.Errorf("%s has %d bytes, which are more than %d", file, info.Size(), most)
	}
}

// The sums are those of the files beside them, and the SBOM names the libraries.
func TestBesides(t *testing.T) {
	dir := filepath.Dir(packageOf(t, "amd64", ""))
	files, err := filepath.Glob(filepath.Join(dir, "*.sha256"))
	if err != nil || len(files) != 1 {
		t.Fatalf("sums: %v, %v", files, err)
	}
	sums, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		content, err := os.ReadFile(filepath.Join(dir, name))
		if got := sha256.Sum256(content); err != nil || hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s does not have the sum %s (%v)", name, sum, err)
		}
		n++
		if strings.HasSuffix(name, ".cdx.json") {
			for _, want := range []string{`"CycloneDX"`, `"pkg:golang/github.com/mochi-mqtt/server/v2@v2`, `"name": "sqlite"`, `"go:build:GOARCH"`} {
				if !bytes.Contains(content, []byte(want)) {
					t.Errorf("%s does not say %s", name, want)
				}
			}
		}
	}
	if n != 3 {
		t.Errorf("the sums are of %d files:\n%s", n, sums)
	}
	tree := tarball(t)
	inPackage, err := os.ReadFile(filepath.Join(unpacked(t, packageOf(t, "amd64", "")), "usr/bin/greengate"))
	if err != nil {
		t.Fatal(err)
	}
	if inTarball, err := os.ReadFile(filepath.Join(tree, "greengate")); err != nil || !bytes.Equal(inTarball, inPackage) {
		t.Errorf("the tarball has another program than the package (%v)", err)
	}
	if text := output(t, "file", filepath.Join(tree, "greengate")); !strings.Contains(text, "static") {
		t.Errorf("the program is not static: %s", text)
	}
}

// Lintian, which knows what Debian expects of a package, finds nothing.
func TestLintian(t *testing.T) {
	lint(t, packageOf(t, "amd64", ""))
}

func lint(t *testing.T, file string) {
	t.Helper()
	need(t, "lintian")
	if text := output(t, "lintian", "--allow-root", "--fail-on", "error,warning", file); text != "" {
		t.Errorf("lintian says:\n%s", text)
	}
}
