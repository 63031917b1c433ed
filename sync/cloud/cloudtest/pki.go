package cloudtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The ALPN names of AWS (aws-iot.md 2.3). `mqtt` is for custom authentication,
// which is not served here.
const (
	alpnMQTT = "x-amzn-mqtt-ca"
	alpnHTTP = "x-amzn-http-ca"
)

// Authority is the cloud's own small CA. It signs the server's certificate and
// those of things, which carry the thing's name as common name; any clock finds
// them valid.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes a CA that lives in memory.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the CA's key: %w", err)
	}
	a := &Authority{key: key}
	template := validForever("Cloud in a box CA")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the CA: %w", err)
	}
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

// OpenAuthority reads ca.pem and ca.key in dir, and makes both the first time.
func OpenAuthority(dir string) (*Authority, error) {
	certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key")
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		a, err := NewAuthority()
		if err != nil {
			return nil, err
		}
		key, err := keyPEM(a.key)
		if err != nil {
			return nil, err
		}
		return a, errors.Join(os.WriteFile(keyFile, key, 0o600), os.WriteFile(certFile, a.PEM(), 0o644))
	}
	if err != nil {
		return nil, fmt.Errorf("read the CA: %w", err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read the CA: %s is no ECDSA key", keyFile)
	}
	return &Authority{pair.Leaf, key}, nil
}

// PEM is the CA's certificate.
func (a *Authority) PEM() []byte { return certPEM(a.cert.Raw) }

// Issue makes a key and a client certificate for a thing, both PEM.
func (a *Authority) Issue(thing string) (cert, key []byte, err error) {
	return a.issue(validForever(thing))
}

// IssueBetween is Issue of a certificate that begins and ends.
func (a *Authority) IssueBetween(thing string, begin, end time.Time) (cert, key []byte, err error) {
	template := validForever(thing)
	template.NotBefore, template.NotAfter = begin, end
	return a.issue(template)
}

func (a *Authority) issue(template *x509.Certificate) (cert, key []byte, err error) {
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	der, private, err := a.sign(template)
	if err != nil {
		return nil, nil, fmt.Errorf("issue a certificate for %q: %w", template.Subject.CommonName, err)
	}
	key, err = keyPEM(private)
	return certPEM(der), key, err
}

// server makes the certificate of the endpoint.
func (a *Authority) server(name string, begin, end time.Time) (tls.Certificate, error) {
	template := validForever(name)
	template.NotBefore, template.NotAfter = begin, end
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames = []string{name}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	der, key, err := a.sign(template)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the server's certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func (a *Authority) sign(template *x509.Certificate) (der []byte, key *ecdsa.PrivateKey, err error) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, err
	}
	der, err = x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	return der, key, err
}

// The life of what never ends.
var (
	begins = time.Unix(0, 0)
	never  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

func validForever(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails since Go 1.24
	return &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    begins,
		NotAfter:     never,
	}
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
