package main_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"
)

// Abuse before anybody has said who he is.

// TestAbuseHalfOpenHandshakes: connections that say nothing, or half a ClientHello, from
// many addresses. Those beyond the bounds are closed and counted, the memory for those
// within them is bounded, and who comes meanwhile is served.
func TestAbuseHalfOpenHandshakes(t *testing.T) {
	t.Parallel()
	n := many(2000, 10_000)
	moreFiles(t, uint64(n+2000))
	g := besiege(t, []string{"honest2"})
	for i, conn := range strangers(t, g.broker, n, 500) {
		if i%2 == 0 {
			_, _ = conn.Write(halfHello) // who was closed already hears nothing of it
		}
	}
	g.newcomer("half-open handshakes at the broker")
	// 1,280 may be under way. On a busy machine the first have had their time, and are
	// counted as tls, before the last come.
	g.counted("too-many-connects", (n-1280)/5)
	// One line for each address at most, of which the log takes 500 at once.
	g.withstood(mostGrowth, 600)
}

// halfHello is the beginning of a ClientHello: the heads of a record of 512 bytes and of
// its message, and 40 bytes of that.
var halfHello = append([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, make([]byte, 40)...)

// TestAbuseHalfOpenAtDiscovery is the same at discovery, which has fewer places.
func TestAbuseHalfOpenAtDiscovery(t *testing.T) {
	t.Parallel()
	n := many(1000, 4000)
	moreFiles(t, uint64(n+2000))
	g := besiege(t, []string{"honest2"})
	for i, conn := range strangers(t, g.discovery, n, 100) {
		if i%2 == 0 {
			_, _ = conn.Write(halfHello)
		}
	}
	g.newcomer("half-open handshakes at discovery")
	g.withstood(mostGrowth, mostLines)
}

// TestAbuseCertificates: what no certificate is, or is none that counts, ends its
// own connection with the protocol's answer, and is counted.
func TestAbuseCertificates(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"honest2", "victim"})
	good := g.identity("victim")
	small, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	forged := func(change func(*x509.Certificate)) tls.Certificate {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "victim"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}
		change(template)
		der, err := x509.CreateCertificate(rand.Reader, template, template, small.Public(), small)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: small}
	}
	plain := forged(func(*x509.Certificate) {})
	with := func(chain ...[]byte) tls.Certificate {
		return tls.Certificate{Certificate: chain, PrivateKey: small}
	}
	for name, cert := range map[string]tls.Certificate{
		"self-signed":  plain,
		"expired":      forged(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"a server's":   forged(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		"a CA's":       forged(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }),
		"many names":   forged(func(c *x509.Certificate) { c.DNSNames = names(3000) }),
		"a long name":  forged(func(c *x509.Certificate) { c.Subject.CommonName = string(bytes.Repeat([]byte("v"), 60_000)) }),
		"odd name":     forged(func(c *x509.Certificate) { c.Subject.CommonName = "victim\n\x00\x1b[2J" }),
		"other's too":  with(plain.Certificate[0], good.Certificate[0]), // the leaf counts
		"a long chain": with(append([][]byte{plain.Certificate[0]}, copies(good.Certificate[0], 300)...)...),
	} {
		conn, answer := g.says(cert, rawConnect(5, "victim"), false)
		if _ = conn.Close(); len(answer) < 4 || answer[0] != 0x20 || answer[3] != notAuthorized {
			t.Errorf("%s: answered % x, want CONNACK %#x", name, answer, notAuthorized)
		}
		if code, body := g.discover(cert, "victim"); code != 401 {
			t.Errorf("%s: discovery says %d %s, want 401", name, code, body)
		}
	}
	for name, cert := range map[string]tls.Certificate{
		"garbage":              with(bytes.Repeat([]byte{0x30, 0x82, 0xff, 0xff}, 1000)),
		"nothing":              with([]byte{}),
		"another's":            with(good.Certificate[0]), // without its key
		"a chain of 300 KiB":   with(append([][]byte{plain.Certificate[0]}, copies(good.Certificate[0], 800)...)...),
		"garbage in its chain": with(plain.Certificate[0], []byte("garbage")),
		"RSA-512":              weak(t, 512),
		"RSA-16384":            weak(t, 16384),
	} {
		for _, address := range []string{g.broker, g.discovery} {
			if err := g.shakes(address, cert); err == nil {
				t.Errorf("%s: the handshake at %s is done", name, address)
			}
		}
	}
	g.newcomer("malformed certificates")
	g.counted("unknown-issuer", 9)
	g.counted("tls", 7)
	g.withstood(mostGrowth, mostLines)
}

func names(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("host-%d.example.org", i))
	}
	return list
}

func copies(der []byte, n int) (list [][]byte) {
	for range n {
		list = append(list, der)
	}
	return list
}

// weak is a certificate with an RSA key of a size that is not taken. No key of 16,384
// bits is made, that takes minutes: nobody gets as far as to check what it signs.
func weak(t *testing.T, bits int) tls.Certificate {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n := new(big.Int).SetBit(big.NewInt(1), bits-1, 1)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "victim"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &rsa.PublicKey{N: n, E: 65537}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: signer}
}

// shakes runs a handshake, to the first byte that follows it: in TLS 1.3 the client is
// done before the server has seen its certificate.
func (g *siege) shakes(address string, cert tls.Certificate) error {
	g.t.Helper()
	config := g.tls(cert)
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	config.Certificates = nil
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(rawConnect(5, "victim")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}
