package cloud

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestHello(t *testing.T) {
	for _, c := range []struct {
		port int
		alpn []string
	}{{8883, nil}, {443, []string{alpn}}} {
		f := newFake(t, func(p *peer) { p.welcome(); p.rest() })
		o := f.options()
		o.Port = c.port
		untilConnected(t, run(t, o))
		h := f.hello[0]
		if h.ServerName != endpoint || !slices.Equal(h.SupportedProtos, c.alpn) || slices.Min(h.SupportedVersions) < tls.VersionTLS12 {
			t.Errorf("port %d: SNI %q, ALPN %q, versions %x", c.port, h.ServerName, h.SupportedProtos, h.SupportedVersions)
		}
	}
}

// Each way in which there may be no cloud behind the name has its own words, and
// none stops the link.
func TestNoCloud(t *testing.T) {
	ok := func(p *peer) { p.welcome(); p.rest() }
	for _, c := range []struct {
		name string
		edit func(f *fake, o *Options)
		text string
	}{
		{"no DNS", func(_ *fake, o *Options) {
			o.Dial = func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: endpoint, Err: "no such host"}}
			}
		}, "reach " + endpoint + ":8883: resolve the name " + endpoint + ": no such host"},
		{"TCP refused", func(_ *fake, o *Options) {
			o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errRefused }
		}, "reach " + endpoint + ":8883: connection refused"},
		{"TCP stalls", func(_ *fake, o *Options) {
			o.Timing.Dial = 10 * time.Millisecond
			o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		}, "reach " + endpoint + ":8883: no answer within 10ms"},
		{"TLS stalls", func(f *fake, o *Options) {
			o.Timing.Handshake = 10 * time.Millisecond
			o.Dial = dialTo(serve(f.tb, silence))
		}, "TLS with " + endpoint + ":8883: no answer within 10ms"},
		{"TLS cut", func(f *fake, o *Options) { o.Dial = dialTo(serve(f.tb, func(net.Conn) {})) }, "TLS with " + endpoint + ":8883: "},
		{"no TLS", func(f *fake, o *Options) {
			o.Dial = dialTo(serve(f.tb, func(c net.Conn) {
				_, _ = io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n")
				silence(c)
			}))
		}, "a captive portal, or the wrong port?"},
		{"another's certificate", func(f *fake, o *Options) {
			cert, key := newCA(f.tb).issue(f.tb, endpoint)
			f.listen(cert, key, ok)
			o.Dial = dialTo(f.addr)
		}, "the wrong CA file, a captive portal, or a proxy that opens TLS?"},
		{"another name", func(f *fake, o *Options) {
			cert, key := f.ca.issue(f.tb, "portal.example")
			f.listen(cert, key, ok)
			o.Dial = dialTo(f.addr)
		}, "a captive portal, or the wrong endpoint?"},
		{"expired", func(f *fake, o *Options) {
			cert, key := f.ca.issue(f.tb, endpoint, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
			f.listen(cert, key, ok)
			o.Dial = dialTo(f.addr)
		}, "is the clock right?"},
		{"no ALPN on 443", func(f *fake, o *Options) {
			pair, err := tls.X509KeyPair(f.ca.issue(f.tb, endpoint))
			if err != nil {
				t.Fatal(err)
			}
			o.Port = 443
			o.Dial = dialTo(serve(f.tb, func(c net.Conn) {
				silence(tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}}))
			}))
		}, "does not know x-amzn-mqtt-ca"},
		{"our certificate is not known", func(f *fake, o *Options) {
			pair, err := tls.X509KeyPair(f.ca.issue(f.tb, endpoint))
			if err != nil {
				t.Fatal(err)
			}
			o.Dial = dialTo(serve(f.tb, func(c net.Conn) {
				silence(tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}))
			}))
		}, "is the core's certificate registered and active in the AWS account?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, ok)
			o := f.options()
			c.edit(f, &o)
			untilError(t, run(t, o), c.text)
		})
	}
}

func TestClock(t *testing.T) {
	epoch := time.Unix(100, 0)
	for _, c := range []struct {
		name  string
		clock Clock
		fault string
	}{
		{"1970, not believed", Clock{Now: epoch, Floor: time.Now().Add(-24 * time.Hour)}, ""},
		{"2094, not believed", Clock{Now: time.Now().AddDate(70, 0, 0)}, ""},
		{"1970, believed", Clock{Now: epoch, Believed: true}, "is the clock right?"},
		{"ended before the floor", Clock{Now: epoch, Floor: time.Now().AddDate(2, 0, 0)}, "is the clock right?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, func(p *peer) { p.welcome(); p.rest() })
			o := f.options()
			o.Clock = func() Clock { return c.clock }
			l := run(t, o)
			if c.fault == "" {
				untilConnected(t, l)
			} else {
				untilError(t, l, c.fault)
			}
		})
	}
}

// A file that is wrong is named, and one that is put right is taken up.
func TestFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		file func(o *Options) *string
		text []byte // nil: no file
		want string
	}{
		{"no certificate", func(o *Options) *string { return &o.Certificate }, nil, "read the core's certificate: open "},
		{"no key", func(o *Options) *string { return &o.Key }, nil, "read the core's key: open "},
		{"no CA", func(o *Options) *string { return &o.CA }, nil, "read the CA of the cloud: open "},
		{"certificate is none", func(o *Options) *string { return &o.Certificate }, []byte("x"), "gw.pem holds no PEM"},
		{"key is none", func(o *Options) *string { return &o.Key }, []byte("x"), "gw.key holds no PEM"},
		{"CA is none", func(o *Options) *string { return &o.CA }, []byte("x"), "ca.pem holds no certificate"},
		{"another's key", func(o *Options) *string { return &o.Key }, second(newCA(t).issue(t, "x")), "gw.key: tls: private key does not match"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, func(p *peer) { p.welcome(); p.rest() })
			o := f.options()
			path := *c.file(&o)
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if c.text != nil {
				write(t, path, c.text)
			}
			if err := CheckFiles(o.Certificate, o.Key, o.CA); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("CheckFiles: %v", err)
			}
			l := run(t, o)
			untilError(t, l, c.want)
			write(t, path, good)
			untilConnected(t, l)
			if faults := l.Faults(); len(faults) != 0 {
				t.Errorf("faults %q", faults)
			}
		})
	}
}

func TestCertificateThatEndsSoon(t *testing.T) {
	f := newFake(t, func(p *peer) { p.welcome(); p.rest() })
	o := f.options()
	cert, key := f.ca.issue(t, "gw", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(29 * 24 * time.Hour) })
	write(t, o.Certificate, cert)
	write(t, o.Key, key)
	l := run(t, o)
	untilConnected(t, l)
	if faults := strings.Join(l.Faults(), "\n"); !strings.Contains(faults, "gw.pem ends at ") {
		t.Errorf("faults %q", faults)
	}
}

func second(_, b []byte) []byte { return b }

// A key that is in no file is asked for at each attempt; what is wrong with it is told, and
// mends itself.
func TestSigner(t *testing.T) {
	f := newFake(t, func(p *peer) { p.welcome(); p.rest() })
	o := f.options()
	pair, err := loadPair(o.Certificate, o.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(o.Key); err != nil {
		t.Fatal(err)
	}
	var there, broken atomic.Bool
	o.Signer = func(_ context.Context, public crypto.PublicKey) (crypto.Signer, error) {
		key := pair.PrivateKey.(*ecdsa.PrivateKey)
		if !key.PublicKey.Equal(public) {
			return nil, errors.New("asked for the key of another certificate")
		}
		if !there.Load() {
			return nil, errors.New("the token is not there")
		}
		if broken.Load() {
			return brokenKey{key}, nil
		}
		return key, nil
	}
	broken.Store(true)
	there.Store(true)
	l := run(t, o)
	untilError(t, l, "use the key of the core's certificate "+o.Certificate+": the token is broken")
	broken.Store(false)
	there.Store(false)
	untilError(t, l, "use the key of the core's certificate "+o.Certificate+": the token is not there")
	if faults := strings.Join(l.Faults(), "\n"); !strings.Contains(faults, "the token is not there") {
		t.Errorf("faults %q", faults)
	}
	there.Store(true)
	untilConnected(t, l)
	if faults := l.Faults(); len(faults) != 0 {
		t.Errorf("faults %q", faults)
	}
}

// brokenKey is a key that does not sign.
type brokenKey struct{ crypto.Signer }

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the token is broken")
}
