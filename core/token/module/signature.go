package module

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/miekg/pkcs11"

	"greengate/core/token"
)

// hashes are those that TLS 1.2 and 1.3 sign, in the words of PKCS#11 and of ASN.1, with
// their size in bytes.
var hashes = map[string]struct {
	size            int
	mechanism, mask uint
	oid             asn1.ObjectIdentifier
}{
	"SHA-256": {32, pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}},
	"SHA-384": {48, pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}},
	"SHA-512": {64, pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}},
}

// how is what the token is asked for, and how its answer becomes a signature.
type how struct {
	kind      uint // of the key
	mechanism *pkcs11.Mechanism
	input     []byte
	encode    func(raw []byte) ([]byte, error)
}

// mechanism puts a request in the words of PKCS#11.
func mechanism(r token.Request) (how, error) {
	hash, ok := hashes[r.Hash]
	if !ok || len(r.Digest) != hash.size {
		return how{}, fmt.Errorf("sign a digest: %q of %d bytes is not used in TLS", r.Hash, len(r.Digest))
	}
	same := func(raw []byte) ([]byte, error) { return raw, nil }
	switch r.Scheme {
	case token.ECDSA:
		return how{pkcs11.CKK_EC, pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil), r.Digest, encodeECDSA}, nil
	case token.RSAPSS:
		params := pkcs11.NewPSSParams(hash.mechanism, hash.mask, uint(hash.size))
		return how{pkcs11.CKK_RSA, pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, params), r.Digest, same}, nil
	case token.RSAPKCS1:
		// DigestInfo, RFC 8017, 9.2. The token adds the padding.
		info, err := asn1.Marshal(struct {
			Algorithm pkix.AlgorithmIdentifier
			Digest    []byte
		}{pkix.AlgorithmIdentifier{Algorithm: hash.oid, Parameters: asn1.NullRawValue}, r.Digest})
		return how{pkcs11.CKK_RSA, pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), info, same}, err
	}
	return how{}, fmt.Errorf("sign a digest: the scheme %q is not known here", r.Scheme)
}

// encodeECDSA makes of the two numbers, one behind the other (PKCS #11, 2.3.1), what TLS sends:
// Ecdsa-Sig-Value of RFC 3279.
func encodeECDSA(raw []byte) ([]byte, error) {
	if len(raw) == 0 || len(raw)%2 != 0 {
		return nil, errors.New("read the token's signature: it is no ECDSA signature")
	}
	half := len(raw) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
}
