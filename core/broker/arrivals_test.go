package broker_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/broker"
	"greengate/core/router"
)

// far is a connection from an address of the network.
type far struct {
	net.Conn
	addr net.TCPAddr
}

func (f *far) RemoteAddr() net.Addr { return &f.addr }

// arrive hands the broker a connection from an address, and returns the client's end.
func arrive(b *broker.Broker, ca *authority, ip string, port int) net.Conn {
	here, there := net.Pipe()
	b.ServeConn(tls.Server(&far{there, net.TCPAddr{IP: net.ParseIP(ip), Port: port}},
		&tls.Config{Certificates: []tls.Certificate{ca.issue("server")}, ClientAuth: tls.RequireAnyClientCert}))
	return here
}

// An address whose connections are silent keeps nobody else out, and itself only
// until they are cut. Those that lose their place are counted once.
func TestSilentConnectionsOfOneAddress(t *testing.T) {
	ca := newAuthority()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r, b := build(ca, everything, func(o *broker.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		refused := func() (count uint64) { // for whatever reason
			synctest.Wait()
			r.Reasons(func(v router.Verdict, _ router.Reason, n uint64) {
				if v == router.Refused {
					count += n
				}
			})
			return count
		}
		connect := func(thing, ip string) {
			t.Helper()
			pool := x509.NewCertPool()
			pool.AddCert(ca.cert)
			conn := tls.Client(arrive(b, ca, ip, 1), &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", Certificates: []tls.Certificate{ca.issue(thing)}})
			c := &client{t: t, conn: conn, r: bufio.NewReader(conn)}
			if answer := c.hello(thing, connectOptions{}); len(answer) < 2 || answer[1] != 0 {
				t.Fatalf("CONNACK %x", answer)
			}
			t.Cleanup(func() { conn.Close() })
		}
		// One address opens more than there is room for, and is silent.
		const room, more = 1280, 100
		for i := range room + more {
			defer arrive(b, ca, "192.0.2.1", 1000+i).Close()
		}
		if n := refused(); n != more {
			t.Errorf("%d connections were refused, want %d", n, more)
		}
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "addr=192.0.2.1") {
			t.Errorf("the refusals are to be told once:\n%s", text)
		}
		// Others come in all the same, each in the place of one of these.
		const others = 300
		for i := range others {
			defer arrive(b, ca, "198.51.100."+strconv.Itoa(i%30), 1000+i).Close()
		}
		connect("a", "192.0.2.2")
		if n := refused(); n != more+others+1 {
			t.Errorf("%d connections were refused or lost their place, want %d", n, more+others+1)
		}
		// "a" has connected, and takes no place; the first address has none but its own.
		defer arrive(b, ca, "192.0.2.1", 3000).Close()
		defer arrive(b, ca, "192.0.2.1", 3001).Close()
		if n := refused(); n != more+others+2 {
			t.Errorf("%d connections were refused in the end, want %d", n, more+others+2)
		}
		time.Sleep(11 * time.Second) // virtual; from TCP to CONNECT there are 10
		connect("b", "192.0.2.1")
	})
}
