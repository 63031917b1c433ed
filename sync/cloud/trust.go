package cloud

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// alpn is what AWS wants to hear on port 443 from a client that speaks MQTT and
// has a certificate (developer guide, "Device communication protocols").
const alpn = "x-amzn-mqtt-ca"

// CheckFiles reads the three files as the link does at each attempt, and names
// the one that is wrong. ca may be empty.
func CheckFiles(certificate, key, ca string) error {
	if _, err := loadPair(certificate, key); err != nil {
		return err
	}
	_, err := loadRoots(ca)
	return err
}

// pair returns the certificate with its key, which may be in a file or elsewhere.
func (l *Link) pair(ctx context.Context) (*tls.Certificate, error) {
	if l.o.Signer == nil {
		return loadPair(l.o.Certificate, l.o.Key)
	}
	pair, err := LoadCertificate(l.o.Certificate)
	if err != nil {
		return nil, err
	}
	key := &coreKey{certificate: l.o.Certificate}
	if key.Signer, err = l.o.Signer(ctx, pair.Leaf.PublicKey); err != nil {
		return nil, key.trouble(err)
	}
	pair.PrivateKey = key
	return pair, nil
}

// coreKey is the key of one handshake, and remembers why it did not sign: crypto/tls tells that in
// words of its own, and the same trouble would be told twice.
type coreKey struct {
	crypto.Signer
	certificate string // the file
	wrong       error
}

func (k *coreKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := k.Signer.Sign(random, digest, opts)
	if err != nil {
		k.wrong = k.trouble(err)
	}
	return signature, err
}

func (k *coreKey) trouble(err error) error {
	return fmt.Errorf("use the key of the core's certificate %s: %w", k.certificate, err)
}

// keyTrouble returns what kept the key of a handshake that is over from signing.
func keyTrouble(config *tls.Config) error {
	pair, err := config.GetClientCertificate(nil)
	if err != nil {
		return err
	}
	if k, ok := pair.PrivateKey.(*coreKey); ok {
		return k.wrong
	}
	return nil
}

// LoadCertificate reads the core's certificate, and those of its issuers that stand in the same
// file, without a key.
func LoadCertificate(file string) (*tls.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the core's certificate: %w", err)
	}
	pair := new(tls.Certificate)
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			pair.Certificate = append(pair.Certificate, block.Bytes)
		}
	}
	if len(pair.Certificate) == 0 {
		return nil, fmt.Errorf("read the core's certificate: %s holds no certificate in PEM", file)
	}
	if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
		return nil, fmt.Errorf("read the core's certificate %s: %w", file, err)
	}
	return pair, nil
}

func loadPair(certificate, key string) (*tls.Certificate, error) {
	certPEM, err := os.ReadFile(certificate)
	if err != nil {
		return nil, fmt.Errorf("read the core's certificate: %w", err)
	}
	keyPEM, err := os.ReadFile(key)
	if err != nil {
		return nil, fmt.Errorf("read the core's key: %w", err)
	}
	if block, _ := pem.Decode(certPEM); block == nil {
		return nil, fmt.Errorf("read the core's certificate: %s holds no PEM", certificate)
	}
	if block, _ := pem.Decode(keyPEM); block == nil {
		return nil, fmt.Errorf("read the core's key: %s holds no PEM", key)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("read the core's certificate %s and key %s: %w", certificate, key, err)
	}
	return &pair, nil
}

// loadRoots returns nil, the roots of the operating system, when there is no
// file.
func loadRoots(ca string) (*x509.CertPool, error) {
	if ca == "" {
		return nil, nil
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("read the CA of the cloud: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the CA of the cloud: %s holds no certificate in PEM", ca)
	}
	return roots, nil
}

// tlsConfig reads the files and says how to trust the cloud. It is for handshakes that end
// with ctx.
func (l *Link) tlsConfig(ctx context.Context) (*tls.Config, error) {
	pair, err := l.pair(ctx)
	if err != nil {
		return nil, err
	}
	roots, err := loadRoots(l.o.CA)
	if err != nil {
		return nil, err
	}
	l.checkExpiry(pair.Leaf)
	config := &tls.Config{
		ServerName: l.o.Endpoint,
		MinVersion: tls.VersionTLS12,
		// Not Certificates: then a server that lists other issuers gets none.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil },
		// crypto/tls would ask one clock only. verify does what it does, at
		// the right time.
		InsecureSkipVerify: true,
		VerifyConnection:   func(s tls.ConnectionState) error { return l.verify(s, roots) },
	}
	if l.o.Port == 443 {
		config.NextProtos = []string{alpn}
	}
	return config, nil
}

// checkExpiry makes the coming end of the core's certificate a fault.
func (l *Link) checkExpiry(leaf *x509.Certificate) {
	clock, text := l.o.Clock(), ""
	if left := leaf.NotAfter.Sub(clock.Now); clock.Believed && left < expiryWarning {
		text = fmt.Sprintf("the core's certificate %s ends at %s: renew it", l.o.Certificate, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble.certificate = text
}

// verify checks the chain of the cloud: issuers, name, use, and time.
func (l *Link) verify(s tls.ConnectionState, roots *x509.CertPool) error {
	leaf := s.PeerCertificates[0] // a server always shows one
	others := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		others.AddCert(c)
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: others, DNSName: l.o.Endpoint}
	if err := verifyBy(l.o.Clock(), leaf, options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
	}
	return nil
}

// verifyBy verifies leaf at the time that judgeAt tells. Its issuers must be valid at
// that time too, and a leaf may outlive them: as long as one of them is not, the time
// is sought again among those at which it is.
func verifyBy(c Clock, leaf *x509.Certificate, options x509.VerifyOptions) error {
	for valid := validity(leaf); ; {
		options.CurrentTime = judgeAt(c, valid)
		_, err := leaf.Verify(options)
		wrong := x509.CertificateInvalidError{}
		if !errors.As(err, &wrong) || wrong.Reason != x509.Expired {
			return err
		}
		both := valid.within(validity(wrong.Cert))
		if both == valid || both.until.Before(both.from) {
			return err
		}
		valid = both
	}
}

// period is a time from and until which something holds, both included.
type period struct{ from, until time.Time }

func validity(c *x509.Certificate) period { return period{c.NotBefore, c.NotAfter} }

// within is what p and o have in common; with none its end is before its beginning.
func (p period) within(o period) period {
	if o.from.After(p.from) {
		p.from = o.from
	}
	if o.until.Before(p.until) {
		p.until = o.until
	}
	return p
}

// judgeAt is the time at which to judge certificates that are valid in a period.
// While the clock is not believed it is the time nearest to it in that period, but
// never before the floor: a certificate that had ended by then is refused whatever
// the clock says.
func judgeAt(c Clock, valid period) time.Time {
	at := c.Now
	if !c.Believed {
		if at.Before(valid.from) {
			at = valid.from
		}
		if at.After(valid.until) {
			at = valid.until
		}
	}
	if at.Before(c.Floor) {
		return c.Floor
	}
	return at
}

// explainTLS adds to an error of the handshake what usually is behind it.
func explainTLS(err error) error {
	var (
		wrong    *tls.CertificateVerificationError
		noTLS    tls.RecordHeaderError
		hint     string
		expired  x509.CertificateInvalidError
		hostname x509.HostnameError
	)
	switch {
	case errors.As(err, &expired) && expired.Reason == x509.Expired:
		hint = "is the clock right?"
	case errors.As(err, &hostname):
		hint = "a captive portal, or the wrong endpoint?"
	case errors.As(err, &wrong):
		hint = "the wrong CA file, a captive portal, or a proxy that opens TLS?"
	case errors.As(err, &noTLS):
		hint = "a captive portal, or the wrong port?"
	default:
		return explainAlert(err)
	}
	return fmt.Errorf("%w (%s)", err, hint)
}

// explainAlert does so for an alert of the cloud, which in TLS 1.3 comes only
// after the handshake.
func explainAlert(err error) error {
	// This is how crypto/tls marks an alert of the other side.
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "remote error" {
		return fmt.Errorf("%w (is the core's certificate registered and active in the AWS account?)", err)
	}
	return err
}

// explain adds to an error between CONNECT and CONNACK what usually is behind
// it.
func (l *Link) explain(err error) error {
	if code := reasonCode(err); code == notAuthorized {
		return fmt.Errorf("%w (does the policy of the core's certificate allow iot:Connect for client/%s?)", err, l.o.Core)
	}
	return explainAlert(err)
}
