package cloud

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The fake cloud of these tests is a script for one connection: for what a
// strict cloud (cloudtest) would never do.

const endpoint = "abc-ats.iot.eu-west-1.amazonaws.com"

// ca is a certificate authority.
type ca struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func newCA(tb testing.TB) *ca {
	tb.Helper()
	a := &ca{}
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, err := x509.CreateCertificate(rand.Reader, template("CA", true), template("CA", true), a.key.Public(), a.key)
	if err != nil {
		tb.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	return a
}

func template(name string, isCA bool) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		IsCA: isCA, BasicConstraintsValid: true,
	}
}

// issue makes a certificate and key, both PEM.
func (a *ca) issue(tb testing.TB, name string, edit ...func(*x509.Certificate)) (cert, key []byte) {
	tb.Helper()
	k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	t := template(name, false)
	for _, e := range edit {
		e(t)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, k.Public(), a.key)
	if err != nil {
		tb.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		tb.Fatal(err)
	}
	return pemOf("CERTIFICATE", der), pemOf("PRIVATE KEY", keyDER)
}

func write(tb testing.TB, path string, data []byte) string {
	tb.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// fake is a TCP server on loopback.
type fake struct {
	tb   testing.TB
	ca   *ca
	dir  string
	addr string

	mu    sync.Mutex
	hello []*tls.ClientHelloInfo
}

// serve runs script for each TCP connection, until the test ends.
func serve(tb testing.TB, script func(net.Conn)) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer context.AfterFunc(ctx, func() { c.Close() })()
				defer c.Close()
				script(c)
			})
		}
	})
	tb.Cleanup(func() {
		cancel()
		ln.Close()
		all.Wait()
	})
	return ln.Addr().String()
}

// newFake serves script over TLS, with a certificate for the endpoint.
func newFake(tb testing.TB, script func(*peer)) *fake {
	tb.Helper()
	f := &fake{tb: tb, ca: newCA(tb), dir: tb.TempDir()}
	cert, key := f.ca.issue(tb, endpoint)
	f.listen(cert, key, script)
	return f
}

func (f *fake) listen(cert, key []byte, script func(*peer)) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		f.tb.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{alpn}}
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.hello = append(f.hello, h)
		return nil, nil
	}
	f.addr = serve(f.tb, func(c net.Conn) {
		t := tls.Server(c, config)
		if t.Handshake() == nil {
			script(&peer{t, bufio.NewReader(t)})
		}
	})
}

// options are those of a link to f, with short times.
func (f *fake) options() Options {
	cert, key := f.ca.issue(f.tb, "gw")
	return Options{
		Endpoint: endpoint, Port: 8883, Core: "gw",
		Certificate: write(f.tb, filepath.Join(f.dir, "gw.pem"), cert),
		Key:         write(f.tb, filepath.Join(f.dir, "gw.key"), key),
		CA:          write(f.tb, filepath.Join(f.dir, "ca.pem"), pemOf("CERTIFICATE", f.ca.cert.Raw)),
		Dial:        dialTo(f.addr),
		Limits:      Limits{ConnectEvery: time.Millisecond},
		Timing:      Timing{Dial: time.Second, Handshake: time.Second, Answer: 300 * time.Millisecond, Retry: Backoff{time.Millisecond, 5 * time.Millisecond}},
	}
}

// dialTo reaches address whatever is asked for.
func dialTo(address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// peer is the fake's end of a connection.
type peer struct {
	*tls.Conn
	r *bufio.Reader
}

// send writes packets, in hex.
func (p *peer) send(packets ...string) {
	for _, s := range packets {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			panic(err)
		}
		if _, err := p.Write(b); err != nil {
			return
		}
	}
}

// read returns the next packet, or nil at the end.
func (p *peer) read() []byte {
	b, err := readPacket(p.r, 1<<20)
	if err != nil {
		return nil
	}
	return b
}

// welcome takes CONNECT and says yes.
func (p *peer) welcome() {
	p.read()
	p.send("2003 00 00 00")
}

// rest reads to the end and returns the last packet.
func (p *peer) rest() (last []byte) {
	for {
		b := p.read()
		if b == nil {
			return last
		}
		last = b
	}
}

// run makes a link and runs it until the test ends.
func run(tb testing.TB, o Options) *Link {
	tb.Helper()
	l, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	return l
}

// until waits for a condition that Status shows.
func until(tb testing.TB, l *Link, what string, ok func(Status) bool) Status {
	tb.Helper()
	end := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(end) {
		if s := l.Status(); ok(s) {
			return s
		}
		<-tick.C
	}
	tb.Fatalf("never %s; status %+v, faults %q", what, l.Status(), l.Faults())
	return Status{}
}

func untilConnected(tb testing.TB, l *Link) Status {
	tb.Helper()
	return until(tb, l, "connected", func(s Status) bool { return s.Connected })
}

// untilError waits for an error that holds text, and for what must follow: the link
// goes on trying, and as long as it is not connected a fault tells of the error. A link
// whose every attempt gets as far as being connected has that fault now and then only.
func untilError(tb testing.TB, l *Link, text string) {
	tb.Helper()
	s := until(tb, l, "failed with "+text, func(s Status) bool { return strings.Contains(s.LastError, text) })
	if s.Connected {
		return
	}
	until(tb, l, "tried again", func(t Status) bool { return !t.NextAttempt.Equal(s.NextAttempt) })
	until(tb, l, "told of "+text+" as a fault", func(Status) bool { return strings.Contains(strings.Join(l.Faults(), "\n"), text) })
}

// silence is a peer that accepts and says nothing.
func silence(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

var errRefused = errors.New("connection refused")
