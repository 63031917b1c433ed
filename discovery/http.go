package discovery

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// drainMax is how much of a body that nobody wanted is read to keep a
// connection, in bytes. With more to come it is ended.
const drainMax = 256 << 10

// lingerTime is how long a connection that we end waits for its client to take
// the answer.
const lingerTime = 500 * time.Millisecond

// longAgo is a deadline that ends a read at once.
var longAgo = time.Unix(1, 0)

// conversation is one connection on which HTTP/1.1 is spoken. It belongs to the
// goroutine that runs converse.
type conversation struct {
	s    *Server
	conn *tls.Conn
	tap  *tap
	in   *bufio.Reader // reads from tap
}

// tap lets so many bytes of a connection through, and remembers how that ended:
// the parser, half-way through a line, tells only that the line is malformed.
type tap struct {
	conn io.Reader
	left int64
	err  error
}

var errTooLarge = errors.New("more bytes than allowed")

func (t *tap) Read(p []byte) (n int, err error) {
	if t.left <= 0 {
		t.err = errTooLarge
		return 0, t.err
	}
	n, err = t.conn.Read(p[:min(int64(len(p)), t.left)])
	t.left -= int64(n)
	t.err = err
	return n, err
}

// badRequest is a request that never reaches a handler.
type badRequest struct {
	status  int
	message string
}

func (b *badRequest) Error() string { return b.message }

// converse answers requests until one side has had enough. It calls asked when a request
// has come; its error says why the connection has to go. It closes conn.
func (s *Server) converse(ctx, hard context.Context, conn *tls.Conn, asked func() error, roomy func() bool) {
	defer conn.Close()
	defer context.AfterFunc(hard, func() { conn.NetConn().Close() })()
	source := &tap{conn: conn}
	c := &conversation{s: s, conn: conn, tap: source, in: bufio.NewReader(source)}
	base := context.WithValue(hard, http.LocalAddrContextKey, conn.LocalAddr())

	for wait := s.limits.header; ; wait = s.limits.idle {
		r, err := c.read(ctx, wait)
		w := newResponse()
		var bad *badRequest
		switch {
		case errors.As(err, &bad):
			s.stats.refuse(refusal{reason: reasonBadRequest, remote: conn.RemoteAddr().String(), err: bad})
			writeError(w, bad.status, bad.message)
			w.closes = true
			if r == nil { // its method is not known, either
				r = &http.Request{Method: http.MethodGet}
			}
		case err != nil:
			s.lost(conn, err)
			return
		default:
			if err := asked(); err != nil {
				writeError(w, http.StatusTooManyRequests, err.Error())
				w.closes = true
			} else {
				c.answer(base, w, r)
			}
		}
		w.closes = w.closes || ctx.Err() != nil || !roomy()
		conn.SetWriteDeadline(time.Now().Add(s.limits.write))
		_, err = conn.Write(w.encode(r.Method))
		w.sent()
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				s.stats.refuse(refusal{reason: reasonUnread, remote: conn.RemoteAddr().String(), err: err})
			}
			return
		}
		if w.closes {
			linger(conn)
			return
		}
	}
}

// read returns the next request. It waits for its first byte until wait is over
// or ctx ends. An error is a *badRequest when it deserves an answer; the request comes
// with it as far as it could be read.
func (c *conversation) read(ctx context.Context, wait time.Duration) (*http.Request, error) {
	// Some of it is in the buffer already.
	c.tap.left = c.s.limits.headSize - int64(c.in.Buffered())
	c.conn.SetReadDeadline(time.Now().Add(wait))
	stop := context.AfterFunc(ctx, func() { c.conn.SetReadDeadline(longAgo) })
	_, err := c.in.Peek(1)
	if !stop() {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}

	c.conn.SetReadDeadline(time.Now().Add(c.s.limits.header))
	r, err := http.ReadRequest(c.in)
	switch {
	case err != nil && c.tap.err == errTooLarge:
		return nil, &badRequest{http.StatusRequestHeaderFieldsTooLarge, "the head of the request is too large"}
	case err != nil && errors.Is(c.tap.err, os.ErrDeadlineExceeded):
		return nil, &badRequest{http.StatusRequestTimeout, "the head of the request took too long"}
	case err != nil && c.tap.err != nil:
		return nil, c.tap.err
	case err != nil:
		return nil, &badRequest{http.StatusBadRequest, "the request is malformed: " + err.Error()}
	case r.ProtoMajor != 1:
		return r, &badRequest{http.StatusHTTPVersionNotSupported, "this is HTTP/1.1, not " + r.Proto}
	case r.ProtoAtLeast(1, 1) && r.Host == "":
		return r, &badRequest{http.StatusBadRequest, "the request has no Host header"}
	}
	c.tap.left = math.MaxInt64
	c.conn.SetDeadline(time.Now().Add(c.s.limits.body)) // to write, too: reading the body may ask for it
	r.RemoteAddr = c.conn.RemoteAddr().String()
	state := c.conn.ConnectionState()
	r.TLS = &state
	return r, nil
}

// answer has the handler fill w, and settles whether the connection can go on.
func (c *conversation) answer(ctx context.Context, w *response, r *http.Request) {
	// HTTP/1.0 knows no 100, and would take it for the answer (RFC 9110, 10.1.1).
	expected := r.ProtoAtLeast(1, 1) && strings.EqualFold(r.Header.Get("Expect"), "100-continue")
	body := &lazyBody{ReadCloser: r.Body, conn: c.conn, expected: expected}
	r.Body = body
	func() {
		defer func() {
			if p := recover(); p != nil {
				c.s.log.Error("panic in an HTTP handler", "err", fmt.Sprint(p), "path", r.URL.Path, "stack", string(debug.Stack()))
				sent := w.sent
				*w = *newResponse()
				w.sent = sent
				writeError(w, http.StatusInternalServerError, "internal failure")
				w.closes = true
			}
		}()
		c.s.handle(w, r.WithContext(ctx))
	}()
	w.closes = w.closes || r.Close || !r.ProtoAtLeast(1, 1) || strings.EqualFold(w.header.Get("Connection"), "close")
	if !w.closes {
		w.closes = !body.drain()
	}
}

// lazyBody is a request's body that asks the client for itself when it is first
// read (Expect: 100-continue, RFC 9110, 10.1.1).
type lazyBody struct {
	io.ReadCloser
	conn     net.Conn
	expected bool // the client still waits to be asked
}

func (b *lazyBody) Read(p []byte) (int, error) {
	if b.expected {
		b.expected = false
		if _, err := io.WriteString(b.conn, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return 0, err
		}
	}
	return b.ReadCloser.Read(p)
}

// drain reads what is left, and says whether the next request can follow.
func (b *lazyBody) drain() bool {
	if b.expected {
		return false // it may come, or not: there is no telling where the next request begins
	}
	n, err := io.CopyN(io.Discard, b.ReadCloser, drainMax+1)
	return n <= drainMax && errors.Is(err, io.EOF)
}

// lost records a connection that ended otherwise than by being idle or closed.
// In TLS 1.3 this is where a client tells that it does not trust our
// certificate.
func (s *Server) lost(conn *tls.Conn, err error) {
	var alert *net.OpError
	if errors.As(err, &alert) && alert.Op == "remote error" {
		s.stats.refuse(refusal{reason: reasonHandshake, remote: conn.RemoteAddr().String(), err: err})
	}
}

// linger ends our side and waits until the client has ended its own: closing at
// once, with bytes unread, would reset the connection and could take the answer
// with it. Time is the bound, for a client may still have much to send before
// it reads.
func linger(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	conn.SetReadDeadline(time.Now().Add(lingerTime))
	io.Copy(io.Discard, conn)
	conn.Close()
}
