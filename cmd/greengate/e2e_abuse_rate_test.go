package main_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"
)

// TestAbuseHandshakeRate: one host asks for handshake after handshake, and none leads to
// anything. It is turned away, at discovery and the status page too, and nobody else is.
func TestAbuseHandshakeRate(t *testing.T) {
	t.Parallel()
	s := newSiteWith(t, []string{"--key", "p-256"}, "honest", "friend", "honest2")
	g := s.besiegePage(freeAddress(t, "0.0.0.0"))
	_, port, err := net.SplitHostPort(g.page)
	if err != nil {
		t.Fatal(err)
	}
	page := net.JoinHostPort("127.0.0.1", port)
	host := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 9, 9, 9)}, Timeout: patience}
	ask := func(address string, n int) {
		t.Helper()
		for range n {
			conn, err := host.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, _ = conn.Write([]byte("\x16\x03\x01\x00\x05hello"))
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}
	for g.refused("too-many-handshakes") == 0 { // it gets back ten a second
		ask(g.broker, 400)
	}
	for g.refused("discovery-too-many-handshakes") == 0 {
		ask(g.broker, 50)
		ask(g.discovery, 50)
	}
	for g.refused("page-handshakes") == 0 {
		ask(g.broker, 50)
		ask(page, 50)
	}
	other := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 9, 9, 10)}, Timeout: patience}
	conn, err := tls.DialWithDialer(other, "tcp", page, g.tls(g.identity("honest2")))
	if err != nil {
		t.Fatalf("another host at the page: %v", err)
	}
	_ = conn.Close()
	g.newcomer("handshakes that lead to nothing")
	g.withstood(mostGrowth, mostLines)
}
