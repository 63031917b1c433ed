package discovery

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/core/pki"
)

// site is a discovery server on loopback with a CA, and the things that it
// knows.
type site struct {
	*Server
	t    *testing.T
	ca   *authority
	addr string
	mqtt chan *tls.Conn // connections that were handed to the broker
	ids  *identities
	stop func() // ends Run and waits for it
}

// newSite starts a server; change may alter the options and limits before.
func newSite(t *testing.T, change ...func(*Options, *limits)) *site {
	t.Helper()
	ca := newAuthority(t)
	s := &site{t: t, ca: ca, mqtt: make(chan *tls.Conn, 8), ids: &identities{ca: ca, things: map[string]bool{"dev:1_a-b": true, "other": true}}}
	o := Options{
		Config:     Config{Listen: []string{"127.0.0.1:0"}},
		Group:      "home",
		CoreARN:    "arn:aws:iot:eu-west-1:123456789012:thing/home_Core",
		RootPEM:    func() []byte { return ca.pem },
		MQTTPort:   8883,
		TLS:        &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "server")}},
		Identities: s.ids,
		MQTT:       func(c *tls.Conn) { s.mqtt <- c },
		Log:        slog.New(slog.DiscardHandler),
	}
	bounds := defaultLimits
	for _, f := range change {
		f(&o, &bounds)
	}
	var err error
	if s.Server, err = New(o); err != nil {
		t.Fatal(err)
	}
	s.limits = bounds
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	s.addr = s.Addrs()[0].String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// client is the TLS configuration of a thing whose certificate our CA has
// issued.
func (s *site) client(thing string, protos ...string) *tls.Config {
	return &tls.Config{
		RootCAs: s.ca.pool, ServerName: "127.0.0.1", NextProtos: protos,
		Certificates: []tls.Certificate{s.ca.issue(s.t, thing)},
	}
}

func (s *site) dial(c *tls.Config) *tls.Conn {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.addr, c)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// say sends text on a new connection of that thing and returns all that comes
// back until the server closes.
func (s *site) say(thing, text string) string {
	s.t.Helper()
	conn := s.dial(s.client(thing))
	if _, err := io.WriteString(conn, text); err != nil {
		s.t.Fatal(err)
	}
	return readAll(s.t, conn)
}

func readAll(t *testing.T, conn net.Conn) string {
	t.Helper()
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("read the answer: %v (after %q)", err, all)
	}
	return string(all)
}

// until waits for a condition that another goroutine brings about.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute) // a busy machine is slow
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// authority is a CA of P-256 keys.
type authority struct {
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	pem    []byte
	pool   *x509.CertPool
	mu     sync.Mutex
	issued map[string]tls.Certificate
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	a := &authority{cert: cert, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pool: x509.NewCertPool(), issued: map[string]tls.Certificate{}}
	a.pool.AddCert(cert)
	return a
}

// issue returns the certificate of a name; it is good for a server on 127.0.0.1
// too.
func (a *authority) issue(t testing.TB, name string) tls.Certificate {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.issued[name]; ok {
		return c
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(a.issued) + 2)), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.issued[name] = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return a.issued[name]
}

// identities knows the things whose certificates ca has signed.
type identities struct {
	ca     *authority
	mu     sync.Mutex
	things map[string]bool
	used   []string
}

func (i *identities) Identify(certs []*x509.Certificate) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if certs[0].CheckSignatureFrom(i.ca.cert) != nil {
		return "", &pki.Refusal{Reason: pki.UnknownIssuer, Detail: "not ours"}
	}
	if thing := certs[0].Subject.CommonName; i.things[thing] {
		return thing, nil
	}
	return "", &pki.Refusal{Reason: pki.NotOnRecord, Detail: "withdrawn"}
}

func (i *identities) Used(thing string, cert *x509.Certificate) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if cert.Subject.CommonName == thing {
		i.used = append(i.used, thing)
	}
}

func (i *identities) remove(thing string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.things, thing)
}

func (i *identities) usedNow() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return strings.Join(i.used, " ")
}
