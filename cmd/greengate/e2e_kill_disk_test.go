package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// readOnlyWrites is a library that refuses what SQLite writes for as long as a file is
// there: a card that the kernel has made read-only because of its errors.
const readOnlyWrites = `
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static int refused(void) {
	const char *file = getenv("E2E_READ_ONLY");
	if (!file || access(file, F_OK) != 0) return 0;
	errno = EROFS;
	return 1;
}
ssize_t pwrite64(int fd, const void *b, size_t n, off_t at) { return refused() ? -1 : syscall(SYS_pwrite64, fd, b, n, at); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t at) { return pwrite64(fd, b, n, at); }
ssize_t write(int fd, const void *b, size_t n) { return refused() ? -1 : syscall(SYS_write, fd, b, n); }
int ftruncate64(int fd, off_t n) { return refused() ? -1 : syscall(SYS_ftruncate, fd, n); }
int ftruncate(int fd, off_t n) { return ftruncate64(fd, n); }
`

// preload builds a C library and has the next gateways run with it.
func (s *site) preload(name, source string, env ...string) {
	s.t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		s.t.Skip("no gcc, which builds a library that stands between SQLite and the disk")
	}
	file, library := filepath.Join(s.dir, name+".c"), filepath.Join(s.dir, name+".so")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-shared", "-fPIC", "-o", library, file).CombinedOutput(); err != nil {
		s.t.Skipf("build the library: %v\n%s", err, out)
	}
	s.env = append(append(s.env, "LD_PRELOAD="+library), env...)
}

// A disk that turns read-only under the sessions: publishes for a device that is away
// are not acknowledged, all else goes on, and when it takes writes again they are.
func TestDiskTurnsReadOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t, "thermo", "hygro", "away", "sensor", "display")
	s.rows(row{From: "sensor", Topic: talkRow, To: "display"}, row{From: []string{"thermo", "hygro"}, Topic: "for/#", To: "away"})
	readOnly := filepath.Join(s.dir, "read-only")
	s.preload("read-only", readOnlyWrites, "E2E_READ_ONLY="+readOnly)
	g := s.start()
	away := s.connect("away", kept)
	away.subscribe("for/#")
	away.leave()
	thermo, w := s.connect("thermo"), s.talk()
	thermo.publish("for/a", "0")

	if err := os.WriteFile(readOnly, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	acked := make(chan string, 100)
	publish := func(d *device, text string, retain bool) {
		go func() {
			answer, err := d.Publish(t.Context(), &paho.Publish{Topic: "for/" + text, Payload: []byte(text), QoS: 1, Retain: retain})
			if err == nil && answer.ReasonCode < 0x80 {
				acked <- text
			}
		}()
	}
	publish(thermo, "a", false)
	publish(s.connect("hygro"), "b", true)
	eventually(t, "a fault tells of the sessions", func() bool { return len(g.faultsOf("broker")) > 0 })
	w.lively(50, time.Second)
	// Who subscribes to be kept is served, if not safe.
	late := s.connect("display", kept)
	late.subscribe(talkRow)
	if got := len(acked); got != 0 {
		t.Errorf("%d publishes are acknowledged that are not on disk", got)
	}
	g.balanced()

	if err := os.Remove(readOnly); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		await(t, "the publishes are acknowledged", acked)
	}
	eventually(t, "the fault is gone", func() bool { return len(g.faultsOf("broker")) == 0 })
	g.die()
	s.start()
	away = s.connect("away", kept)
	if !away.connack.SessionPresent {
		t.Fatal("the session is gone")
	}
	away.hears("for/a", "0")
	got := map[string]bool{}
	for range 2 {
		got[string(away.next().Payload)] = true
	}
	if fmt.Sprint(got) != "map[a:true b:true]" {
		t.Errorf("heard %v", got)
	}
}
