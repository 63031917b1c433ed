package pki

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// serve answers every line with the thing that the client is, or the reason why
// it is none, as a listener of ours would.
func serve(t *testing.T, s *ServerCertificate, i *Identities) (address string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", s.TLSConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answer(c.(*tls.Conn), i)
		}
	}()
	return l.Addr().String()
}

func answer(c *tls.Conn, i *Identities) {
	defer c.Close()
	if c.Handshake() != nil {
		return
	}
	for lines := bufio.NewScanner(c); lines.Scan(); {
		state := c.ConnectionState()
		thing, err := i.Identify(state.PeerCertificates)
		var r *Refusal
		if errors.As(err, &r) {
			thing = r.Reason
		} else {
			i.Used(thing, state.PeerCertificates[0])
		}
		if state.DidResume {
			thing += " resumed"
		}
		if _, err := io.WriteString(c, thing+"\n"); err != nil {
			return
		}
	}
}

// client is a device that trusts the group CA.
func client(a *Authority, cert tls.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.root)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}, ServerName: "127.0.0.1"}
}

func connect(t *testing.T, address string, config *tls.Config) *tls.Conn {
	t.Helper()
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, config)
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func ask(t *testing.T, c *tls.Conn) string {
	t.Helper()
	if _, err := io.WriteString(c, "who am I?\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(answer)
}

// TestNewAddressKeepsConnections: the certificate changes under a connection that
// lives on, and the next client gets the new one.
func TestNewAddressKeepsConnections(t *testing.T) {
	a, w := newAuthority(t, at(today)), &wire{}
	s := newServer(t, a, w.host(), nil)
	device := issue(t, a, "GG_Switch")
	address := serve(t, s, identities(t, a, nil, Device{Thing: "GG_Switch"}))
	before := connect(t, address, client(a, device.pair(t)))
	if got := ask(t, before); got != "GG_Switch" {
		t.Fatalf("I am %s", got)
	}

	config := client(a, device.pair(t))
	config.ServerName = "192.168.7.7"
	if err := connect(t, address, config).Handshake(); err == nil {
		t.Fatal("an address that is not in the certificate passed")
	}
	w.plug("192.168.7.7/24")
	if err := s.refresh(); err != nil {
		t.Fatal(err)
	}
	after := connect(t, address, config)
	if got := ask(t, after); got != "GG_Switch" {
		t.Errorf("over the new address I am %s", got)
	}
	if got := ask(t, before); got != "GG_Switch" {
		t.Errorf("over the old connection I am %s", got)
	}
}

func TestHandshakes(t *testing.T) {
	a := newAuthority(t, at(today))
	s := newServer(t, a, fakeHost("pi"), nil)
	device := issue(t, a, "GG_Switch")
	stranger := foreign(t, "GG_Switch", today.AddDate(-9, 0, 0), today.AddDate(-8, 0, 0))
	address := serve(t, s, identities(t, a, nil, Device{Thing: "GG_Switch"}))

	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			config := client(a, device.pair(t))
			config.MinVersion, config.MaxVersion = version, version
			if got := ask(t, connect(t, address, config)); got != "GG_Switch" {
				t.Errorf("I am %s", got)
			}
			// A foreign certificate, though long expired, gets an answer.
			config.Certificates = []tls.Certificate{stranger}
			if got := ask(t, connect(t, address, config)); got != UnknownIssuer {
				t.Errorf("a stranger is %s", got)
			}
			// Any ALPN is fine, and so is no SNI.
			config = client(a, device.pair(t))
			config.MinVersion, config.MaxVersion = version, version
			config.NextProtos = []string{"x-amzn-mqtt-ca"}
			config.InsecureSkipVerify, config.ServerName = true, ""
			if got := ask(t, connect(t, address, config)); got != "GG_Switch" {
				t.Errorf("with ALPN I am %s", got)
			}
			// No certificate, no connection.
			config = client(a, tls.Certificate{})
			config.MinVersion, config.MaxVersion = version, version
			config.Certificates = nil
			c := connect(t, address, config)
			_, err := io.WriteString(c, "who am I?\n")
			if err == nil {
				_, err = c.Read(make([]byte, 1))
			}
			if err == nil || !strings.Contains(err.Error(), "remote error: tls") {
				t.Errorf("without a certificate: %v", err)
			}
			// A malformed certificate ends its own handshake, nothing else.
			config = client(a, tls.Certificate{})
			config.MinVersion, config.MaxVersion = version, version
			broken := device.pair(t)
			broken.Certificate, broken.Leaf = [][]byte{{0x30, 0x82, 0xff, 0xff, 0x00}}, nil
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &broken, nil }
			c = connect(t, address, config)
			if _, err = io.WriteString(c, "who am I?\n"); err == nil {
				_, err = c.Read(make([]byte, 1))
			}
			if err == nil {
				t.Error("a malformed certificate got an answer")
			}
		})
	}
	if got := ask(t, connect(t, address, client(a, device.pair(t)))); got != "GG_Switch" {
		t.Errorf("in the end I am %s", got)
	}
}

// TestResumption: a resumed session saves the signatures, not the identification.
func TestResumption(t *testing.T) {
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t, at(today))
			s := newServer(t, a, fakeHost("pi"), nil)
			device := issue(t, a, "GG_Switch")
			i := identities(t, a, nil, Device{Thing: "GG_Switch"})
			address := serve(t, s, i)
			config := client(a, device.pair(t))
			config.MaxVersion = version
			config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			if got := ask(t, connect(t, address, config)); got != "GG_Switch" {
				t.Fatalf("I am %s", got)
			}
			if got := ask(t, connect(t, address, config)); got != "GG_Switch resumed" {
				t.Errorf("the second time I am %s", got)
			}
			if _, err := a.Withdraw("GG_Switch"); err != nil {
				t.Fatal(err)
			}
			if err := i.Load([]Device{{Thing: "GG_Switch"}}); err != nil {
				t.Fatal(err)
			}
			if got := ask(t, connect(t, address, config)); got != NotOnRecord+" resumed" {
				t.Errorf("after Withdraw I am %s", got)
			}
		})
	}
}
