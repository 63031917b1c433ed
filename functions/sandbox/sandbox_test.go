package sandbox

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The program of the tests is also the launcher, the functions that do as is
// good or bad (act_test.go), and a gateway without root's rights.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == LaunchCommand {
		LaunchMain()
	}
	if len(os.Args) > 2 && os.Args[1] == "act" {
		act(os.Args[2], os.Args[3:])
	}
	os.Exit(m.Run())
}

// kernels are what the machines of the users have.
var kernels = []struct {
	name  string
	means means
}{
	{"as it is here", means{landlock: landlockVersion(), namespace: true, privileged: mayMount(), seccomp: true, cgroup: true}},
	{"no Landlock, as on Raspberry Pi OS", means{namespace: true, privileged: mayMount(), seccomp: true, cgroup: true}},
	{"no namespaces, as in a container", means{landlock: landlockVersion(), seccomp: true}},
	{"no namespaces and an old Landlock", means{landlock: min(landlockVersion(), 2), seccomp: true}},
}

// bare is a kernel that has neither Landlock nor namespaces: files are open
// there, and the gateway tells so; processes and sockets are closed all the same.
var bare = means{seccomp: true}

// onEach runs a test on each of the kernels, as far as this one can play it.
func onEach(t *testing.T, test func(t *testing.T, s *Sandbox)) {
	for _, kernel := range kernels {
		t.Run(kernel.name, func(t *testing.T) {
			s := newSandbox(t, kernel.means)
			test(t, s)
		})
	}
}

func newSandbox(t *testing.T, have means) *Sandbox {
	t.Helper()
	s := build(Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))}, have)
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", s.Confinement())
	if s.means.landlock == 0 && !s.means.namespace && have != bare {
		t.Skip("this machine cannot play that one")
	}
	return s
}

// site is what a gateway has, and a function may not touch.
type site struct {
	dir, function, scratch string
	key, data, socket      string
}

func newSite(t *testing.T) site {
	t.Helper()
	// Not in /tmp, where a function has its own.
	dir, err := os.MkdirTemp("/var/tmp", "greengate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := site{dir: dir, function: filepath.Join(dir, "etc/functions/car"), scratch: filepath.Join(dir, "data/functions/car"),
		key: filepath.Join(dir, "etc/pki/ca.key"), data: filepath.Join(dir, "data"), socket: filepath.Join(dir, "data/greengate.sock")}
	for _, folder := range []string{s.function, s.scratch, filepath.Dir(s.key)} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{s.key, filepath.Join(s.data, "spool.db"), filepath.Join(s.function, "code")} {
		if err := os.WriteFile(file, []byte("PRIVATE KEY"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// spec is that of a function of the site that runs a program.
func (s site) spec(command ...string) Spec {
	return Spec{Name: "car", Command: command, Dir: s.function, Scratch: s.scratch, Memory: 256 << 20,
		Env:    []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + s.scratch, "TMPDIR=" + s.scratch, "GORACE=atexit_sleep_ms=0"},
		Hidden: []string{filepath.Join(s.dir, "etc"), s.data}}
}

// actor is the spec of a function that does one of the acts.
func (s site) actor(t *testing.T, name string, args ...string) Spec {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	spec := s.spec(append([]string{self, "act", name}, args...)...)
	spec.Read = append(spec.Read, self)
	return spec
}

// run runs a process to its end, and returns what it said.
func run(t *testing.T, s *Sandbox, spec Spec) (string, Exit) {
	t.Helper()
	p, output := start(t, s, spec)
	exit := p.Wait()
	return output(), exit
}

// start starts a process; output waits for its end and returns what it said.
func start(t *testing.T, s *Sandbox, spec Spec) (p *Process, output func() string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	spec.Stdout, spec.Stderr = w, w
	p, err = s.Start(t.Context(), spec)
	_ = w.Close()
	if err != nil {
		_ = r.Close()
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() { p.Kill(); p.Wait() })
	text := make(chan string, 1)
	go func() {
		defer r.Close()
		var b bytes.Buffer
		_, _ = io.Copy(&b, r)
		text <- b.String()
	}()
	return p, func() string {
		t.Helper()
		select {
		case said := <-text:
			return said
		case <-time.After(time.Minute):
			t.Fatal("somebody still holds the function's output")
			return ""
		}
	}
}

// TestWithoutRoot runs all the others as a user without any right, as the
// gateway is one where the package has installed it.
func TestWithoutRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this is without root")
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "sandbox")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program := filepath.Join(dir, "sandbox.test")
	if err := errorsOf(os.Chmod(dir, 0o777), os.WriteFile(program, self, 0o755)); err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.v", "-test.timeout=5m"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	text, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(text)) {
		if verdict := strings.TrimRight(line, "\n"); strings.HasPrefix(verdict, "--- ") || strings.Contains(verdict, "--- SKIP") {
			t.Log(verdict)
		}
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
