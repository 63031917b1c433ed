package cloudtest_test

import (
	"crypto/tls"
	"net"
	"testing"

	"greengate/sync/cloud/cloudtest"
)

// handshake connects as a thing with changed settings, and says whether the
// cloud took the connection (with TLS 1.3 a refusal comes after the client's
// handshake).
func handshake(t *testing.T, c *cloudtest.Cloud, thing string, change func(*tls.Config)) (protocol string, err error) {
	t.Helper()
	settings, err := c.ClientTLS(thing)
	if err != nil {
		t.Fatal(err)
	}
	change(settings)
	conn, err := tls.Dial("tcp", c.Addr(), settings)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.Write(connect4); err != nil {
		return "", err
	}
	var b [1]byte
	_, err = conn.Read(b[:])
	return conn.ConnectionState().NegotiatedProtocol, err
}

func TestSNIAndALPN(t *testing.T) {
	strict := cloudtest.Options{RequireSNI: true, RequireALPN: true, Limits: cloudtest.NoRates()}
	for name, x := range map[string]struct {
		o      cloudtest.Options
		change func(*tls.Config)
		ok     bool
	}{
		"port 8883":          {cloudtest.Options{}, func(*tls.Config) {}, true},
		"port 443":           {strict, func(s *tls.Config) { s.NextProtos = []string{"x-amzn-mqtt-ca"} }, true},
		"no ALPN on 443":     {strict, func(s *tls.Config) {}, false},
		"custom auth's ALPN": {cloudtest.Options{}, func(s *tls.Config) { s.NextProtos = []string{"mqtt"} }, false},
		"wrong SNI":          {cloudtest.Options{}, func(s *tls.Config) { s.ServerName, s.InsecureSkipVerify = "elsewhere.example", true }, false},
		"no SNI": {strict, func(s *tls.Config) {
			s.ServerName, s.InsecureSkipVerify, s.NextProtos = "127.0.0.1", true, []string{"x-amzn-mqtt-ca"}
		}, false},
		"an address instead of a name": {cloudtest.Options{}, func(s *tls.Config) { s.ServerName = "127.0.0.1" }, true},
		"TLS 1.2":                      {cloudtest.Options{}, func(s *tls.Config) { s.MaxVersion = tls.VersionTLS12 }, true},
		"TLS 1.1":                      {cloudtest.Options{}, func(s *tls.Config) { s.MinVersion, s.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 }, false},
		"no certificate":               {cloudtest.Options{}, func(s *tls.Config) { s.Certificates = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, x.o)
			protocol, err := handshake(t, c, "w", x.change)
			if x.ok != (err == nil) {
				t.Errorf("%v (protocol %q)", err, protocol)
			}
		})
	}
}

func TestNoSessionTickets(t *testing.T) {
	c := start(t, cloudtest.Options{})
	settings, err := c.ClientTLS("w")
	if err != nil {
		t.Fatal(err)
	}
	settings.MaxVersion, settings.ClientSessionCache = tls.VersionTLS12, tls.NewLRUClientSessionCache(1)
	for range 2 {
		conn, err := tls.Dial("tcp", c.Addr(), settings)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if conn.ConnectionState().DidResume {
			t.Error("a TLS session was resumed")
		}
	}
}

func TestForeignAndRevokedCertificates(t *testing.T) {
	c, other := start(t, cloudtest.Options{Limits: cloudtest.NoRates()}), start(t, cloudtest.Options{})
	foreign, err := other.ClientTLS("w")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handshake(t, c, "w", func(s *tls.Config) { s.Certificates = foreign.Certificates }); err == nil {
		t.Error("a certificate of another CA was taken")
	}
	x := connect(t, c, "core")
	c.Revoke("core")
	x.endsWith(0x87)
	refused := func() bool {
		_, err := handshake(t, c, "core", func(*tls.Config) {})
		return err != nil
	}
	if !refused() {
		t.Error("a revoked certificate was taken")
	}
	violated(t, c, "revoked")
	c.Restore("core")
	if refused() {
		t.Error("a restored certificate was refused")
	}
}

func TestAuthorityIsKept(t *testing.T) {
	dir := t.TempDir()
	first, err := cloudtest.OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := first.Issue("core")
	if err != nil {
		t.Fatal(err)
	}
	again, err := cloudtest.OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, cloudtest.Options{CA: again})
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handshake(t, c, "w", func(s *tls.Config) { s.Certificates = []tls.Certificate{pair} }); err != nil {
		t.Errorf("a certificate from before: %v", err)
	}
}

func TestRefuse(t *testing.T) {
	c := start(t, cloudtest.Options{})
	if err := c.SetFault("refuse", "on"); err != nil {
		t.Fatal(err)
	}
	if _, err := handshake(t, c, "w", func(*tls.Config) {}); err == nil {
		t.Error("a connection was taken")
	}
	c.Heal()
	if _, err := handshake(t, c, "w", func(*tls.Config) {}); err != nil {
		t.Errorf("after the fault: %v", err)
	}
}

func TestOwnListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, cloudtest.Options{Listener: l, NoData: true, Name: "cloud.example"})
	if c.Addr() != l.Addr().String() || c.DataAddr() != "" {
		t.Errorf("addresses %s and %s", c.Addr(), c.DataAddr())
	}
	connect(t, c, "core")
}
