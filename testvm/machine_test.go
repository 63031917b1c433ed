package testvm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"greengate/testvm/streams"
)

// needed skips a test where the virtual machine cannot be had. `make test`
// installs what it needs.
func needed(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("a virtual machine takes its time")
	}
	for _, program := range []string{"qemu-system-x86_64", "busybox", "mke2fs", "e2fsck", "debugfs"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%v (make test installs it)", err)
		}
	}
	var reason bytes.Buffer
	setup := exec.Command("./setup.sh")
	setup.Stderr = &reason
	if err := setup.Run(); err != nil {
		t.Skipf("there is no virtual machine here: %v\n%s", err, &reason)
	}
}

// build builds a program as it is shipped: without the race detector that the
// tests may have.
func build(t *testing.T, program string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), filepath.Base(program))
	args := append([]string{"build", "-buildvcs=false", "-o", out}, flags...)
	text, err := exec.Command("go", append(args, program)...).CombinedOutput()
	if err != nil {
		t.Fatalf("build %s: %v\n%s", program, err, text)
	}
	return out
}

// weakened returns the flag of `go build` for a greengate whose databases do not
// wait for the disk at a commit. The product has no such switch, so the text of
// core/sqlite is replaced while it is compiled.
func weakened(t *testing.T) string {
	t.Helper()
	const source = "../core/sqlite/conn.go"
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	for pattern, weaker := range map[string]string{
		`("_synchronous":\s*)\{"FULL"\}`: `$1{"NORMAL"}`,
		`\{"synchronous", "2"\}`:         `{"synchronous", "1"}`,
	} {
		find := regexp.MustCompile(pattern)
		if n := len(find.FindAll(text, -1)); n != 1 {
			t.Fatalf("%s has %s %d times, and this test knows it with 1", source, pattern, n)
		}
		text = find.ReplaceAll(text, []byte(weaker))
	}
	dir := t.TempDir()
	original, err := filepath.Abs(source)
	if err != nil {
		t.Fatal(err)
	}
	replacement, overlay := filepath.Join(dir, "conn.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: replacement}})
	if err := errors.Join(err, os.WriteFile(replacement, text, 0o600), os.WriteFile(overlay, list, 0o600)); err != nil {
		t.Fatal(err)
	}
	return "-overlay=" + overlay
}

// record runs the writer with that greengate in the virtual machine, and returns
// the disk before, and the log of all that was done to it.
func record(t *testing.T, s *site, numbers int) (base string, l *writeLog) {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	start := fmt.Sprintf("#!/bin/sh\nexec /writer -numbers %d -broker %s -cloud %s\n", numbers, inMachine.broker, inMachine.cloud)
	err := errors.Join(
		os.Mkdir(root, 0o755), s.copy(filepath.Join(root, "site")),
		inMachine.write(filepath.Join(root, "site")),
		os.Symlink(s.greengate, filepath.Join(root, "greengate")),
		os.Symlink(writerProgram(t), filepath.Join(root, "writer")),
		os.WriteFile(filepath.Join(root, "start"), []byte(start), 0o755),
	)
	if err != nil {
		t.Fatal(err)
	}
	base, disk, log := filepath.Join(dir, "base"), filepath.Join(dir, "disk"), filepath.Join(dir, "log")
	// With lazy initialisation the kernel would go on making the file system
	// while it is in use.
	run(t, "mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0", base, fmt.Sprint(streams.FileSystem>>10))
	run(t, "cp", "--sparse=always", base, disk)
	run(t, "truncate", "-s", fmt.Sprint(streams.Disk), disk)
	run(t, "truncate", "-s", "8G", log) // sparse
	said := run(t, "./run.sh", root,
		"-blockdev", "driver=file,node-name=disk,filename="+disk,
		"-blockdev", "driver=file,node-name=log,filename="+log,
		"-blockdev", fmt.Sprintf("driver=blklogwrites,node-name=logged,file=disk,log=log,log-sector-size=%d", streams.Sector),
		"-device", "virtio-blk-pci,drive=logged")
	t.Log(regexp.MustCompile("writer: .*").FindString(said))
	if l, err = openWriteLog(log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.file.Close() })
	return base, l
}

func writerProgram(t *testing.T) string {
	t.Helper()
	t.Setenv("CGO_ENABLED", "0")
	defer os.Unsetenv("CGO_ENABLED")
	return build(t, "./writer")
}

// run runs a command that must succeed, and returns what it says.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	text, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(name), err, text)
	}
	return string(text)
}
