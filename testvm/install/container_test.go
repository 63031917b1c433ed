package install_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"greengate/testvm/machine"
)

// store runs buildah or podman on a store of the test's own, which is gone afterwards.
type store struct {
	t    *testing.T
	args []string
}

func newStore(t *testing.T) store {
	dir := t.TempDir()
	// vfs copies files, which works on every file system, and in a container.
	return store{t, []string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs"}}
}

func (s store) buildah(args ...string) string {
	s.t.Helper()
	return output(s.t, "buildah", append(s.args, args...)...)
}

// podman does without systemd, which this computer may not have.
func (s store) podman(args ...string) string {
	s.t.Helper()
	return output(s.t, "podman", s.podmanArgs(args...)...)
}

func (s store) podmanArgs(args ...string) []string {
	return append(append(s.args, "--cgroup-manager", "cgroupfs", "--runtime", "runc", "--log-level", "fatal"), args...)
}

// The container of the tarball, built and run as compose.yaml has it: a site is made in its
// volume, devices connect and talk, a changed file is taken up, and it ends well.
func TestContainer(t *testing.T) {
	if !*inVM {
		t.Skip("the container is part of make test-install (-vm)")
	}
	need(t, "buildah", "podman", "runc", "docker-compose")
	if os.Getuid() != 0 {
		t.Skip("the container is run by root, on the network of this computer")
	}
	tree := tarball(t)
	compose := output(t, "docker-compose", "-f", filepath.Join(tree, "compose.yaml"), "config")
	for _, line := range []string{"network_mode: host", "read_only: true", "- ALL", "- no-new-privileges:true", "- site:/etc/greengate:rw"} {
		if !strings.Contains(compose, line) {
			t.Errorf("compose.yaml does not say %q:\n%s", line, compose)
		}
	}

	s := newStore(t)
	// An image in Docker's format has the check of its health, too.
	s.buildah("bud", "--isolation", "chroot", "--format", "docker", "-t", "greengate", tree)
	image := s.podman("image", "inspect", "greengate")
	for _, word := range []string{`"User": "10001:10001"`, `"Healthcheck"`, `"StopSignal": "SIGTERM"`} {
		if !strings.Contains(image, word) {
			t.Errorf("the image has not %s:\n%s", word, image)
		}
	}
	// What compose.yaml says. The limits are those of a computer that may raise none.
	options := []string{"--network", "host", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "-v", "site:/etc/greengate",
		"--no-healthcheck", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"}
	run := func(args ...string) string {
		t.Helper()
		return s.podman(append(append([]string{"run"}, options...), args...)...)
	}
	run("--rm", "greengate", "init", "/etc/greengate", "--key", "p-256")
	folder := strings.TrimSpace(s.podman("volume", "inspect", "-f", "{{.Mountpoint}}", "site"))
	address := useFreePorts(t, filepath.Join(folder, "group.yaml"))

	run("-d", "--name", "gateway", "greengate")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.podman("logs", "gateway"))
		}
		_ = exec.Command("podman", s.podmanArgs("rm", "-f", "-t", "0", "gateway")...).Run()
	})
	inside := func(args ...string) string {
		t.Helper()
		return s.podman(append([]string{"exec", "gateway", "greengate"}, args...)...)
	}
	eventually(t, "the container is ready", func() bool {
		return exec.Command("podman", s.podmanArgs("exec", "gateway", "greengate", "status")...).Run() == nil
	})
	for _, thing := range []string{"sender", "receiver"} {
		inside("device", "add", thing, "--out", "/etc/greengate/devices")
	}
	edit(t, filepath.Join(folder, "group.yaml"), `(?m)^subscriptions:.*`, "subscriptions:\n  - {from: sender, topic: \"numbers/#\", to: receiver}")
	before := generation(t, inside("status", "--json"))
	s.podman("kill", "-s", "HUP", "gateway")
	eventually(t, "the row is in force", func() bool { return generation(t, inside("status", "--json")) > before })

	talk(t, address, filepath.Join(folder, "devices"))
	s.podman("stop", "-t", "30", "gateway")
	if code := strings.TrimSpace(s.podman("inspect", "-f", "{{.State.ExitCode}}", "gateway")); code != "0" {
		t.Errorf("it ended with status %s:\n%s", code, s.podman("logs", "gateway"))
	}
}

// tarball returns a folder with what is in the tarball.
func tarball(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(packageOf(t, "amd64", "")), "*.tar.gz"))
	if err != nil || len(files) != 1 {
		t.Fatalf("tarballs: %v, %v", files, err)
	}
	tree := t.TempDir()
	output(t, "tar", "-xzf", files[0], "-C", tree, "--strip-components=1")
	return tree
}

// useFreePorts has a site listen on this computer only, and returns where to find its broker.
func useFreePorts(t *testing.T, file string) (broker string) {
	t.Helper()
	var free []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		free = append(free, l.Addr().String())
	}
	edit(t, file, `"0\.0\.0\.0:8883"`, `"`+free[0]+`"`)
	edit(t, file, `"0\.0\.0\.0:8443"`, `"`+free[1]+`"`)
	edit(t, file, `\z`, "\nadmin: {listen: \"\"}\n")
	_, port, _ := net.SplitHostPort(free[0])
	return "localhost:" + port
}

// edit replaces what there must be in a file, which stays whose it is.
func edit(t *testing.T, file, pattern, replacement string) {
	t.Helper()
	text := read(t, file)
	changed := regexp.MustCompile(pattern).ReplaceAllLiteralString(text, replacement)
	if changed == text {
		t.Fatalf("%s has not %s:\n%s", file, pattern, text)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
	if err == nil {
		_, err = f.WriteString(changed)
		_ = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func generation(t *testing.T, status string) int {
	t.Helper()
	var s struct {
		Config struct{ Generation int }
	}
	if err := json.Unmarshal([]byte(status), &s); err != nil {
		t.Fatalf("%v\n%s", err, status)
	}
	return s.Config.Generation
}

// talk has two devices exchange messages for two seconds, of which none may be lost.
func talk(t *testing.T, address, folder string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "traffic")
	machine.Build(t, program, "greengate/testvm/install/traffic", nil)
	var said strings.Builder
	cmd := exec.Command(program, address, folder)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(2*time.Second, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer timer.Stop()
	err := cmd.Wait()
	var sent, received int
	_, scan := fmt.Sscanf(said.String(), "sent=%d received=%d", &sent, &received)
	if err != nil || scan != nil || sent == 0 || received != sent {
		t.Errorf("the devices: %v, %v\n%s", err, scan, &said)
	}
	t.Logf("%s", &said)
}

// eventually waits until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	late := time.After(time.Minute)
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("not yet: %s", what)
		}
	}
}
