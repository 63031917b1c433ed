package main_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"greengate/core/admin/client"
)

// Abuse by slowness: connections that are kept busy with a byte now and then.

// drip sends what is to be said on each connection byte by byte, a byte to all of them
// and then the next, until the test ends, and never the last one.
func drip(t *testing.T, conns []net.Conn, text func(i int) string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	t.Cleanup(func() { cancel(); <-ended })
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for at := 0; ; at++ {
			for i, conn := range conns {
				if s := text(i); at < len(s)-1 {
					_, _ = conn.Write([]byte{s[at]}) // it may be closed already
				}
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
}

// dials opens n connections.
func dials(t *testing.T, n int, dial func() (net.Conn, error)) (conns []net.Conn) {
	t.Helper()
	for range n {
		conn, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		t.Cleanup(func() { _ = conn.Close() })
	}
	return conns
}

// TestAbuseSlowLoris: at each listener, all at the same time, connections that never
// come to the end of what they say.
func TestAbuseSlowLoris(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"slow", "honest2"})
	n := many(100, 1000)
	config := g.tls(g.identity("slow"))
	secure := func(address string) func() (net.Conn, error) {
		return func() (net.Conn, error) { return tls.Dial("tcp", address, config) }
	}
	connect := string(rawConnect(5, "slow"))
	drip(t, dials(t, n, secure(g.broker)), func(int) string { return connect })
	drip(t, dials(t, 60, secure(g.discovery)), func(i int) string {
		return []string{
			"GET /greengrass/discover/thing/slow HTTP/1.1\r\nHost: gw\r\nX-More: and so on\r\n\r\n",
			"POST /topics/calm%2Fx HTTP/1.1\r\nHost: gw\r\nContent-Length: 100000\r\n\r\nhalf of it",
		}[i%2]
	})
	for range 60 { // whole heads; then the bodies come slowly. The 33rd and more are refused
		conn, err := tls.Dial("tcp", g.discovery, config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "POST /topics/calm%2Fx HTTP/1.1\r\nHost: gw\r\nContent-Length: 100000\r\n\r\n")
		drip(t, []net.Conn{conn}, func(int) string { return "half of the body" })
	}
	plain := func(network, address string) func() (net.Conn, error) {
		return func() (net.Conn, error) { return net.Dial(network, address) }
	}
	socket := g.socket()
	drip(t, dials(t, n, plain("unix", socket)), func(i int) string {
		return []string{
			"GET /v1/status HTTP/1.1\r\nHost: gw\r\nX-More: and so on\r\n\r\n",
			"POST /v1/shadow?thing=slow HTTP/1.1\r\nHost: gw\r\nContent-Length: 100\r\n\r\n{\"state\":",
		}[i%2]
	})
	drip(t, dials(t, n, plain("tcp", g.page)), func(i int) string {
		return []string{
			"GET / HTTP/1.1\r\nHost: localhost\r\nX-More: and so on\r\n\r\n",
			"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{\"token\":",
		}[i%2]
	})
	g.newcomer("slow connections everywhere")
	g.counted("rest-throttled", 60-32)
	eventually(t, "the status page is served", func() bool {
		answer, err := http.Get("http://" + g.page + "/healthz")
		if err != nil {
			return false
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		return answer.Body.Close() == nil && answer.StatusCode == 200
	})
	g.counted("bad-connect", n)             // 10 s after they came
	g.withstood(mostGrowth+n*48, mostLines) // 48 KiB for each at the broker, as in TestAbuseReconnects
}

// socket is the control socket under a name that fits into an address.
func (g *siege) socket() string {
	g.t.Helper()
	path, release, err := client.ShortPath(filepath.Join(g.dir, "data", "greengate.sock"))
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(release)
	return path
}
