package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A function does nothing to another one, although both have one user.
func TestTwoFunctions(t *testing.T) {
	onEach(t, func(t *testing.T, s *Sandbox) {
		site := newSite(t)
		other := filepath.Join(site.data, "functions/bus")
		if err := os.WriteFile(other, []byte("its own"), 0o600); err != nil {
			t.Fatal(err)
		}
		victim, _ := start(t, s, site.actor(t, "never end"))
		pid := strconv.Itoa(victim.Pid())
		acts := map[string][]string{
			"read a file":      {other},
			"open for reading": {"/proc/" + pid + "/environ"},
			"ptrace":           {pid},
			"its limits":       {pid},
		}
		if s.means.namespace || s.means.landlock >= landlockScope {
			acts["kill"] = []string{pid} // the others tell that this is open
		} else if missing := strings.Join(s.Confinement().Missing, "\n"); !strings.Contains(missing, "can end other functions") {
			t.Errorf("it says %q", missing)
		}
		tryEach(t, s, site, acts)
	})
}

// What is written for a function is open to it, under the name that was written.
func TestGrants(t *testing.T) {
	onEach(t, func(t *testing.T, s *Sandbox) {
		site := newSite(t)
		shared, link := filepath.Join(site.data, "shared"), filepath.Join(site.dir, "link")
		for _, err := range []error{
			os.MkdirAll(filepath.Join(shared, "in"), 0o755), os.MkdirAll(filepath.Join(shared, "out"), 0o755), os.Symlink(shared, link),
			os.WriteFile(filepath.Join(shared, "in/text"), []byte("words"), 0o644), os.WriteFile(filepath.Join(shared, "secret"), []byte("no"), 0o644),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		script := fmt.Sprintf(`cat %[1]s/in/text && cat code && echo x >%[1]s/out/y && mkdir -p $TMPDIR/a/b && mv %[1]s/out/y %[1]s/out/z &&
			! cat %[2]s/secret && ! echo x >%[1]s/in/new && ! rm %[1]s/in/text && ls /usr/bin/env /etc/hosts`, link, shared)
		spec := site.spec("/bin/sh", "-c", script)
		spec.Read, spec.Write = []string{filepath.Join(link, "in")}, []string{filepath.Join(link, "out")}
		for _, device := range []string{"/dev/fuse", "/dev/net/tun"} {
			if f, err := os.OpenFile(device, os.O_RDWR, 0); err == nil {
				_ = f.Close()
				spec.Devices = append(spec.Devices, device)
				spec.Command[2] += " && : <>" + device
			}
		}
		if said, exit := run(t, s, spec); exit.Code != 0 || !strings.HasPrefix(said, "wordsPRIVATE KEY") {
			t.Errorf("%s, %v", said, exit)
		}
		if _, err := os.Stat(filepath.Join(shared, "out/z")); err != nil {
			t.Error(err)
		}
	})
}

// A function can have another user, if root runs the gateway.
func TestUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may give another user")
	}
	onEach(t, func(t *testing.T, s *Sandbox) {
		site := newSite(t)
		for _, folder := range []string{site.dir, site.scratch} {
			if err := os.Chmod(folder, 0o711); err != nil {
				t.Fatal(err)
			}
		}
		for user, id := range map[string]string{"nobody": "65534 65534", "1234": "1234 1234", "1234:65534": "1234 65534"} {
			spec := site.spec("/bin/sh", "-c", "echo $(id -u) $(id -g) && echo x >$TMPDIR/file && ! cat code")
			spec.User = user
			if said, exit := run(t, s, spec); exit.Code != 0 || !strings.HasPrefix(said, id+"\n") {
				t.Errorf("%s: %s, %v", user, said, exit)
			}
			_ = os.Remove(filepath.Join(site.scratch, "file"))
		}
	})
}

// When the gateway is killed, its functions end.
func TestGatewayKilled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i, kernel := range kernels {
		t.Run(kernel.name, func(t *testing.T) {
			s := newSandbox(t, kernel.means)
			gateway := exec.Command("/proc/self/exe", "act", "be a gateway", strconv.Itoa(i), newSite(t).scratch, self)
			out, err := gateway.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := gateway.Start(); err != nil {
				t.Fatal(err)
			}
			var head int
			var tree string
			for tree == "" {
				var word string
				if _, err := fmt.Fscan(out, &word); err != nil {
					t.Fatal(err)
				}
				if word == "tree" {
					_, _ = fmt.Fscanf(out, "%d %s", &head, &tree)
				}
			}
			_ = gateway.Process.Signal(syscall.SIGKILL)
			_ = gateway.Wait()
			// A child that nothing holds stays: systemd ends it, and here this does.
			defer func() { _ = syscall.Kill(-head, syscall.SIGKILL) }()
			whole := s.means.namespace
			deadline := time.Now().Add(time.Minute)
			for alive(census(), head, whole) {
				if time.Now().After(deadline) {
					t.Fatalf("the function %d lives on", head)
				}
			}
		})
	}
}

// alive tells whether a process is there, or one of its children.
func alive(all map[int]resident, head int, children bool) bool {
	for pid, r := range all {
		if !r.zombie && (pid == head || children && r.group == head) {
			return true
		}
	}
	return false
}
