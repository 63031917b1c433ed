package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
)

// Request is what greengate-token reads from its standard input, as JSON.
type Request struct {
	URI    string `json:"uri"`
	Scheme Scheme `json:"scheme"`
	Hash   string `json:"hash"` // that made the digest: SHA-256, SHA-384 or SHA-512
	Digest []byte `json:"digest"`
}

// Scheme is a kind of signature.
type Scheme string

// The schemes of TLS 1.2 and 1.3 (RFC 8446, 4.2.3). The salt of RSA-PSS is as long as the
// hash; ECDSA signatures are Ecdsa-Sig-Value of RFC 3279.
const (
	ECDSA    Scheme = "ecdsa"
	RSAPSS   Scheme = "rsa-pss"
	RSAPKCS1 Scheme = "rsa-pkcs1"
)

// Answer is what it writes to its standard output: a signature, or what is wrong.
type Answer struct {
	Signature []byte `json:"signature,omitempty"`
	Error     *Error `json:"error,omitempty"`
}

// schemeOf returns how a key like that of a certificate signs.
func schemeOf(public crypto.PublicKey, opts crypto.SignerOpts) (Scheme, error) {
	switch public.(type) {
	case *ecdsa.PublicKey:
		return ECDSA, nil
	case *rsa.PublicKey:
		if _, ok := opts.(*rsa.PSSOptions); ok {
			return RSAPSS, nil
		}
		return RSAPKCS1, nil
	}
	return "", problem(fmt.Sprintf("a certificate with a key of the type %T", public), "RSA, P-256 and P-384 keys are used here")
}

// verify tells whether a signature was made by the private key of public.
func verify(public crypto.PublicKey, digest, signature []byte, opts crypto.SignerOpts) bool {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, digest, signature)
	case *rsa.PublicKey:
		if _, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(public, opts.HashFunc(), digest, signature, nil) == nil
		}
		return rsa.VerifyPKCS1v15(public, opts.HashFunc(), digest, signature) == nil
	}
	return false
}
