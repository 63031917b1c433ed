package sandbox

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// How a process ended is told in words.
func TestExit(t *testing.T) {
	onEach(t, func(t *testing.T, s *Sandbox) {
		site := newSite(t)
		for name, words := range map[string]string{"say hello": "exit status 0", "fail": "exit status 7"} {
			if _, exit := run(t, s, site.actor(t, name)); exit.String() != words {
				t.Errorf("%s: %v", name, exit)
			}
		}
		// The first process of a namespace does not die of a signal of its own.
		if _, exit := run(t, s, site.spec("/bin/sh", "-c", "exit 3")); exit.Code != 3 {
			t.Errorf("a shell: %v", exit)
		}
		p, output := start(t, s, site.actor(t, "never end"))
		if _, there := p.Memory(); !there {
			t.Error("a running process has no memory")
		}
		p.Kill()
		if exit := p.Wait(); exit.Signal != syscall.SIGKILL || exit.OOM {
			t.Errorf("killed: %v", exit)
		}
		output()
		if _, there := p.Memory(); there {
			t.Error("a process that has ended has memory")
		}
		p.Kill() // for the second time, and nothing happens
	})
}

// What cannot be started says why.
func TestCannotStart(t *testing.T) {
	onEach(t, func(t *testing.T, s *Sandbox) {
		site := newSite(t)
		for words, change := range map[string]func(*Spec){
			"find the program":     func(spec *Spec) { spec.Command = []string{"./bootstrap"} },
			"write its whole path": func(spec *Spec) { spec.Command = []string{"no-such-program"} },
			"start ":               func(spec *Spec) { spec.Command = []string{"/etc/hostname"} },
			"no such file":         func(spec *Spec) { spec.Read = []string{"/no/such/folder"} },
			"no such device":       func(spec *Spec) { spec.Devices = []string{"/dev/no-such-device"} },
			"name the folders":     func(spec *Spec) { spec.Read = []string{"/"} },
			"find the user":        func(spec *Spec) { spec.User = "nobody-of-that-name" },
			"absolute":             func(spec *Spec) { spec.Dir = "functions/car" },
		} {
			spec := site.spec("/bin/true")
			change(&spec)
			_, err := s.Start(t.Context(), spec)
			if words == "no such device" {
				words = "no-such-device: no such file"
			}
			if err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %v", words, err)
			}
		}
		if os.Geteuid() != 0 {
			spec := site.spec("/bin/true")
			spec.User = "root"
			if _, err := s.Start(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "only root may") {
				t.Errorf("another user: %v", err)
			}
		}
	})
}

// Whatever has been started ends with the first process, and by Kill.
func TestTreeEnds(t *testing.T) {
	onEach(t, func(t *testing.T, s *Sandbox) {
		site := newSite(t)
		for name, sign := range map[string]string{"leave a child": "running", "leave a hidden child": "hidden"} {
			t.Run(name, func(t *testing.T) {
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				spec := site.actor(t, name)
				spec.Stdout = w
				p, err := s.Start(t.Context(), spec)
				_ = w.Close()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(p.Kill)
				readUntil(t, r, sign)
				p.Kill()
				p.Wait()
				readUntil(t, r, "") // the end: nobody has it any more
			})
		}
	})
}

// readUntil reads until a sign; without one, to the end.
func readUntil(t *testing.T, r *os.File, sign string) {
	t.Helper()
	if err := r.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var text []byte
	block := make([]byte, 4096)
	for {
		n, err := r.Read(block)
		text = append(text, block[:n]...)
		if sign != "" && strings.Contains(string(text), sign) {
			return
		}
		if err != nil {
			if sign != "" || os.IsTimeout(err) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
	}
}

// A function that wants more memory than it may have ends, alone, and says so.
func TestMemory(t *testing.T) {
	onEach(t, func(t *testing.T, s *Sandbox) {
		site := newSite(t)
		for _, name := range []string{"eat memory", "eat memory that it shares", "eat memory in children"} {
			t.Run(name, func(t *testing.T) {
				begin := time.Now()
				p, output := start(t, s, withMemory(site.actor(t, name), 64<<20))
				exit := p.Wait()
				output()
				if exit.String() != "ran out of its 64 MiB of memory" {
					t.Errorf("%v", exit)
				}
				t.Logf("after %v", time.Since(begin).Round(time.Millisecond))
			})
		}
		t.Run("eat memory in a file", func(t *testing.T) {
			if said, exit := run(t, s, withMemory(site.actor(t, "eat memory in a file"), 64<<20)); !exit.OOM && !strings.Contains(said, "refused") {
				t.Errorf("%s %v", said, exit)
			}
		})
	})
}

func withMemory(spec Spec, memory int64) Spec {
	spec.Memory = memory
	return spec
}

// A function that forks for ever is stopped by its limit or ended, and gone
// when it is killed.
func TestFork(t *testing.T) {
	onEach(t, func(t *testing.T, s *Sandbox) {
		site := newSite(t)
		spec := site.actor(t, "fork")
		spec.Processes = 40
		p, output := start(t, s, spec)
		limit := time.AfterFunc(time.Second, p.Kill)
		defer limit.Stop()
		exit := p.Wait()
		output()
		t.Log(exit)
		for pid := range census() {
			if slices.Contains(commandOf(pid), "fork again") {
				t.Errorf("process %d is still there", pid)
			}
		}
	})
}

func commandOf(pid int) []string {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return strings.Split(string(text), "\x00")
}

// A function gets no descriptor and no variable of the gateway's.
func TestNothingLeaks(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	leak, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer leak.Close()
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, leak.Fd(), syscall.F_SETFD, 0); errno != 0 {
		t.Fatal(errno) // as one that a library has opened carelessly
	}
	onEach(t, func(t *testing.T, s *Sandbox) {
		site := newSite(t)
		if said, _ := run(t, s, site.actor(t, "show descriptors")); !strings.Contains(said, "0 /dev/null") || strings.Contains(said, "/etc/passwd") {
			t.Errorf("the descriptors are\n%s", said)
		}
		if said, _ := run(t, s, site.actor(t, "show environment")); strings.Contains(said, "NOTIFY_SOCKET") || strings.Count(said, "\n") != 4 {
			t.Errorf("the environment is\n%s", said)
		}
	})
}

// A process is known to belong to a tree, or not.
func TestOwns(t *testing.T) {
	onEach(t, func(t *testing.T, s *Sandbox) {
		site := newSite(t)
		p, _ := start(t, s, site.spec("/bin/sh", "-c", "sleep 100 & sleep 100"))
		other, _ := start(t, s, site.actor(t, "never end"))
		deadline := time.Now().Add(time.Minute)
		for len(p.tree()) < 3 {
			if time.Now().After(deadline) {
				t.Fatalf("the tree is %v", p.tree())
			}
		}
		for _, pid := range p.tree() {
			if !p.Owns(pid) || other.Owns(pid) {
				t.Errorf("process %d: %v %v", pid, p.Owns(pid), other.Owns(pid))
			}
		}
		if p.Owns(os.Getpid()) || p.Owns(1) {
			t.Error("it owns the gateway")
		}
	})
}

// What a tree has written into files that have no name any more is found.
func TestUnlinked(t *testing.T) {
	onEach(t, func(t *testing.T, s *Sandbox) {
		site := newSite(t)
		spec := site.spec("/bin/sh", "-c", "exec 3>$TMPDIR/x; rm $TMPDIR/x; head -c 3000000 /dev/zero >&3; sleep 100 & sleep 100")
		info, err := os.Stat(spec.Scratch)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := start(t, s, spec)
		device := info.Sys().(*syscall.Stat_t).Dev
		for deadline := time.Now().Add(time.Minute); p.Unlinked(device) < 3_000_000; {
			if time.Now().After(deadline) {
				t.Fatalf("%d bytes are found", p.Unlinked(device))
			}
		}
		if n := p.Unlinked(device); n > 4_000_000 {
			t.Errorf("%d bytes are found, which two processes share", n)
		}
		if n := p.Unlinked(device + 1); n != 0 {
			t.Errorf("%d bytes are found on another device", n)
		}
	})
}
