package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf8"
)

// The files of the folder, see the package comment.
const (
	rootCertFile   = "root-ca.pem"
	rootKeyFile    = "root-ca.key"
	serverCertFile = "server.pem"
	serverKeyFile  = "server.key"
	clockFile      = "clock"
	issuedDir      = "issued"
)

// Authority is the CA of one group, and the record of what it issued.
type Authority struct {
	*Record
	algorithm Algorithm // of device keys
	root      *x509.Certificate
	key       crypto.Signer
	serverKey crypto.Signer

	change sync.Mutex // one change of the record at a time
}

// CreateOptions says what to create.
type CreateOptions struct {
	// Group is named in the CA's certificate; not empty, UTF-8.
	Group string
	// Algorithm of all keys of the group; "" is RSA2048.
	Algorithm Algorithm
	// Clock is judged as in Open.
	Clock Clock
}

// Create makes a new group CA and the server's key in dir, which it makes if
// need be. It writes over nothing: a file that is there already is an error
// that wraps fs.ErrExist.
func Create(dir string, o CreateOptions) (*Authority, error) {
	if o.Group == "" || !utf8.ValidString(o.Group) {
		return nil, fmt.Errorf("create a group CA: the group's name %q is empty or not UTF-8", o.Group)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fmt.Errorf("create a group CA: %w", err)
	}
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("create a group CA: %w", err)
	}
	for _, name := range []string{rootCertFile, rootKeyFile, serverCertFile, serverKeyFile, issuedDir} {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("create a group CA: %s is there already and is not written over: %w", path, fs.ErrExist)
		}
	}
	if err := writeAuthority(dir, o); err != nil {
		// Half a CA would stand in the way of the next try.
		for _, name := range []string{rootCertFile, rootKeyFile, serverKeyFile, issuedDir} {
			os.Remove(filepath.Join(dir, name))
		}
		return nil, fmt.Errorf("create a group CA in %s: %w", dir, err)
	}
	return Open(dir, o.Clock)
}

// writeAuthority writes the certificate last: where it stands, all stands.
func writeAuthority(dir string, o CreateOptions) error {
	key, err := o.Algorithm.newKey()
	if err != nil {
		return err
	}
	der, err := selfSign(o.Group, key)
	if err != nil {
		return err
	}
	serverKey, err := o.Algorithm.newKey()
	if err != nil {
		return err
	}
	if err := makeDir(filepath.Join(dir, issuedDir)); err != nil {
		return err
	}
	for name, key := range map[string]crypto.Signer{rootKeyFile: key, serverKeyFile: serverKey} {
		text, err := encodeKey(key)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	return writeFile(filepath.Join(dir, rootCertFile), encodeCertificate(der), 0o644)
}

func selfSign(group string, key crypto.Signer) ([]byte, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: group + " group CA", Organization: []string{"greengate"}},
		NotBefore:             since,
		NotAfter:              forever,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// Open reads the group CA in dir. What is wrong with its files is a *Fault.
func Open(dir string, c Clock) (*Authority, error) {
	root, err := loadCertificate(filepath.Join(dir, rootCertFile))
	if err != nil {
		return nil, err
	}
	key, err := loadKey(filepath.Join(dir, rootKeyFile))
	if err != nil {
		return nil, err
	}
	serverKey, err := loadKey(filepath.Join(dir, serverKeyFile))
	if err != nil {
		return nil, err
	}
	if !root.BasicConstraintsValid || !root.IsCA {
		return nil, unusable(dir, nil, "%s is not the certificate of a CA", filepath.Join(dir, rootCertFile))
	}
	if !sameKey(key, root.PublicKey) {
		return nil, unusable(dir, nil, "%s and %s do not belong together", filepath.Join(dir, rootCertFile), filepath.Join(dir, rootKeyFile))
	}
	algorithm, err := algorithmOf(key)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Join(dir, rootKeyFile), err)
	}
	if _, err := algorithmOf(serverKey); err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Join(dir, serverKeyFile), err)
	}
	record, err := OpenRecord(dir, c)
	if err != nil {
		return nil, err
	}
	return &Authority{Record: record, algorithm: algorithm, root: root, key: key, serverKey: serverKey}, nil
}

// RootPEM returns the certificate of the CA, what a device has to trust. The
// slice is the caller's.
func (a *Authority) RootPEM() []byte { return encodeCertificate(a.root.Raw) }

// sign issues template for public. Serial numbers are random (RFC 5280,
// 4.1.2.2). It sets what OpenSSL's strict mode and s2n expect of every
// certificate: the key identifiers of both ends and critical basic constraints.
func (a *Authority) sign(template *x509.Certificate, public crypto.PublicKey, end time.Time) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(spki)
	template.SubjectKeyId = id[:20] // any hash of the key will do (RFC 7093, 2)
	template.NotBefore, template.NotAfter = since, end
	template.BasicConstraintsValid = true
	return x509.CreateCertificate(rand.Reader, template, a.root, public, a.key)
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
