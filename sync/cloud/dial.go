package cloud

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/net/proxy"
)

// dial makes the TLS connection to a port of the endpoint, straight or through the
// proxy. It also returns what is below it. Each step has its time.
func (l *Link) dial(ctx context.Context, port int, config *tls.Config) (*tls.Conn, net.Conn, error) {
	address := net.JoinHostPort(l.o.Endpoint, strconv.Itoa(port))
	raw, err := l.reach(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	limit := l.o.Timing.Handshake
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(limited); err != nil {
		_ = raw.Close()
		if wrong := keyTrouble(config); wrong != nil {
			return nil, nil, wrong
		}
		if limited.Err() != nil {
			return nil, nil, fmt.Errorf("TLS with %s: no answer within %v", address, limit)
		}
		return nil, nil, fmt.Errorf("TLS with %s: %w", address, explainTLS(err))
	}
	if p := config.NextProtos; len(p) > 0 && conn.ConnectionState().NegotiatedProtocol != p[0] {
		_ = raw.Close()
		return nil, nil, fmt.Errorf("TLS with %s: the other side does not know %s, so it is not AWS IoT Core (does a proxy open TLS here?)", address, p[0])
	}
	return conn, raw, nil
}

// reach makes the TCP connection.
func (l *Link) reach(ctx context.Context, address string) (net.Conn, error) {
	limit := l.o.Timing.Dial
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	via, conn, err := "", net.Conn(nil), error(nil)
	if l.o.Proxy == "" {
		conn, err = l.o.Dial(limited, "tcp", address)
	} else {
		// CheckProxy has read it before.
		u, _ := url.Parse(l.o.Proxy)
		via = " through the proxy " + u.Host
		conn, err = l.reachThrough(limited, u, address)
	}
	if err == nil {
		return conn, nil
	}
	if limited.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("reach %s%s: no answer within %v", address, via, limit)
	}
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
		return nil, fmt.Errorf("reach %s%s: resolve the name %s: %s", address, via, dns.Name, dns.Err)
	}
	return nil, fmt.Errorf("reach %s%s: %w", address, via, err)
}

func (l *Link) reachThrough(ctx context.Context, u *url.URL, address string) (net.Conn, error) {
	if u.Scheme == "http" {
		return l.connectHTTP(ctx, u, address)
	}
	var auth *proxy.Auth
	if u.User != nil {
		password, _ := u.User.Password()
		auth = &proxy.Auth{User: u.User.Username(), Password: password}
	}
	dialer, err := proxy.SOCKS5("tcp", hostPort(u, "1080"), auth, forward{l.o.Dial})
	if err != nil {
		return nil, err
	}
	// The proxy resolves the name: there may be no DNS on this side of it.
	return dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
}

// forward is how package proxy wants its dialers.
type forward struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func (f forward) Dial(network, address string) (net.Conn, error) {
	return f.dial(context.Background(), network, address)
}

func (f forward) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return f.dial(ctx, network, address)
}

func hostPort(u *url.URL, port string) string {
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// maxProxyAnswer bounds the head of a proxy's answer, in bytes.
const maxProxyAnswer = 64 << 10

// connectHTTP opens a tunnel with CONNECT (RFC 9110, 9.3.6).
func (l *Link) connectHTTP(ctx context.Context, u *url.URL, address string) (_ net.Conn, err error) {
	conn, err := l.o.Dial(ctx, "tcp", hostPort(u, "80"))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			_ = conn.Close()
		}
	}()
	head := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if u.User != nil {
		password, _ := u.User.Password()
		head += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		return nil, fmt.Errorf("ask for the tunnel: %w", err)
	}
	r := bufio.NewReader(io.LimitReader(conn, maxProxyAnswer))
	answer, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, fmt.Errorf("ask for the tunnel: %w", unexpected(err))
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusProxyAuthRequired:
		return nil, errors.New("the proxy wants a user and a password, or others (407)")
	case answer.StatusCode/100 != 2:
		return nil, fmt.Errorf("the proxy refused the tunnel: %.100q", answer.Status)
	case r.Buffered() > 0: // in TLS the client speaks first
		return nil, errors.New("the proxy talks in its own tunnel")
	}
	return conn, nil
}
