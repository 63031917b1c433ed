package discovery

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestAnyALPNIsWelcome(t *testing.T) {
	s := newSite(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range []struct {
			offered []string
			agreed  string
			mqtt    bool
		}{
			{nil, "", false},
			{[]string{"x-amzn-http-ca"}, "x-amzn-http-ca", false},
			{[]string{"http/1.1"}, "http/1.1", false},
			{[]string{"h2", "http/1.1"}, "http/1.1", false},
			{[]string{"h2"}, "", false},
			{[]string{"junk", "more-junk"}, "", false},
			{[]string{"x-amzn-mqtt-ca"}, "x-amzn-mqtt-ca", true},
			{[]string{"mqtt"}, "mqtt", true},
			{[]string{"junk", "mqtt"}, "mqtt", true},
		} {
			t.Run(tls.VersionName(version)+" "+strings.Join(c.offered, ","), func(t *testing.T) {
				config := s.client("other", c.offered...)
				config.MinVersion, config.MaxVersion = version, version
				conn := s.dial(config)
				if got := conn.ConnectionState().NegotiatedProtocol; got != c.agreed {
					t.Errorf("agreed on %q, want %q", got, c.agreed)
				}
				if !c.mqtt {
					io.WriteString(conn, "GET /greengrass/discover/thing/other HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n")
					if status, body := checkHead(t, readAll(t, conn)); status != 200 {
						t.Errorf("status %d: %s", status, body)
					}
					return
				}
				select {
				case handed := <-s.mqtt:
					defer handed.Close()
					if who := handed.ConnectionState().PeerCertificates[0].Subject.CommonName; who != "other" {
						t.Errorf("the broker got a connection of %q", who)
					}
					go conn.Write([]byte{0x10, 0x00})
					packet := make([]byte, 2)
					if _, err := io.ReadFull(handed, packet); err != nil || packet[0] != 0x10 {
						t.Errorf("the broker read % x, %v", packet, err)
					}
				case <-time.After(time.Minute):
					t.Error("the broker got no connection")
				}
			})
		}
	}
}

func TestServerNameIsOfNoImportance(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"", "127.0.0.1", "greengrass-ats.iot.eu-west-1.amazonaws.com"} {
		c := s.client("other")
		c.ServerName, c.InsecureSkipVerify = name, true // an empty name sends no SNI; the certificate is not the point here
		conn := s.dial(c)
		io.WriteString(conn, "GET /greengrass/discover/thing/other HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n")
		if status, _ := checkHead(t, readAll(t, conn)); status != 200 {
			t.Errorf("SNI %q: status %d", name, status)
		}
	}
}

func TestSessionsResumeAcrossALPN(t *testing.T) {
	s := newSite(t)
	c := s.client("other", "x-amzn-http-ca")
	c.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	for i := range 2 {
		conn := s.dial(c)
		io.WriteString(conn, "GET /greengrass/discover/thing/other HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n")
		if status, _ := checkHead(t, readAll(t, conn)); status != 200 {
			t.Errorf("status %d", status)
		}
		if resumed := conn.ConnectionState().DidResume; resumed != (i > 0) {
			t.Errorf("connection %d resumed: %v", i, resumed)
		}
	}
}

func TestNoCertificateNoConnection(t *testing.T) {
	s := newSite(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := s.client("other")
		c.MaxVersion = version
		c.Certificates = nil
		asked := false
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return &tls.Certificate{}, nil
		}
		conn, err := tls.Dial("tcp", s.addr, c)
		if err == nil { // in TLS 1.3 the client is done first, and learns of the refusal when it reads
			io.WriteString(conn, discoverDev)
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil || !asked {
			t.Errorf("%s: err %v, asked for a certificate: %v", tls.VersionName(version), err, asked)
		}
	}
	until(t, "both refusals are counted", func() bool { return s.Stats().Refused[reasonHandshake] == 2 })
}

func TestOldTLSIsRefused(t *testing.T) {
	s := newSite(t)
	c := s.client("other")
	c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if conn, err := tls.Dial("tcp", s.addr, c); err == nil {
		conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
}

func TestPlainHTTPIsToldToUseHTTPS(t *testing.T) {
	s := newSite(t)
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, discoverDev)
	if status, body := checkHead(t, readAll(t, conn)); status != 400 || !strings.Contains(body, "https") {
		t.Errorf("%d %s", status, body)
	}
}

func TestClientThatDistrustsUsIsCounted(t *testing.T) {
	s := newSite(t)
	c := s.client("other")
	c.RootCAs = newAuthority(t).pool
	if conn, err := tls.Dial("tcp", s.addr, c); err == nil {
		conn.Close()
		t.Fatal("the client trusts any CA")
	}
	until(t, "the refusal is counted", func() bool { return s.Stats().Refused[reasonHandshake] == 1 })
}
