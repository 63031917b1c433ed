package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"greengate/core/token/tokentest"
)

// The core's key in a PKCS#11 token: SoftHSM's.

// tokenProgram builds greengate-token once, beside greengate.
var tokenProgram = sync.OnceValue(func() error {
	path, err := program()
	if err != nil {
		return err
	}
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(filepath.Dir(path), "greengate-token"), "../greengate-token").CombinedOutput(); err != nil {
		return fmt.Errorf("build greengate-token: %w\n%s", err, out)
	}
	return nil
})

// newTokenSite is a site with a cloud, whose core's key is in a token and in no file. Nothing
// runs yet. Two devices talk here and to the cloud.
func newTokenSite(t *testing.T) (*cloudSite, *tokentest.HSM) {
	t.Helper()
	h := tokentest.New(t)
	if err := tokenProgram(); err != nil {
		t.Fatal(err)
	}
	s := newCloudSite(t, "lamp", "panel")
	h.Import(filepath.Join(s.dir, "pki", "e2e_Core.private.key"), "core", "01")
	s.set(h.URI("core"), "cloud", "key")
	s.set("debug", "log", "level")
	s.rows(row{From: "lamp", Topic: "light/#", To: "panel"}, toCloud)
	s.env = append(s.env, h.Env())
	return s, h
}

// serves proves that the site works, whatever the cloud does.
func (s *cloudSite) serves(what string) {
	s.t.Helper()
	panel := s.connect("panel")
	panel.subscribe("light/#")
	s.connect("lamp").publish("light/on", what)
	panel.hears("light/on", what)
}

// tells waits for a fault of the cloud with these words.
func (g *gateway) tells(words string) {
	g.t.Helper()
	eventually(g.t, "a fault says "+words, func() bool { return strings.Contains(fmt.Sprint(g.status().Faults), words) })
}

// The gateway is itself for the cloud by a key that it cannot read. A token that is pulled out is
// told, once in the log; the site works without, and the cloud is back when the token is.
func TestKeyInToken(t *testing.T) {
	t.Parallel()
	s, h := newTokenSite(t)
	g := s.start()
	s.connect("lamp").measure(1, 10)
	s.arrived(map[string]int{"lamp": 10})
	said := s.greengate("check") + s.greengate("check", "--print")

	h.Unplug()
	s.cloud.Cut("e2e_Core", true)
	g.tells(`the token "greengate" is not there`)
	s.serves("without the token")
	s.connect("lamp").measure(11, 20)
	_, warning, code := s.command("check")
	if code != 0 || !strings.Contains(warning, `: warning: cloud.key: the key was not tried: the token "greengate" is not there`) {
		t.Errorf("check: exit code %d, %s", code, warning)
	}
	diagnosis, _, _ := s.command("doctor")
	if !strings.Contains(diagnosis, `the token "greengate" is not there`) {
		t.Errorf("doctor says nothing of the token:\n%s", diagnosis)
	}

	h.Plug()
	g.reload() // which ends the wait for the next attempt
	s.arrived(map[string]int{"lamp": 20})
	eventually(t, "the fault is gone", func() bool { return !strings.Contains(fmt.Sprint(g.status().Faults), "token") })
	said += warning + diagnosis + s.greengate("status", "--json") + s.greengate("audit")
	g.stop()
	if n := strings.Count(g.log.String(), `msg="Not connected to the cloud"`); n < 1 || n > 2 { // the cut, and the token
		t.Errorf("the log told %d times of the cloud", n)
	}
	if strings.Contains(said+g.log.String(), tokentest.PIN) {
		t.Error("the PIN was told")
	}
}

// A PIN that is wrong costs the token one try for each start, whatever happens, and the
// site nothing.
func TestTokenWithWrongPIN(t *testing.T) {
	t.Parallel()
	s, h := newTokenSite(t)
	module, env, calls := h.Spy()
	s.env = append(s.env, env...)
	s.set(h.URIThrough(module, "core"), "cloud", "key")
	h.SetPIN("not-the-pin")
	g := s.start()
	const refused = `the token "greengate" does not take the PIN in `
	g.tells(refused + h.PINFile)
	s.serves("with a wrong PIN")
	for range 2 { // each has the link try again
		g.reload()
	}
	eventually(t, "the link tried again", func() bool { return g.status().Cloud.Attempts >= 3 })
	if n := strings.Count(read(t, calls), "C_Login\n"); n != 1 {
		t.Errorf("the token was asked %d times to take a PIN, want once", n)
	}
	if _, told, code := s.command("check"); code != 0 || !strings.HasPrefix(told, "greengate: "+s.file+":") || !strings.Contains(told, ": warning: cloud.key: "+refused) {
		t.Errorf("check: exit code %d, %s", code, told)
	}
	g.stop()
	if strings.Contains(g.log.String(), "not-the-pin") {
		t.Error("the log has the PIN")
	}

	h.SetPIN(tokentest.PIN)
	g = s.start()
	eventually(t, "the cloud is there", func() bool { return g.status().Cloud.Connected })
}

// A certificate for another key is found before anything is in force.
func TestTokenHasAnotherKey(t *testing.T) {
	t.Parallel()
	s, _ := newTokenSite(t)
	files, err := s.cloud.Files(t.TempDir(), "e2e_Core")
	if err != nil {
		t.Fatal(err)
	}
	s.set(files.Certificate, "cloud", "certificate")
	if _, told, _ := s.command("check"); !strings.Contains(told, `: warning: cloud.key: the key "core" of the token "greengate" does not belong to the certificate`) {
		t.Errorf("check says %s", told)
	}
}

// A token that hangs for ever stops neither the site nor the end of the gateway.
func TestTokenThatHangs(t *testing.T) {
	t.Parallel()
	module := tokentest.Hangs(t)
	if err := tokenProgram(); err != nil {
		t.Fatal(err)
	}
	s := newCloudSite(t, "lamp", "panel")
	if err := os.Remove(filepath.Join(s.dir, "pki", "e2e_Core.private.key")); err != nil {
		t.Fatal(err)
	}
	s.set("pkcs11:token=t;object=k?module-path="+module, "cloud", "key")
	s.rows(row{From: "lamp", Topic: "light/#", To: "panel"})
	s.start()
	s.serves("with a token that hangs")
}
