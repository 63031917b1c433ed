package main_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A gateway that is well is found well, however its page is served, and the look at it
// leaves no trace among those who were turned away.
func TestDoctorOfAHealthySite(t *testing.T) {
	t.Parallel()
	for scheme, host := range map[string]string{"http": "127.0.0.1", "https": "0.0.0.0"} {
		s := newSite(t, "lamp")
		s.set(freeAddress(t, host), "admin", "listen")
		g := s.start()
		said, complaint, code := s.command("doctor")
		if code != 0 || complaint != "" || !strings.HasSuffix(said, "\nall is well\n") || !strings.Contains(said, "ok     ports: admin answers on ") {
			t.Errorf("%s: exit code %d, %s%s", scheme, code, said, complaint)
		}
		if now := s.greengate("status"); strings.Contains(now, "\nrefused") || strings.Contains(now, "\nturned away") || !strings.Contains(now, "\nfaults: none") {
			t.Errorf("%s: it has left traces: %s", scheme, now)
		}
		g.stop()
	}
}

// as runs the program as another user, who may enter the folders of this test.
func (s *site) as(program string, uid, gid uint32, args ...string) (said string, code int) {
	s.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "GREENGATE_CONFIG="+s.file)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		s.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// A member of the group of the service may ask how all is, and needs no private key for it.
// Somebody else is told so in one line.
func TestDoctorForAMemberAndForAStranger(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root is somebody else")
	}
	const user, group, stranger = 47110, 47111, 47112
	built, err := program()
	if err != nil {
		t.Fatal(err)
	}
	open := t.TempDir()
	for dir := open; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copied := filepath.Join(open, "greengate")
	copyProgram(t, copied, built)

	s := newSite(t, "lamp")
	for dir := s.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.start()
	data := filepath.Join(s.dir, "data")
	for _, err := range []error{
		os.Chown(data, 0, group), os.Chmod(data, 0o750), os.Chown(filepath.Join(data, "greengate.sock"), 0, group),
		os.Chown(s.file, 0, group), os.Chmod(s.file, 0o640),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}

	said, code := s.as(copied, user, group, "device", "list")
	if code != 0 || !strings.Contains(said, "lamp") {
		t.Errorf("a member lists devices: exit code %d, %s", code, said)
	}
	said, code = s.as(copied, user, group, "doctor")
	if code != 0 || !strings.Contains(said, "all is well") || !strings.Contains(said, "ok     ports: mqtt answers") {
		t.Errorf("a member asks the doctor: exit code %d, %s", code, said)
	}
	const want = " is not for this user to use\n         next: run it as root, or as a member of the group 47111\ngreengate: 1 thing wrong\n"
	said, code = s.as(copied, stranger, stranger, "doctor")
	if code != 1 || said != "WRONG  rights: "+s.file+want {
		t.Errorf("a stranger asks the doctor: exit code %d, %s", code, said)
	}
	if err := os.Chmod(s.file, 0o644); err != nil {
		t.Fatal(err)
	}
	said, code = s.as(copied, stranger, stranger, "doctor")
	if code != 1 || !strings.HasSuffix(said, "WRONG  rights: "+data+want) || strings.Count(said, "WRONG") != 1 {
		t.Errorf("a stranger who may read the file: exit code %d, %s", code, said)
	}
}

func copyProgram(t *testing.T, to, from string) {
	t.Helper()
	r, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err == nil {
		_, err = io.Copy(w, r)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
}
