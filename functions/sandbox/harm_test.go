package sandbox

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Each of these acts would harm the gateway, whose user the function has, or
// the machine.
func TestHarm(t *testing.T) {
	onEach(t, func(t *testing.T, s *Sandbox) {
		site := newSite(t)
		listen(t, site)
		all := onFiles(site)
		maps.Copy(all, onProcesses(site))
		tryEach(t, s, site, all)
		if text, err := os.ReadFile(site.key); err != nil || string(text) != "PRIVATE KEY" {
			t.Errorf("the key is now %q (%v)", text, err)
		}
	})
}

// Where nothing closes files, it is said; and all else is closed.
func TestHarmWithOpenFiles(t *testing.T) {
	s := newSandbox(t, bare)
	if missing := s.Confinement().Missing; len(missing) == 0 || !strings.Contains(missing[0], "can open every file") {
		t.Errorf("it says %q", missing)
	}
	site := newSite(t)
	listen(t, site)
	tryEach(t, s, site, onProcesses(site))
}

// listen opens the control socket of the site, and one without a file.
func listen(t *testing.T, site site) {
	t.Helper()
	for _, name := range []string{site.socket, abstract} {
		listener, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
	}
}

var abstract = "@greengate-sandbox-" + strconv.Itoa(os.Getpid())

// tryEach tries acts, which all have to be refused. What follows a bar in a
// name is for the reader.
func tryEach(t *testing.T, s *Sandbox, site site, acts map[string][]string) {
	for act, args := range acts {
		t.Run(act, func(t *testing.T) {
			name, _, _ := strings.Cut(act, "|")
			if said, exit := run(t, s, site.actor(t, name, args...)); exit.Code != 0 || exit.Signal != 0 {
				t.Errorf("the function: %s, %v", said, exit)
			} else {
				t.Log(strings.TrimSpace(said))
			}
		})
	}
}

func ofGateway(file string) string { return fmt.Sprintf("/proc/%d/%s", os.Getpid(), file) }

func onFiles(site site) map[string][]string {
	return map[string][]string{
		"read a file":                 {site.key},
		"read a file by a link":       {site.key},
		"list a folder":               {filepath.Dir(site.key)},
		"write a file":                {filepath.Join(site.data, "spool.db")},
		"write a file|new":            {filepath.Join(site.data, "new")},
		"write a file|its own code":   {filepath.Join(site.function, "code")},
		"open for writing|settings":   {"/etc/hosts"},
		"open for writing|the kernel": {"/proc/sys/kernel/core_pattern"},
		"open for writing|its chance": {ofGateway("oom_score_adj")},
		"remove a file":               {site.key},
		"hard link":                   {site.key},
		"read a file|passwords":       {"/etc/shadow"},
		"open for reading|memory":     {"/dev/mem"},
		"open for reading|messages":   {"/dev/kmsg"},
	}
}

func onProcesses(site site) map[string][]string {
	secret := int64(0x0123456789) // in this process's memory
	numbers := []string{strconv.Itoa(os.Getpid()), strconv.Itoa(unix.Getpgrp()), fmt.Sprint(uintptr(unsafe.Pointer(&secret)))}
	acts := map[string][]string{
		"read a file|through its root":      {ofGateway("root" + site.key)},
		"read a link":                       {ofGateway("fd/0")},
		"open for reading|its memory":       {ofGateway("mem")},
		"open for reading|its environment":  {ofGateway("environ")},
		"connect to a unix socket":          {site.socket},
		"connect to a unix socket|abstract": {abstract},
	}
	for _, act := range []string{"kill", "kill its group", "kill all", "kill, disguised", "kill, signed", "tgkill", "tkill",
		"signal by descriptor", "signal with a message", "ptrace", "read its memory", "its limits", "its priority", "its processors"} {
		acts[act] = numbers
	}
	for _, act := range []string{"netlink", "raw packets", "pair of datagram sockets", "user namespace", "user namespace by clone",
		"mount", "io_uring", "keys", "a right of root's"} {
		acts[act] = nil
	}
	return acts
}

// Without the sandbox the acts work: the test above would see it.
func TestHarmWithoutSandbox(t *testing.T) {
	site := newSite(t)
	t.Setenv("TMPDIR", site.scratch)
	gateway := strconv.Itoa(os.Getpid())
	for act, args := range map[string][]string{
		"read a file": {site.key}, "list a folder": {filepath.Dir(site.key)}, "read a file by a link": {site.key}, "hard link": {site.key},
		"kill": {gateway}, "kill, disguised": {gateway}, "kill, signed": {gateway}, "tgkill": {gateway}, "signal by descriptor": {gateway},
		"pair of datagram sockets": nil, "netlink": nil,
	} {
		if err := harmful[act](args); err != nil {
			t.Errorf("%s: %v", act, err)
		}
	}
}
