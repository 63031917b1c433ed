package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
)

// The reasons of a Refusal. They are stable: they stand in logs, counters and
// answers to clients.
const (
	NoCertificate = "no-certificate" // the client showed none
	UnknownIssuer = "unknown-issuer" // not signed by the group CA, and its fingerprint is not in the group file
	UnknownThing  = "unknown-thing"  // signed by the group CA for a thing that the group file does not name
	NotOnRecord   = "not-on-record"  // signed by the group CA, but withdrawn, replaced, or its record is damaged
	Expired       = "expired"        // foreign, in the group file, past its end
	NotYetValid   = "not-yet-valid"  // foreign, in the group file, before its beginning
)

// Refusal says why a certificate names no thing.
type Refusal struct {
	Reason string // one of the constants above
	Detail string // a sentence for the log, with the fingerprint to paste into the group file where that helps
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("certificate refused (%s): %s", r.Reason, r.Detail)
}

func refuse(reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Fingerprint returns the SHA-256 of the certificate as 64 hex digits. It is
// also the AWS certificateId.
func Fingerprint(cert *x509.Certificate) string {
	return fingerprint(sha256.Sum256(cert.Raw)).String()
}

// ParseFingerprint reads a SHA-256 fingerprint in the forms in which people
// have it: 64 hex digits (the AWS certificateId), the same after `sha256:`, or
// in pairs with colons as openssl prints it. It returns 64 lower-case digits.
func ParseFingerprint(s string) (string, error) {
	f, err := parseFingerprint(s)
	if err != nil {
		return "", err
	}
	return f.String(), nil
}

func parseFingerprint(s string) (f fingerprint, err error) {
	digits := strings.TrimPrefix(strings.ToLower(s), "sha256:")
	raw, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	if err != nil || len(raw) != len(f) {
		return f, fmt.Errorf("%q is no SHA-256 fingerprint (write sha256: and 64 hex digits)", s)
	}
	return fingerprint(raw), nil
}

// clip bounds what a stranger wrote into a certificate before it goes to a log.
func clip(s string) string {
	const most = 128
	if len(s) > most {
		s = s[:most] + "..."
	}
	return fmt.Sprintf("%q", s)
}
