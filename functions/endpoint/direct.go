package endpoint

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

// A warm call is two requests that a runtime client repeats: for its next call, and with
// its answer. These are served here, in the goroutine that reads the connection and with
// the handler that serves all, one read and one write each; net/http hands each from
// goroutine to goroutine, which on a small computer costs more than the call. Whatever
// is not exactly such a request (see simple.go), and all that follows on its connection,
// net/http serves.

// Sizes of the buffer of a connection, in bytes.
const (
	directBuffer  = 4 << 10
	directLargest = 64 << 10 // the largest request that is served here
)

// restTime is how long the rest of a request is awaited here. It mostly comes at once.
const restTime = 10 * time.Second

// direct is a connection whose requests have all been simple.
type direct struct {
	e    *Endpoint
	conn net.Conn
	in   []byte // what was read and not dealt with
	room []byte // of in
	out  []byte

	request *http.Request // of the handler, and used again
	body    bytes.Reader
	header  http.Header
	status  int
	failed  bool // nothing more can be written
	client  client
}

// serveDirect serves a connection until it is over or given to net/http.
func (e *Endpoint) serveDirect(conn net.Conn) {
	d := &direct{e: e, conn: conn, room: make([]byte, directBuffer), header: http.Header{}}
	d.client.d = d
	d.request = (&http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: conn.RemoteAddr().String()}).WithContext(&d.client)
	defer func() {
		if p := recover(); p != nil { // as in net/http: no request ends the gateway
			e.server.ErrorLog.Printf("panic serving a function: %v\n%s", p, debug.Stack())
			e.conns.remove(conn)
			_ = conn.Close()
		}
	}()
	if d.serve() {
		e.conns.handOver(conn, d.in)
	} else {
		e.conns.remove(conn)
		_ = conn.Close()
	}
}

// serve serves simple requests; true: net/http is to go on.
func (d *direct) serve() (other bool) {
	awaited := false // the rest of a request
	for {
		r, size, what := parseSimple(d.in)
		if what == whole {
			if awaited {
				awaited = false
				_ = d.conn.SetReadDeadline(time.Time{})
			}
			d.in = d.in[size:]
			if d.answer(r); d.failed {
				return false
			}
			continue
		}
		if what == unusual || len(d.in) == directLargest {
			return true
		}
		if len(d.in) > 0 && !awaited {
			awaited = true
			_ = d.conn.SetReadDeadline(time.Now().Add(restTime))
		}
		d.compact()
		n, err := d.conn.Read(d.in[len(d.in):cap(d.in)])
		d.in = d.in[:len(d.in)+n]
		if n == 0 && err != nil {
			// What is left of a request is for net/http to judge.
			return len(d.in) > 0 && d.conn.SetReadDeadline(time.Time{}) == nil
		}
	}
}

// compact makes room behind what was read.
func (d *direct) compact() {
	room := d.room
	switch {
	case len(d.in) == 0 && len(room) > directBuffer:
		room = make([]byte, directBuffer) // a large request has come and gone
	case len(d.in) == len(room):
		room = make([]byte, min(2*len(room), directLargest))
	}
	d.room, d.in = room, room[:copy(room, d.in)]
}

// answer has the handler answer a request.
func (d *direct) answer(r simple) {
	q := d.request
	q.Method, q.URL, q.RequestURI, q.Host = r.method, r.url, r.url.Path, r.host
	d.body.Reset(r.body)
	q.Body, q.ContentLength = http.NoBody, int64(len(r.body))
	if len(r.body) > 0 {
		q.Body = io.NopCloser(&d.body)
	}
	clear(d.header)
	d.status = 0
	d.e.ServeHTTP(d, q)
	d.client.leave()
	if d.status == 0 || d.client.Err() != nil {
		d.failed = true // it has gone, or was left waiting until it did
	}
}

// Header is that of the answer: a handler sets Content-Length in it.
func (d *direct) Header() http.Header { return d.header }

// WriteHeader begins the answer.
func (d *direct) WriteHeader(status int) { d.status = status }

// Write sends the answer: a handler calls it once.
func (d *direct) Write(body []byte) (int, error) {
	if d.status == 0 {
		d.status = http.StatusOK
	}
	b := append(d.out[:0], "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(d.status), 10)
	b = append(append(b, ' '), http.StatusText(d.status)...)
	for name, values := range d.header {
		b = append(append(append(b, "\r\n"...), name...), ": "...)
		b = appendValue(b, values[0])
	}
	b = append(b, "\r\nDate: "...)
	b = time.Now().UTC().AppendFormat(b, http.TimeFormat)
	b = append(append(b, "\r\n\r\n"...), body...)
	if cap(b) <= directLargest {
		d.out = b
	}
	if _, err := d.conn.Write(b); err != nil {
		d.failed = true
		return 0, err
	}
	return len(body), nil
}

// appendValue appends what may stand in a header.
func appendValue(b []byte, value string) []byte {
	for i := range len(value) {
		if c := value[i]; c >= ' ' {
			b = append(b, c)
		} else {
			b = append(b, ' ')
		}
	}
	return b
}

// SetReadDeadline is for a handler that reads the body, which has come already.
func (d *direct) SetReadDeadline(time.Time) error { return nil }

// client is the context of a request: it ends when the client goes. Only a handler that
// waits has it watched.
type client struct {
	d        *direct
	done     chan struct{} // closed when the client has gone; nil: nobody watches
	watching chan struct{} // closed when nobody watches any more
}

var _ context.Context = (*client)(nil)

// Deadline is none.
func (*client) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Value is none.
func (*client) Value(any) any { return nil }

// Err is nil until the client has gone.
func (c *client) Err() error {
	select {
	case <-c.done:
		return context.Canceled
	default:
		return nil
	}
}

// Done watches whether the client goes. It and Err are called by the goroutine of the
// request only, as is leave.
func (c *client) Done() <-chan struct{} {
	if c.done == nil {
		c.done, c.watching = make(chan struct{}), make(chan struct{})
		go c.watch(c.done, c.watching)
	}
	return c.done
}

// watch reads: a client that waits for an answer sends nothing, unless its next request.
func (c *client) watch(done, watching chan struct{}) {
	defer close(watching)
	d := c.d
	d.compact()
	n, err := d.conn.Read(d.in[len(d.in):cap(d.in)])
	d.in = d.in[:len(d.in)+n]
	if n == 0 && err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		close(done)
	}
}

// leave ends the watch.
func (c *client) leave() {
	if c.done == nil {
		return
	}
	_ = c.d.conn.SetReadDeadline(time.Unix(1, 0))
	<-c.watching
	_ = c.d.conn.SetReadDeadline(time.Time{})
	if c.Err() == nil {
		c.done = nil
	}
}
