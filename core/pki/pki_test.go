package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// today is a plausible time for every test that does not care.
var today = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// hands is a clock that a test can set.
type hands struct {
	mu  sync.Mutex
	now time.Time
}

func (h *hands) set(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = now
}

func (h *hands) clock() Clock {
	return Clock{Now: func() time.Time {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.now
	}}
}

func at(now time.Time) Clock { return (&hands{now: now}).clock() }

// newAuthority makes a group of elliptic curve keys, which are quick to make.
func newAuthority(t testing.TB, c Clock) *Authority {
	t.Helper()
	a, err := Create(filepath.Join(t.TempDir(), "pki"), CreateOptions{Group: "home", Algorithm: P256, Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func reopen(t testing.TB, a *Authority, c Clock) *Authority {
	t.Helper()
	again, err := Open(a.dir, c)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func issue(t testing.TB, a *Authority, thing string) *Credential {
	t.Helper()
	c, err := a.Issue(thing)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func identities(t testing.TB, a *Authority, log *slog.Logger, devices ...Device) *Identities {
	t.Helper()
	i, err := a.Identities(devices, log)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func parse(t testing.TB, certPEM []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(certPEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// pair is what a client with this credential loads.
func (c *Credential) pair(t testing.TB) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(c.CertPEM, c.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// foreign makes a self-signed certificate that no CA of ours knows.
func foreign(t testing.TB, thing string, from, to time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: thing}, NotBefore: from, NotAfter: to,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}
}

// wantThing and wantRefusal state what a certificate amounts to.
func wantThing(t testing.TB, i *Identities, cert *x509.Certificate, thing string) {
	t.Helper()
	if got, err := i.Identify([]*x509.Certificate{cert}); err != nil || got != thing {
		t.Errorf("Identify = %q, %v; want %q", got, err, thing)
	}
}

func wantRefusal(t testing.TB, i *Identities, cert *x509.Certificate, reason string) *Refusal {
	t.Helper()
	got, err := i.Identify([]*x509.Certificate{cert})
	var r *Refusal
	if !errors.As(err, &r) || r.Reason != reason || got != "" {
		t.Errorf("Identify = %q, %v; want a refusal %s", got, err, reason)
		return &Refusal{}
	}
	return r
}

// journal is a log that a test can read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

func (j *journal) count(s string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Count(j.text.Bytes(), []byte(s))
}
