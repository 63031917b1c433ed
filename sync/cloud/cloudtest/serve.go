package cloudtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// patience is how long a client may take for the TLS handshake and for its
// CONNECT.
const patience = 10 * time.Second

// Run serves until ctx ends, then disconnects all clients with 0x8B and returns
// nil. It returns an error when a listener breaks. It may be called once.
func (c *Cloud) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	https := newHandover(c.mqtt.Addr())
	server := &http.Server{Handler: http.HandlerFunc(c.serveData), ConnContext: contextOf, ErrorLog: quiet(c), ReadHeaderTimeout: patience}
	wg.Go(func() { _ = server.Serve(https) })

	for _, l := range []struct {
		net.Listener
		dataPlane bool
	}{{c.mqtt, false}, {c.data, true}} {
		if l.Listener == nil {
			continue
		}
		settings, err := c.serverTLS(l.dataPlane)
		if err != nil {
			cancel(err)
			break
		}
		wg.Go(func() {
			cancel(c.accepting(ctx, l.Listener, func(raw net.Conn) {
				c.serveRaw(ctx, raw, settings, l.dataPlane, https, &wg)
			}, &wg))
		})
	}
	<-ctx.Done()
	_ = c.mqtt.Close()
	if c.data != nil {
		_ = c.data.Close()
	}
	_ = https.Close()
	c.each("", func(cn *conn) { cn.disconnect(codeShuttingDown, "SERVER_INITIATED_DISCONNECT", "the cloud ends") })
	_ = server.Close()
	c.endTimers()
	c.weather.end()
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// endTimers stops what would act after the end.
func (c *Cloud) endTimers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sessions {
		s.stop()
	}
}

// accepting hands each connection to serve, in a goroutine of its own.
func (c *Cloud) accepting(ctx context.Context, l net.Listener, serve func(net.Conn), wg *sync.WaitGroup) error {
	for {
		raw, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = raw.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept on %s: %w", l.Addr(), err)
		}
		if c.Faults().Refuse {
			hardClose(raw)
			continue
		}
		wg.Go(func() { serve(raw) })
	}
}

// serveRaw does the handshake of a connection and serves it, as its ALPN says.
func (c *Cloud) serveRaw(ctx context.Context, raw net.Conn, settings *tls.Config, dataPlane bool, https *handover, wg *sync.WaitGroup) {
	l, conn := newLine(raw, c.weather, wg)
	client := tls.Server(conn, settings)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := client.HandshakeContext(ctx); err != nil {
		c.log.Debug("A handshake failed", "address", raw.RemoteAddr(), "err", err)
		_ = conn.Close()
		return
	}
	state := client.ConnectionState()
	if dataPlane || state.NegotiatedProtocol == alpnHTTP {
		https.hand(secured{client, thingOf(&state)})
		return
	}
	c.serveMQTT(client, thingOf(&state), l, wg)
}

// serveMQTT is the reader of a connection.
func (c *Cloud) serveMQTT(client *tls.Conn, thing string, l *line, wg *sync.WaitGroup) {
	defer client.Close()
	cn := &conn{c: c, net: client, line: l, thing: thing, ending: make(chan struct{}), written: make(chan struct{}), wake: make(chan struct{}, 1)}
	r := bufio.NewReaderSize(client, 16<<10)
	if !c.handshake(cn, r) {
		return
	}
	wg.Go(cn.write)
	reason, err := c.readPackets(cn, r)
	c.farewell(cn, reason, err)
	// The writer sends what is left, a DISCONNECT at most, and closes.
	<-cn.written
}

// farewell ends a connection whose reader has ended.
func (c *Cloud) farewell(cn *conn, reason string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b *breach
	switch {
	case errors.As(err, &b):
		_ = c.violate(cn.session.id, b.rule, b.detail)
		cn.disconnect(b.code, reasonOf(b), b.detail)
	case errors.Is(err, os.ErrDeadlineExceeded) && !cn.closing:
		_ = c.violate(cn.session.id, "keep-alive", "nothing was heard for 1.5 keep-alives")
		cn.disconnect(codeKeepAlive, "MQTT_KEEP_ALIVE_TIMEOUT", "keep-alive")
	case err == nil:
		cn.close(reason, reason == "CLIENT_INITIATED_DISCONNECT")
	default:
		cn.close("CONNECTION_LOST", false)
	}
}

// handshake reads the CONNECT and answers it. It returns false when the client
// was refused.
func (c *Cloud) handshake(cn *conn, r *bufio.Reader) bool {
	_ = cn.net.SetReadDeadline(time.Now().Add(patience))
	c.mu.Lock()
	limit := c.limits.Packet
	c.mu.Unlock()
	first, body, err := readFrame(r, limit)
	if err != nil {
		return false
	}
	p, err := parseConnect(first, body)
	version, client := version4, ""
	c.mu.Lock()
	if p != nil {
		version, client = p.version, p.client
	}
	if err == nil {
		err = c.connect(cn, p)
	}
	var b *breach
	refused := errors.As(err, &b)
	if refused {
		_ = c.violate(client, b.rule, b.detail)
	}
	c.mu.Unlock()
	if refused && b.code != codeMalformed {
		_, _ = cn.net.Write(refusal(version, b.code))
	}
	return err == nil
}

// readPackets reads until the connection ends. Without an error the client, or
// somebody else in the cloud, ended it, for the reason.
func (c *Cloud) readPackets(cn *conn, r *bufio.Reader) (reason string, err error) {
	for {
		deadline := time.Time{}
		if cn.keepAlive > 0 {
			deadline = time.Now().Add(cn.keepAlive * 3 / 2) // [MQTT-3.1.2-24]
		}
		_ = cn.net.SetReadDeadline(deadline)
		c.mu.Lock()
		limit := c.limits.Packet
		c.mu.Unlock()
		first, body, err := readFrame(r, limit)
		if err != nil {
			return "", err
		}
		c.mu.Lock()
		slow := cn.in.spend(time.Now(), len(body)+2, c.limits.Throughput)
		c.mu.Unlock()
		if slow > 0 && !cn.pause(slow) {
			return "", net.ErrClosed
		}
		if reason, err = c.packet(cn, first, body); err != nil || reason != "" {
			return reason, err
		}
	}
}

// reasonOf is the disconnectReason of a breach in presence events.
func reasonOf(b *breach) string {
	switch b.code {
	case codeNotAuthorized:
		return "FORBIDDEN_ACCESS"
	case codeQuota:
		return "THROTTLED"
	}
	return "CLIENT_ERROR"
}
