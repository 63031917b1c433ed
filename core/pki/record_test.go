package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestIssue(t *testing.T) {
	a := newAuthority(t, at(today))
	c := issue(t, a, "GG_Switch:1-a")
	cert := parse(t, c.CertPEM)
	c.pair(t) // key and certificate belong together

	if cert.Subject.CommonName != "GG_Switch:1-a" {
		t.Errorf("common name %q", cert.Subject.CommonName)
	}
	if len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
		t.Errorf("extended key usage %v", cert.ExtKeyUsage)
	}
	if cert.NotBefore.Unix() != 0 || cert.NotAfter.Year() != 9999 {
		t.Errorf("valid from %s to %s", cert.NotBefore, cert.NotAfter)
	}
	if len(cert.SubjectKeyId) == 0 || !bytes.Equal(cert.AuthorityKeyId, a.root.SubjectKeyId) {
		t.Errorf("key identifiers %x of %x", cert.SubjectKeyId, cert.AuthorityKeyId)
	}
	if cert.SerialNumber.BitLen() < 64 {
		t.Errorf("serial number %x is not random enough", cert.SerialNumber)
	}
	if other := parse(t, issue(t, a, "GG_Other").CertPEM); sameKey(c.pair(t).PrivateKey.(crypto.Signer), other.PublicKey) {
		t.Error("two devices have the same key")
	}

	path := filepath.Join(a.dir, "issued", "GG_Switch:1-a", c.Fingerprint+".pem")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, c.CertPEM) {
		t.Error("the record does not hold the certificate")
	}
	// The private key is nowhere in the folder.
	secret := bytes.Split(c.KeyPEM, []byte("\n"))[1]
	err = filepath.Walk(a.dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			text, _ := os.ReadFile(path)
			if bytes.Contains(text, secret) {
				t.Errorf("%s keeps the device's private key", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNamesThatAreNoThings(t *testing.T) {
	a := newAuthority(t, at(today))
	for _, thing := range []string{"", ".", "..", "a/b", "../x", "a.b", "a b", "ä", strings.Repeat("x", 129)} {
		if _, err := a.Issue(thing); err == nil {
			t.Errorf("Issue(%q) made a certificate", thing)
		}
		if _, err := a.Withdraw(thing); err == nil {
			t.Errorf("Withdraw(%q) did something", thing)
		}
		if _, err := a.Issued(thing); err == nil {
			t.Errorf("Issued(%q) read something", thing)
		}
		if _, err := a.Identities([]Device{{Thing: thing}}, nil); err == nil {
			t.Errorf("Identities took the device %q", thing)
		}
	}
	if _, err := os.Stat(filepath.Join(a.dir, "root-ca.key")); err != nil {
		t.Error(err)
	}
}

// TestIssuedOrder: the order is that of issuing, whatever the clock did.
func TestIssuedOrder(t *testing.T) {
	h := &hands{now: today}
	a := newAuthority(t, h.clock())
	var want []string
	for _, now := range []time.Time{today, time.Unix(100, 0), today.AddDate(20, 0, 0), time.Unix(50, 0)} {
		h.set(now)
		want = append(want, issue(t, a, "GG_Switch").Fingerprint)
	}
	got, err := a.Issued("GG_Switch")
	if err != nil || len(got) != len(want) {
		t.Fatalf("Issued = %v, %v", got, err)
	}
	for n, is := range got {
		if is.Fingerprint != want[n] {
			t.Errorf("certificate %d is not the one that was issued then", n)
		}
	}
	if !got[0].At.Equal(today) || got[0].Serial == "" || got[0].Serial == got[1].Serial {
		t.Errorf("Issued[0] = %+v, [1] = %+v", got[0], got[1])
	}
	if none, err := a.Issued("GG_Unknown"); err != nil || len(none) != 0 {
		t.Errorf("Issued of a thing without = %v, %v", none, err)
	}
}

func TestWithdraw(t *testing.T) {
	a := newAuthority(t, at(today))
	issue(t, a, "GG_Switch")
	issue(t, a, "GG_Switch")
	issue(t, a, "GG_Other")
	if n, err := a.Withdraw("GG_Switch"); n != 2 || err != nil {
		t.Errorf("Withdraw = %d, %v; want 2", n, err)
	}
	if n, err := a.Withdraw("GG_Switch"); n != 0 || err != nil {
		t.Errorf("a second Withdraw = %d, %v; want 0", n, err)
	}
	if left, _ := a.Issued("GG_Other"); len(left) != 1 {
		t.Errorf("of another thing %d are left; want 1", len(left))
	}
}

func TestTooManyUnused(t *testing.T) {
	a := newAuthority(t, at(today))
	for range maxOnRecord {
		issue(t, a, "GG_Switch")
	}
	if _, err := a.Issue("GG_Switch"); err == nil || !strings.Contains(err.Error(), "device remove GG_Switch") {
		t.Errorf("one more: %v", err)
	}
}

// TestPowerCutLeavings: a file that was not finished is no certificate and in
// nobody's way.
func TestPowerCutLeavings(t *testing.T) {
	a := newAuthority(t, at(today))
	c := issue(t, a, "GG_Switch")
	dir := filepath.Join(a.dir, "issued", "GG_Switch")
	for _, name := range []string{tempPrefix + "123", strings.Repeat("g", 64) + ".pem", strings.ToUpper(c.Fingerprint) + ".pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), c.CertPEM[:40], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	i := identities(t, a, nil, Device{Thing: "GG_Switch"})
	wantThing(t, i, parse(t, c.CertPEM), "GG_Switch")
	if n, err := a.Withdraw("GG_Switch"); n != 1 || err != nil {
		t.Errorf("Withdraw = %d, %v; want 1", n, err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

// TestOwner: `sudo greengate device add` must leave files that the daemon's user
// can remove.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	a := newAuthority(t, at(today))
	const daemon = 12345
	for _, path := range []string{a.dir, filepath.Join(a.dir, "issued")} {
		if err := os.Chown(path, daemon, daemon); err != nil {
			t.Fatal(err)
		}
	}
	c := issue(t, a, "GG_Switch")
	dir := filepath.Join(a.dir, "issued", "GG_Switch")
	for _, path := range []string{dir, filepath.Join(dir, c.Fingerprint+".pem")} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != daemon {
			t.Errorf("%s belongs to %d; want %d", path, uid, daemon)
		}
	}
}

// Who may not read the private keys can still see what is on record, and the clock.
func TestRecordNeedsNoKey(t *testing.T) {
	a := newAuthority(t, at(today))
	issued, err := a.Issue("lamp")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{rootKeyFile, serverKeyFile} {
		if err := os.Remove(filepath.Join(a.dir, key)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := OpenRecord(a.dir, at(today))
	if err != nil {
		t.Fatal(err)
	}
	list, err := r.Issued("lamp")
	if err != nil || len(list) != 1 || list[0].Fingerprint != issued.Fingerprint {
		t.Errorf("on record is %+v, %v", list, err)
	}
	if _, _, plausible := r.Time(); !plausible {
		t.Error("the clock is not believed")
	}
}
