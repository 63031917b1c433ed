package pki

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestCreate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "pki")
	a, err := Create(dir, CreateOptions{Group: "home", Algorithm: P256, Clock: at(today)})
	if err != nil {
		t.Fatal(err)
	}
	root := parse(t, a.RootPEM())
	if !strings.Contains(root.Subject.CommonName, "home") {
		t.Errorf("the CA's name %q does not name the group", root.Subject.CommonName)
	}
	if root.SignatureAlgorithm != x509.ECDSAWithSHA256 || !root.IsCA {
		t.Errorf("signature %s, CA %v", root.SignatureAlgorithm, root.IsCA)
	}
	for name, mode := range map[string]fs.FileMode{"root-ca.pem": 0o644, "root-ca.key": 0o600, "server.key": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v; want mode %v", name, info, err, mode)
		}
	}

	t.Run("Twice", func(t *testing.T) {
		before, _ := os.ReadFile(filepath.Join(dir, "root-ca.key"))
		if _, err := Create(dir, CreateOptions{Group: "home", Algorithm: P256}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a second Create: %v", err)
		}
		if after, _ := os.ReadFile(filepath.Join(dir, "root-ca.key")); string(after) != string(before) {
			t.Error("a second Create wrote over the key")
		}
	})
	t.Run("BadOptions", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "pki")
		for _, o := range []CreateOptions{{Group: ""}, {Group: "a\xff"}, {Group: "home", Algorithm: "dsa"}} {
			if _, err := Create(dir, o); err == nil {
				t.Errorf("Create(%+v) made a CA", o)
			}
		}
		// A refused try must not stand in the way of the next.
		if _, err := Create(dir, CreateOptions{Group: "home", Algorithm: P256}); err != nil {
			t.Error(err)
		}
	})
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(path func(string) string) error
		want  []string
	}{
		{"NoRoot", func(p func(string) string) error { return os.Remove(p("root-ca.pem")) }, []string{"root-ca.pem", "missing", "greengate restore", "CA is lost"}},
		{"NoRootKey", func(p func(string) string) error { return os.Remove(p("root-ca.key")) }, []string{"root-ca.key", "missing", "greengate restore", "CA is lost"}},
		{"NoServerKey", func(p func(string) string) error { return os.Remove(p("server.key")) }, []string{"server.key", "missing", "greengate restore", "openssl genrsa"}},
		{"GroupReadable", func(p func(string) string) error { return os.Chmod(p("root-ca.key"), 0o640) }, []string{"root-ca.key", "0640", "chmod 600"}},
		{"WorldReadable", func(p func(string) string) error { return os.Chmod(p("server.key"), 0o604) }, []string{"server.key", "0604", "chmod 600"}},
		{"NotPEM", func(p func(string) string) error { return os.WriteFile(p("root-ca.pem"), []byte("x"), 0o644) }, []string{"root-ca.pem", "PEM", "greengate restore"}},
		{"EmptyKey", func(p func(string) string) error { return os.Truncate(p("root-ca.key"), 0) }, []string{"root-ca.key", "PEM"}},
		{"OtherKey", func(p func(string) string) error {
			return os.Rename(p("server.key"), p("root-ca.key"))
		}, []string{"server.key", "missing"}},
		{"WrongKey", func(p func(string) string) error {
			text, err := os.ReadFile(p("server.key"))
			return errors.Join(err, os.WriteFile(p("root-ca.key"), text, 0o600))
		}, []string{"root-ca.pem", "root-ca.key", "belong together"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAuthority(t, at(today))
			if err := tc.spoil(func(name string) string { return filepath.Join(a.dir, name) }); err != nil {
				t.Fatal(err)
			}
			_, err := Open(a.dir, at(today))
			if err == nil {
				t.Fatal("Open took it")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

// TestOpenSSL holds all that the CA signs against OpenSSL's strict mode, for
// both algorithms; it is what most clients link.
func TestOpenSSL(t *testing.T) {
	for _, algorithm := range []Algorithm{RSA2048, P256} {
		t.Run(string(algorithm), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "pki")
			a, err := Create(dir, CreateOptions{Group: "Häuschen 1", Algorithm: algorithm})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.serverCertificate([]string{"my_gateway"}, nil, fakeHost("pi", "192.168.1.7/24", "fe80::1/64")); err != nil {
				t.Fatal(err)
			}
			long := issue(t, a, strings.Repeat("a:_-", 32))
			device := filepath.Join(t.TempDir(), "device.pem")
			if err := os.WriteFile(device, long.CertPEM, 0o600); err != nil {
				t.Fatal(err)
			}
			root := filepath.Join(dir, "root-ca.pem")
			server := filepath.Join(dir, "server.pem")
			record := filepath.Join(dir, "issued", strings.Repeat("a:_-", 32), long.Fingerprint+".pem")
			for _, args := range [][]string{
				{"-purpose", "any", root},
				{"-purpose", "sslclient", device},
				{"-purpose", "sslclient", record},
				{"-purpose", "sslserver", "-verify_hostname", "pi.local", server},
				{"-purpose", "sslserver", "-verify_hostname", "my_gateway", server},
				{"-purpose", "sslserver", "-verify_ip", "192.168.1.7", server},
				{"-purpose", "sslserver", "-verify_ip", "fe80::1", server},
			} {
				args = append([]string{"verify", "-x509_strict", "-check_ss_sig", "-CAfile", root}, args...)
				if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
					t.Errorf("openssl %v: %v\n%s", args, err, out)
				}
			}
			// A device's certificate is no server's.
			if err := exec.Command("openssl", "verify", "-CAfile", root, "-purpose", "sslserver", device).Run(); err == nil {
				t.Error("OpenSSL takes a device for a server")
			}
		})
	}
}

func TestDefaultIsRSA(t *testing.T) {
	key, err := Algorithm("").newKey()
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := key.(*rsa.PrivateKey); !ok || k.N.BitLen() != 2048 {
		t.Errorf("the default key is a %T", key)
	}
	text, err := encodeKey(key)
	if err != nil || !strings.HasPrefix(string(text), "-----BEGIN RSA PRIVATE KEY-----") {
		t.Errorf("%.40s, %v; want the form that AWS hands out", text, err)
	}
	if DefaultConfig().Dir != "pki" {
		t.Errorf("the default folder is %q", DefaultConfig().Dir)
	}
}

// TestForeignKeyForms: a CA that somebody brings along may be written otherwise.
func TestForeignKeyForms(t *testing.T) {
	a := newAuthority(t, at(today))
	der, err := x509.MarshalPKCS8PrivateKey(a.key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	text := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" +
		strings.ReplaceAll(string(encodeCertificate(der)), "CERTIFICATE", "PRIVATE KEY")
	if err := os.WriteFile(filepath.Join(a.dir, "root-ca.key"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	issue(t, reopen(t, a, at(today)), "GG_Switch")
}
