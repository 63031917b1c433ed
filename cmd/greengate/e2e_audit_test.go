package main_test

import (
	"crypto/tls"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// auditEntry is an entry of `greengate audit --json`.
type auditEntry struct {
	Event, By      string
	Added, Removed []string
}

func (s *site) audit() (entries []auditEntry) {
	s.t.Helper()
	var log struct {
		Whole   bool
		Entries []auditEntry
	}
	if err := json.Unmarshal([]byte(s.greengate("audit", "--json")), &log); err != nil || !log.Whole {
		s.t.Fatalf("audit: %v, %+v", err, log)
	}
	return log.Entries
}

// has tells whether a right that begins with prefix and contains text is in the list.
func has(rights []string, prefix, text string) bool {
	for _, r := range rights {
		if strings.HasPrefix(r, prefix) && strings.Contains(r, text) {
			return true
		}
	}
	return false
}

// TestAudit follows rights as they come and go: who asked is known where somebody asked, and
// what was changed behind the gateway's back is found at its next start.
func TestAudit(t *testing.T) {
	t.Parallel()
	s := newSite(t, "lamp")
	const secret = "a-password-that-nobody-may-read"
	if err := os.MkdirAll(filepath.Join(s.dir, "functions", "f"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.set([]any{map[string]any{"name": "f", "command": []string{"/bin/true"}, "environment": map[string]string{"PASSWORD": secret}}}, "functions")
	if said := s.fails(1, "audit"); !strings.Contains(said, "no audit log yet") {
		t.Errorf("before the first start: %s", said)
	}
	g := s.start()
	eventually(t, "the first entry", func() bool {
		info, err := os.Stat(filepath.Join(s.dir, "data", "audit.log"))
		return err == nil && info.Size() > 0 && len(s.audit()) == 1
	})
	first := s.audit()[0]
	if first.Event != "start" || !has(first.Added, "device ", "lamp") || !has(first.Added, "certificate sha256:", "lamp") ||
		!has(first.Added, "function ", "PASSWORD") || !has(first.Added, "key broker.listen", "127.0.0.1") {
		t.Errorf("first entry: %+v", first)
	}

	s.add("panel") // takes itself up
	s.rows(row{From: "lamp", Topic: "light/#", To: "panel"})
	g.reload()
	eventually(t, "the entry of SIGHUP", func() bool { return len(s.audit()) == 3 }) // it is written when the table is in force
	s.greengate("admin", "token")
	log := s.audit()
	if len(log) != 4 {
		t.Fatalf("entries: %+v", log)
	}
	me := "uid " + strconv.Itoa(os.Getuid())
	if e := log[1]; e.Event != "reload" || !strings.Contains(e.By, "control socket, "+me+", pid ") || !has(e.Added, "device ", "panel") || !has(e.Added, "certificate ", "panel") {
		t.Errorf("device add: %+v", e)
	}
	if e := log[2]; e.By != "SIGHUP" || !has(e.Added, "row ", "light/#") || len(e.Removed) != 0 {
		t.Errorf("SIGHUP: %+v", e)
	}
	if e := log[3]; e.Event != "admin token" || !strings.HasPrefix(e.By, me) || !has(e.Added, "admin token ", "...") {
		t.Errorf("admin token: %+v", e)
	}

	g.stop()
	s.rows()
	g = s.start()
	eventually(t, "the entry of the second start", func() bool { return len(s.audit()) == 5 })
	if e := s.audit()[4]; e.Event != "start" || e.By != "" || !has(e.Removed, "row ", "light/#") || len(e.Added) != 0 {
		t.Errorf("second start: %+v", e)
	}
	if text := read(t, filepath.Join(s.dir, "data", "audit.log")) + g.log.String(); strings.Contains(text, secret) {
		t.Error("the value of a function's environment is in the audit log or in the log")
	}

	// A value that waits for a restart gives no right yet.
	s.set("json", "log", "format")
	s.rows(row{From: "panel", Topic: "light/#", To: "lamp"})
	g.reload()
	eventually(t, "the entry of the reload", func() bool { return len(s.audit()) == 6 })
	if e := s.audit()[5]; len(e.Added) != 1 || len(e.Removed) != 0 || !has(e.Added, "row ", "light/#") {
		t.Errorf("reload with a key that waits for a restart: %+v", e)
	}

	// Somebody takes out the entry that gave a right.
	file := filepath.Join(s.dir, "data", "audit.log")
	lines := strings.SplitAfter(read(t, file), "\n")
	if err := os.WriteFile(file, []byte(lines[0]+lines[1]+strings.Join(lines[3:], "")), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, said, code := s.command("audit")
	if code != 2 || !strings.Contains(said, "the audit log is not whole") || !strings.Contains(stdout, "WRONG "+file+":3: entry 4 follows entry 2") {
		t.Errorf("exit code %d\n%s%s", code, stdout, said)
	}
	// The first two, so that the chain of the others holds; and all.
	for text, want := range map[string]string{
		strings.Join(lines[2:], ""): "WRONG " + file + ":1: the record begins with entry 3: those before it were taken out",
		"":                          "WRONG " + file + ": it has no entry",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if stdout, said, code := s.command("audit"); code != 2 || !strings.Contains(stdout, want) || strings.Contains(stdout, "is whole") {
			t.Errorf("exit code %d, want %q in\n%s%s", code, want, stdout, said)
		}
	}
}

// What changes while the log cannot be written is in it soon after it can, by who asked for it: what
// came and went again meanwhile, too, and not by the next who has the file read again.
func TestAuditOnAFullDisk(t *testing.T) {
	t.Parallel()
	s := newSite(t, "lamp")
	g := s.start()
	file := s.data("audit.log")
	eventually(t, "the first entry", func() bool {
		info, err := os.Stat(file)
		return err == nil && info.Size() > 0 && len(s.audit()) == 1
	})
	g.fileLimit(uint64(len(read(t, file))) + 10)
	s.add("panel")
	s.greengate("device", "remove", "panel")
	if f := g.faultsOf("audit"); len(f) != 1 || !strings.Contains(f[0].Message, "and 2 changes of rights wait") {
		t.Errorf("faults: %+v", f)
	}
	if entries := s.audit(); len(entries) != 1 {
		t.Errorf("without room: %+v", entries)
	}
	g.fileLimit(math.MaxUint64)
	s.greengate("reload")
	eventually(t, "no fault any more", func() bool { return len(g.faultsOf("audit")) == 0 })
	entries := s.audit()
	if len(entries) != 3 || !has(entries[1].Added, "device ", "panel") || !has(entries[2].Removed, "device ", "panel") ||
		!strings.HasPrefix(entries[1].By, "control socket, uid ") || entries[1].By == entries[2].By {
		t.Errorf("entries: %+v", entries)
	}
}

// What changes by itself, as a certificate whose successor was used, is nobody's doing: not that of
// the next who has the file read again.
func TestAuditOfACertificateThatRetires(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor")
	s.start()
	eventually(t, "the first entry", func() bool {
		info, err := os.Stat(s.data("audit.log"))
		return err == nil && info.Size() > 0 && len(s.audit()) == 1
	})
	fresh := filepath.Join(s.dir, "renewed")
	s.greengate("device", "renew", "sensor", "--out", fresh)
	renewed, err := tls.LoadX509KeyPair(filepath.Join(fresh, "sensor.cert.pem"), filepath.Join(fresh, "sensor.private.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.dial(renewed, "sensor"); err != nil {
		t.Fatalf("the renewed certificate: %v", err)
	}
	s.rows(row{From: "sensor", Topic: "room", To: "sensor"})
	s.greengate("reload")
	log := s.audit()
	if len(log) != 4 {
		t.Fatalf("entries: %+v", log)
	}
	if e := log[2]; e.Event != "found" || e.By != "" || len(e.Added) != 0 || !has(e.Removed, "certificate ", "sensor") {
		t.Errorf("the certificate: %+v", e)
	}
	if e := log[3]; e.Event != "reload" || len(e.Removed) != 0 || !has(e.Added, "row ", "room") {
		t.Errorf("the reload: %+v", e)
	}
}

// Who may not read the record learns nothing of its state. That `data` can be read of a file is enough.
func TestAuditWithoutTheRight(t *testing.T) {
	t.Parallel()
	s := newSite(t, "lamp")
	g := s.start()
	file := filepath.Join(s.dir, "data", "audit.log")
	eventually(t, "the first entry", func() bool {
		info, err := os.Stat(file)
		return err == nil && info.Size() > 0 && len(s.audit()) == 1
	})
	g.stop()
	if err := os.WriteFile(s.file, []byte(read(t, s.file)+"\nfaulty: true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if entries := s.audit(); len(entries) != 1 {
		t.Errorf("with a fault in the group file: %+v", entries)
	}
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	run := s.prepare("audit")
	if os.Geteuid() == 0 { // whom no mode of a file stops
		setpriv, err := exec.LookPath("setpriv")
		if err != nil {
			t.Skip("there is no setpriv here")
		}
		run.Path, run.Args = setpriv, append([]string{setpriv, "--bounding-set=-dac_override,-dac_read_search", run.Path}, run.Args[1:]...)
	}
	said, _ := run.CombinedOutput()
	if code := run.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(said), "permission denied (run as root)") {
		t.Errorf("exit code %d, %s", code, said)
	}
}
