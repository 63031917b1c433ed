// Package tokentest makes PKCS#11 tokens for tests, with Debian's softhsm2. Where that is not
// installed a test is skipped. Tests of any room may import it.
package tokentest

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Module is SoftHSM's.
const Module = "/usr/lib/softhsm/libsofthsm2.so"

// PIN is that of every token.
const PIN = "a-pin-that-nobody-tells"

// HSM is a SoftHSM of a test's own, with one token.
type HSM struct {
	t       testing.TB
	dir     string
	Token   string // its label
	PINFile string // mode 0600
}

// New makes a token that is called greengate.
func New(t testing.TB) *HSM {
	t.Helper()
	if _, err := exec.LookPath("softhsm2-util"); err != nil {
		t.Skip("softhsm2 is not installed")
	}
	h := &HSM{t: t, dir: t.TempDir(), Token: "greengate"}
	h.PINFile = filepath.Join(h.dir, "pin")
	h.SetPIN(PIN)
	if err := os.Mkdir(h.tokens(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.conf(), []byte("directories.tokendir = "+h.tokens()+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.run("--init-token", "--free", "--label", h.Token, "--so-pin", "12345678", "--pin", PIN)
	return h
}

func (h *HSM) tokens() string { return filepath.Join(h.dir, "tokens") }
func (h *HSM) conf() string   { return filepath.Join(h.dir, "softhsm2.conf") }

// Env is what tells a program of this token and of no other.
func (h *HSM) Env() string { return "SOFTHSM2_CONF=" + h.conf() }

// Use has this process see the token, too.
func (h *HSM) Use(t *testing.T) { t.Setenv("SOFTHSM2_CONF", h.conf()) }

// Import moves the private key in a PEM file (PKCS #8) into the token: afterwards the file
// is gone.
func (h *HSM) Import(file, label, id string) {
	h.t.Helper()
	h.run("--import", file, "--token", h.Token, "--label", label, "--id", id, "--pin", PIN)
	if err := os.Remove(file); err != nil {
		h.t.Fatal(err)
	}
}

// URI names a key of the token.
func (h *HSM) URI(label string) string { return h.URIThrough(Module, label) }

// URIThrough is URI with another module.
func (h *HSM) URIThrough(module, label string) string {
	return fmt.Sprintf("pkcs11:token=%s;object=%s;type=private?module-path=%s&pin-source=file:%s",
		url.PathEscape(h.Token), url.PathEscape(label), module, url.PathEscape(h.PINFile))
}

// SetPIN writes the file of the PIN.
func (h *HSM) SetPIN(pin string) {
	h.t.Helper()
	if err := os.WriteFile(h.PINFile, []byte(pin+"\n"), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// Unplug takes the token away, and Plug brings it back.
func (h *HSM) Unplug() {
	h.t.Helper()
	if err := errors.Join(os.Rename(h.tokens(), h.tokens()+".away"), os.Mkdir(h.tokens(), 0o700)); err != nil {
		h.t.Fatal(err)
	}
}

// Plug is the opposite of Unplug.
func (h *HSM) Plug() {
	h.t.Helper()
	if err := errors.Join(os.Remove(h.tokens()), os.Rename(h.tokens()+".away", h.tokens())); err != nil {
		h.t.Fatal(err)
	}
}

func (h *HSM) run(args ...string) {
	h.t.Helper()
	cmd := exec.Command("softhsm2-util", args...)
	cmd.Env = append(os.Environ(), h.Env())
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("softhsm2-util %s: %v\n%s", args[0], err, bytes.TrimSpace(out))
	}
}

// Spy makes every call of a program into PKCS#11 a line of the file that it returns, by the
// module pkcs11-spy of OpenSC, and returns that module and what to put into the environment.
// The file has the PIN in it.
func (h *HSM) Spy() (module string, env []string, calls string) {
	h.t.Helper()
	found, _ := filepath.Glob("/usr/lib/*/pkcs11-spy.so") // its pattern is right
	if len(found) == 0 {
		h.t.Skip("opensc-pkcs11 is not installed")
	}
	calls = filepath.Join(h.dir, "calls")
	return found[0], []string{"PKCS11SPY=" + Module, "PKCS11SPY_OUTPUT=" + calls}, calls
}

// hangs is a module whose C_Initialize never returns.
const hangs = `
#include <unistd.h>

static unsigned long initialize(void *args)
{
	for (;;)
		pause();
}

static struct {
	unsigned char version[2];
	void *functions[68];
} list = {{2, 40}, {(void *)initialize}};

unsigned long C_GetFunctionList(void **to)
{
	*to = &list;
	return 0;
}
`

// Hangs makes a module that never answers.
func Hangs(t testing.TB) (module string) {
	t.Helper()
	module = filepath.Join(t.TempDir(), "hangs.so")
	cmd := exec.Command("gcc", "-shared", "-fPIC", "-x", "c", "-o", module, "-")
	cmd.Stdin = strings.NewReader(hangs)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("a C compiler is missing: %v %s", err, out)
	}
	return module
}
