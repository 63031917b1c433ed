package discovery

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"greengate/core/pki"
)

// askFrom asks for a thing from an address, and returns the status; 0: there was none.
func (s *site) askFrom(ip string, c *tls.Config, request string) int {
	s.t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: time.Minute}
	conn, err := tls.DialWithDialer(dialer, "tcp", s.addr, c)
	if err != nil {
		return 0
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, request); err != nil {
		return 0
	}
	var status int
	line, _ := bufio.NewReader(conn).ReadString('\n')
	_, _ = fmt.Sscanf(line, "HTTP/1.1 %d", &status)
	return status
}

// An address whose handshakes lead to nothing is turned away and counted; those of devices
// cost their address nothing.
func TestHandshakesOfOneAddress(t *testing.T) {
	shakes := pki.NewHandshakes()
	s := newSite(t, func(o *Options, _ *limits) { o.Handshakes = shakes })
	// Both addresses have had most of what they may.
	const room, left = 2560, 20
	pipe, _ := net.Pipe()
	for _, ip := range []string{"127.9.9.9", "127.9.9.8"} {
		for range room - left {
			shakes.Begin(from{pipe, net.TCPAddr{IP: net.ParseIP(ip)}})
		}
	}
	stranger := s.client("other")
	stranger.Certificates = []tls.Certificate{newAuthority(t).issue(t, "other")}
	answered := 0
	for s.Stats().Refused[reasonTooOften] < 3 { // it gets back ten a second
		if s.askFrom("127.9.9.9", stranger, discoverOther) == 401 {
			answered++
		}
	}
	if answered < left {
		t.Errorf("%d answered before the first was turned away", answered)
	}
	for range 4 * left {
		if status := s.askFrom("127.9.9.8", s.client("other"), discoverOther); status != 200 {
			t.Fatalf("a device is answered %d", status)
		}
	}
}

// from is a connection from another address.
type from struct {
	net.Conn
	addr net.TCPAddr
}

func (f from) RemoteAddr() net.Addr { return &f.addr }
