package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

// Algorithm is the kind of key that a group uses throughout: for its CA, its
// gateway and its devices.
type Algorithm string

// RSA2048 is the default, since devices built for Greengrass V1 met only
// certificates signed by RSA with SHA-256. P256 is faster on both sides; use it
// when all devices know elliptic curves.
const (
	RSA2048 Algorithm = "rsa-2048"
	P256    Algorithm = "p-256"
)

// newKey makes a fresh private key. "" is RSA2048.
func (a Algorithm) newKey() (crypto.Signer, error) {
	switch a {
	case RSA2048, "":
		return rsa.GenerateKey(rand.Reader, 2048)
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return nil, fmt.Errorf("make a key: %q is no algorithm (write %s or %s)", string(a), RSA2048, P256)
}

// algorithmOf returns the algorithm of the keys that go with a CA key.
func algorithmOf(key crypto.Signer) (Algorithm, error) {
	switch key.(type) {
	case *rsa.PrivateKey:
		return RSA2048, nil
	case *ecdsa.PrivateKey:
		return P256, nil
	}
	return "", fmt.Errorf("the key is of type %T (RSA and elliptic curve keys are known)", key)
}

// keyUsage is what a server or a device does with its key in TLS. Encipherment
// is the RSA key exchange of TLS 1.2, which some clients look for.
func (a Algorithm) keyUsage() x509.KeyUsage {
	if a == P256 {
		return x509.KeyUsageDigitalSignature
	}
	return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
}

// encodeKey returns a private key as PEM in the traditional forms (PKCS #1,
// SEC 1). AWS hands out the same, so every device that ever read a key of AWS
// reads ours; PKCS #8 is younger than some of their TLS libraries.
func encodeKey(key crypto.Signer) ([]byte, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), nil
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
	}
	return nil, fmt.Errorf("encode a private key of type %T: unknown type", key)
}

// loadKey reads a private key. A file that others than its owner can read is an
// error: whoever has read the CA key can be any device.
func loadKey(path string) (crypto.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, &Fault{Problem: fmt.Sprintf("the private key %s is open to others than its owner: mode %04o", path, mode), Hint: "type `chmod 600 " + path + "`"}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		key, err := parseKey(block)
		if err != nil {
			return nil, unusable(path, err, "read the private key %s: %v", path, err)
		}
		if key != nil {
			return key, nil
		}
	}
	return nil, unusable(path, nil, "read the private key %s: no PEM private key in it", path)
}

// parseKey returns nil for a block that is no private key; openssl writes the
// parameters of a curve into a block of their own.
func parseKey(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", key)
	}
	return signer, nil
}

// loadCertificate reads the first certificate of a PEM file.
func loadCertificate(path string) (*x509.Certificate, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, unusable(path, err, "read the certificate %s: %v", path, err)
		}
		return cert, nil
	}
	return nil, unusable(path, nil, "read the certificate %s: no PEM certificate in it", path)
}

// sameKey reports whether public belongs to key.
func sameKey(key crypto.Signer, public any) bool {
	comparable, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(public)
}
