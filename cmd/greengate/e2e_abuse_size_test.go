package main_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Abuse by size: more than may be, at every door.

// pour sends a head and then bytes without end, until the other side has had enough, and
// returns why it ended and what was answered.
func pour(conn net.Conn, head string) (answer string, err error) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	heard := make(chan string)
	go func() {
		line, _ := bufio.NewReader(conn).ReadString('\n')
		heard <- line
	}()
	_, err = io.WriteString(conn, head)
	for chunk := []byte(strings.Repeat("x", 64<<10)); err == nil; {
		_, err = conn.Write(chunk)
	}
	return <-heard, err
}

// TestAbuseOversize: each door closes, or answers, long before it has taken what it was sent.
func TestAbuseOversize(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"big", "honest2"})
	config := g.tls(g.identity("big"))
	config.NextProtos = nil
	secure := func(address string) func() (net.Conn, error) {
		return func() (net.Conn, error) { return tls.Dial("tcp", address, config) }
	}
	plain := func(network, address string) func() (net.Conn, error) {
		return func() (net.Conn, error) { return net.Dial(network, address) }
	}
	socket := g.socket()
	rounds := many(2, 30)
	for range rounds {
		packet := g.enters("big")
		var all sync.WaitGroup
		for _, c := range []struct {
			door   string
			dial   func() (net.Conn, error)
			head   string
			answer string // how it begins
		}{
			{"a packet", func() (net.Conn, error) { return packet, nil }, "\x30\xff\xff\xff\x7f", "\xe0"},
			{"a CONNECT", secure(g.broker), "\x10\xff\xff\xff\x7f\x00\x04MQTT\x05\x02\x00\x3c\x00", ""},
			{"a line at discovery", secure(g.discovery), "GET /", "HTTP/1.1 431 "},
			{"a head at discovery", secure(g.discovery), "GET / HTTP/1.1\r\nHost: gw\r\nX-More: ", "HTTP/1.1 431 "},
			{"a body at discovery", secure(g.discovery), "GET /greengrass/discover/thing/big HTTP/1.1\r\nHost: gw\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 200 "},
			{"a message at the data plane", secure(g.discovery), "POST /topics/x HTTP/1.1\r\nHost: gw\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 413 "},
			{"a shadow at the data plane", secure(g.discovery), "POST /things/big/shadow HTTP/1.1\r\nHost: gw\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 413 "},
			{"chunks at the data plane", secure(g.discovery), "POST /topics/x HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n4000000\r\n", "HTTP/1.1 413 "},
			{"a head at the page", plain("tcp", g.page), "GET / HTTP/1.1\r\nHost: localhost\r\nX-More: ", "HTTP/1.1 431 "},
			{"a body at the page", plain("tcp", g.page), "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 413 "},
			{"chunks at the page", plain("tcp", g.page), "POST /api/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4000000\r\n", "HTTP/1.1 4"},
			{"a head at the control socket", plain("unix", socket), "GET /v1/status HTTP/1.1\r\nHost: gw\r\nX-More: ", "HTTP/1.1 431 "},
			{"a shadow at the control socket", plain("unix", socket), "POST /v1/shadow?thing=big HTTP/1.1\r\nHost: gw\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 4"},
			{"a plan at the control socket", plain("unix", socket), "POST /v1/plan HTTP/1.1\r\nHost: gw\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 4"},
			{"chunks at the control socket", plain("unix", socket), "POST /v1/reload HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n4000000\r\n", "HTTP/1.1 "},
		} {
			all.Go(func() {
				conn, err := c.dial()
				if err != nil {
					t.Errorf("%s: %v", c.door, err)
					return
				}
				answer, err := pour(conn, c.head)
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: the gateway has not had enough after %v", c.door, patience)
				}
				if !strings.HasPrefix(answer, c.answer) && answer != "" { // a reset may take the answer with it
					t.Errorf("%s: answered %q, want %q", c.door, answer, c.answer)
				}
			})
		}
		all.Wait()
	}
	g.newcomer("oversize at every door")
	for reason, want := range map[string]int{"bad-connect": 1, "discovery-bad-request": 2, "rest-too-large": 2, "page-body": 1} {
		g.counted(reason, want*rounds)
	}
	g.withstood(mostGrowth, mostLines)
}

// TestAbusePageStreams: more viewers of the live page than there are places, none of
// whom reads.
func TestAbusePageStreams(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"honest2"})
	refused := 0
	for range 100 {
		conn, err := net.Dial("tcp", g.page)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
		_ = conn.SetDeadline(time.Now().Add(patience))
		answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode == http.StatusServiceUnavailable {
			refused++
		}
	}
	if refused != 100-32 {
		t.Errorf("%d of 100 viewers are refused, want all but 32", refused)
	}
	g.newcomer("viewers")
	g.counted("page-streams", refused)
	g.withstood(mostGrowth, mostLines)
}
