package cloud

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// splice carries bytes between two connections until one ends.
func splice(a, b net.Conn) {
	var both sync.WaitGroup
	carry := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		to.Close()
		from.Close()
	}
	both.Go(func() { carry(a, b) })
	carry(b, a)
	both.Wait()
}

// asked notes what a proxy was asked for.
type asked struct {
	mu   sync.Mutex
	what []string
}

func (a *asked) add(s string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.what = append(a.what, s)
}

func (a *asked) first() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.what[0]
}

// httpProxy takes CONNECT for user u with password p only.
func httpProxy(t *testing.T, target string, a *asked) string {
	return serve(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		a.add(r.Method + " " + r.RequestURI + " " + r.Host)
		if r.Header.Get("Proxy-Authorization") != "Basic dTpw" {
			_, _ = io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nno!\n")
			return
		}
		up, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
		splice(c, up)
	})
}

// socksProxy speaks SOCKS 5 (RFC 1928, 1929), for user u with password p only.
func socksProxy(t *testing.T, target string, a *asked) string {
	return serve(t, func(c net.Conn) {
		b := make([]byte, 512)
		read := func(n int) []byte { _, _ = io.ReadFull(c, b[:n]); return b[:n] }
		read(int(read(2)[1])) // methods
		_, _ = c.Write([]byte{5, 2})
		user := string(read(int(read(2)[1])))
		password := string(read(int(read(1)[0])))
		if user != "u" || password != "p" {
			_, _ = c.Write([]byte{1, 1})
			return
		}
		_, _ = c.Write([]byte{1, 0})
		kind := read(4)[3]
		name := string(read(int(read(1)[0])))
		port := binary.BigEndian.Uint16(read(2))
		a.add(strings.Join([]string{string('0' + rune(kind)), name, string(rune('0' + port%10))}, " "))
		up, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		splice(c, up)
	})
}

func TestProxy(t *testing.T) {
	for _, c := range []struct {
		name   string
		start  func(*testing.T, string, *asked) string
		scheme string
		asked  string
		refuse string // what a wrong password gives
	}{
		// The proxy gets the name: there may be no DNS on this side.
		{"HTTP", httpProxy, "http", "CONNECT " + endpoint + ":8883 " + endpoint + ":8883", "the proxy wants a user and a password, or others (407)"},
		{"SOCKS", socksProxy, "socks5", "3 " + endpoint + " 3", "username/password authentication failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, func(p *peer) { p.welcome(); p.rest() })
			o, a := f.options(), &asked{}
			o.Dial = nil // the proxy's own address is dialled
			address := c.start(t, f.addr, a)
			o.Proxy = c.scheme + "://u:p@" + address
			untilConnected(t, run(t, o))
			if a.first() != c.asked {
				t.Errorf("the proxy was asked for %q, want %q", a.first(), c.asked)
			}
			if f.hello[0].ServerName != endpoint {
				t.Errorf("SNI %q", f.hello[0].ServerName)
			}
			o.Proxy = c.scheme + "://u:wrong@" + address
			l := run(t, o)
			untilError(t, l, c.refuse)
			if s := l.Status(); strings.Contains(s.LastError, "wrong") || !strings.Contains(s.LastError, "through the proxy "+address) {
				t.Errorf("error %q", s.LastError)
			}
		})
	}
}

func TestProxyFaults(t *testing.T) {
	for _, c := range []struct{ name, answer, text string }{
		{"refuses", "HTTP/1.1 403 Forbidden\r\n\r\n", `the proxy refused the tunnel: "403 Forbidden"`},
		{"is none", "SSH-2.0-OpenSSH\r\n", "ask for the tunnel: malformed HTTP"},
		{"closes", "", "ask for the tunnel: unexpected EOF"},
		{"talks", "HTTP/1.1 200 OK\r\n\r\nhello", "the proxy talks in its own tunnel"},
		{"stalls", "...", "no answer within 20ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, func(*peer) {})
			o := f.options()
			o.Timing.Dial = 20 * time.Millisecond
			if c.answer != "..." {
				o.Timing.Dial = 5 * time.Second
			}
			o.Dial = nil
			o.Proxy = "http://" + serve(t, func(conn net.Conn) {
				if c.answer == "..." {
					silence(conn)
					return
				}
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, c.answer)
			})
			untilError(t, run(t, o), c.text)
		})
	}
}

func TestNewRefuses(t *testing.T) {
	good := Options{Endpoint: endpoint, Port: 8883, Core: "gw"}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for text, edit := range map[string]func(*Options){
		"the endpoint is missing":      func(o *Options) { o.Endpoint = "" },
		"0 is no port":                 func(o *Options) { o.Port = 0 },
		"MQTT version 3 is not":        func(o *Options) { o.Version = 3 },
		"a keep-alive of 1ns is out":   func(o *Options) { o.KeepAlive = 1 },
		"the core is no client id":     func(o *Options) { o.Core = "a/b" },
		`a proxy of the kind "ftp" is`: func(o *Options) { o.Proxy = "ftp://x" },
	} {
		o := good
		edit(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want %q", err, text)
		}
	}
}

// Run ends at once, wherever an attempt is.
func TestRunEnds(t *testing.T) {
	stall := func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	f := newFake(t, func(p *peer) { p.rest() }) // no CONNACK
	for name, edit := range map[string]func(*Options){
		"in TCP":      func(o *Options) { o.Dial = stall },
		"in TLS":      func(o *Options) { o.Dial = dialTo(serve(t, silence)) },
		"in CONNACK":  func(*Options) {},
		"in the wait": func(o *Options) { o.CA = "/none"; o.Timing.Retry = Backoff{time.Hour, time.Hour} },
	} {
		t.Run(name, func(t *testing.T) {
			o := f.options()
			o.Timing = Timing{}
			edit(&o)
			l, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			start := time.Now()
			if err := l.Run(ctx); err != nil || time.Since(start) > 5*time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	}
}
