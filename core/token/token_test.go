package token_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greengate/core/token"
	"greengate/core/token/module"
	"greengate/core/token/tokentest"
)

// TestMain is greengate-token, when a test runs its own program as that: without arguments, which
// go test always gives.
func TestMain(m *testing.M) {
	if os.Getenv("TOKEN_PROGRAM") == "" || len(os.Args) > 1 {
		os.Setenv("TOKEN_PROGRAM", "1")
		os.Exit(m.Run())
	}
	if err := module.Serve(os.Stdin, os.Stdout); err != nil {
		os.Exit(2)
	}
}

// imported makes a key, moves it into the token, and returns what is public of it.
func imported(t *testing.T, h *tokentest.HSM, label, id string, key crypto.Signer) crypto.PublicKey {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), label)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	h.Import(file, label, id)
	return key.Public()
}

func newECDSA(t *testing.T, c elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSA(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func open(t *testing.T, uri string) *token.Key {
	t.Helper()
	k, err := token.New(uri, os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// fails asks for a signer and wants an *Error that says want.
func fails(t *testing.T, k *token.Key, public crypto.PublicKey, absent bool, want string) {
	t.Helper()
	_, err := k.Signer(t.Context(), public)
	var told *token.Error
	if !errors.As(err, &told) || told.Absent != absent || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v (%T), want %q, absent %v", err, err, want, absent)
	}
	if err != nil && strings.Contains(err.Error(), tokentest.PIN) {
		t.Errorf("the error has the PIN: %v", err)
	}
}

// Every kind of key makes every kind of signature that TLS asks of it.
func TestSigns(t *testing.T) {
	h := tokentest.New(t)
	h.Use(t)
	d256, d384 := sha256.Sum256([]byte("x")), sha512.Sum384([]byte("x"))
	pss := func(hash crypto.Hash) crypto.SignerOpts {
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	for _, c := range []struct {
		label, id string
		key       crypto.Signer
		digest    []byte
		opts      crypto.SignerOpts
	}{
		{"p256", "01", newECDSA(t, elliptic.P256()), d256[:], crypto.SHA256},
		{"p384", "02", newECDSA(t, elliptic.P384()), d384[:], crypto.SHA384},
		{"rsa-pss", "03", newRSA(t), d256[:], pss(crypto.SHA256)},
		{"rsa-pss-384", "04", newRSA(t), d384[:], pss(crypto.SHA384)},
		{"rsa-pkcs1", "05", newRSA(t), d256[:], crypto.SHA256},
	} {
		t.Run(c.label, func(t *testing.T) {
			public := imported(t, h, c.label, c.id, c.key)
			s, err := open(t, h.URI(c.label)).Signer(t.Context(), public)
			if err != nil {
				t.Fatal(err)
			}
			signature, err := s.Sign(nil, c.digest, c.opts)
			if err != nil || !token.Verify(public, c.digest, signature, c.opts) {
				t.Errorf("%v", err)
			}
		})
	}
}

// What is wrong is told so that a person can mend it.
func TestSaysWhatIsWrong(t *testing.T) {
	h := tokentest.New(t)
	h.Use(t)
	public := imported(t, h, "core", "01", newECDSA(t, elliptic.P256()))
	other, ofRSA := newECDSA(t, elliptic.P256()).Public(), newRSA(t).Public()
	imported(t, h, "twin", "02", newECDSA(t, elliptic.P256()))
	imported(t, h, "twin", "03", newECDSA(t, elliptic.P256()))
	for _, c := range []struct {
		name, uri string
		public    crypto.PublicKey
		absent    bool
		want      string
	}{
		{"another's certificate", h.URI("core"), other, false, `the key "core" of the token "greengate" does not belong to the certificate`},
		{"certificate of another kind", h.URI("core"), ofRSA, false, `of another kind than that of the certificate`},
		{"no such key", h.URI("cor"), public, false, `the token "greengate" has no private key "cor"`},
		{"two keys", h.URI("twin"), public, false, `more than one private key "twin" (add id=`},
		{"no such token", strings.Replace(h.URI("core"), "token=greengate", "token=other", 1), public, true, `the token "other" is not there (there are: "greengate")`},
		{"no module", h.URIThrough("/usr/lib/none.so", "core"), public, true, "the module cannot be read"},
		{"a module that is none", h.URIThrough("/etc/passwd", "core"), public, true, "/etc/passwd is no PKCS#11 module"},
		{"no PIN", strings.Split(h.URI("core"), "&")[0], public, false, `wants a PIN (add ?pin-source=`},
		{"no file of the PIN", h.URI("core") + "x", public, true, "read the PIN: open "},
	} {
		t.Run(c.name, func(t *testing.T) { fails(t, open(t, c.uri), c.public, c.absent, c.want) })
	}
	h.SetPIN("")
	fails(t, open(t, h.URI("core")), public, false, "is empty")
}

// A token that was pulled out is used again when it is back.
func TestUnplugged(t *testing.T) {
	h := tokentest.New(t)
	h.Use(t)
	public := imported(t, h, "core", "01", newECDSA(t, elliptic.P256()))
	k := open(t, h.URI("core"))
	s, err := k.Signer(t.Context(), public)
	if err != nil {
		t.Fatal(err)
	}
	h.Unplug()
	digest := sha256.Sum256(nil)
	if _, err := s.Sign(nil, digest[:], crypto.SHA256); err == nil {
		t.Error("a token that is away signs")
	}
	fails(t, k, public, true, `the token "greengate" is not there`)
	h.Plug()
	if s, err = k.Signer(t.Context(), public); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(nil, digest[:], crypto.SHA256); err != nil {
		t.Error(err)
	}
}

// A wrong PIN is tried once, even when the file is mended; a new start tries again.
func TestWrongPINIsTriedOnce(t *testing.T) {
	h := tokentest.New(t)
	h.Use(t)
	public := imported(t, h, "core", "01", newECDSA(t, elliptic.P256()))
	module, env, calls := h.Spy()
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	h.SetPIN("wrong-pin")
	k := open(t, h.URIThrough(module, "core"))
	for range 5 {
		fails(t, k, public, false, "does not take the PIN in "+h.PINFile)
		h.SetPIN(tokentest.PIN)
	}
	text, err := os.ReadFile(calls)
	if n := strings.Count(string(text), "C_Login\n"); err != nil || n != 1 {
		t.Errorf("the token was asked %d times to take a PIN, want once (%v)", n, err)
	}
	if _, err := open(t, h.URIThrough(module, "core")).Signer(t.Context(), public); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// A module that never returns holds nobody for longer than the limit, and is killed.
func TestModuleThatHangs(t *testing.T) {
	hangs := tokentest.Hangs(t)
	k := open(t, "pkcs11:token=t;object=k?module-path="+hangs)
	k.Limit(50 * time.Millisecond)
	public := newECDSA(t, elliptic.P256()).Public()
	for range 3 {
		fails(t, k, public, true, `the token "t" has not answered within 50ms`)
	}
	k.Limit(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := k.Signer(ctx, public); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody wants it any more: %v", err)
	}
}

// Without the program, or with another one, that is said.
func TestProgramIsMissing(t *testing.T) {
	for program, want := range map[string]string{
		"/nowhere/greengate-token": "/nowhere/greengate-token is missing (it comes with the package",
		"/bin/true":                "gave no answer",
		"/bin/false":               "ended: exit status 1",
	} {
		k, err := token.New("pkcs11:token=t;object=k", program)
		if err != nil {
			t.Fatal(err)
		}
		fails(t, k, newECDSA(t, elliptic.P256()).Public(), true, want)
	}
}
