package admin

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// bounds are what those who may open the control socket may take of it. Answers have no
// time: a watch lasts as long as somebody reads it, and a function may work for minutes.
type bounds struct {
	most int // connections at a time
	kept int // of them, only for root and the user of the daemon, who must get in to mend things
	head time.Duration
	body time.Duration
	idle time.Duration // of a connection between two requests
}

var socketBounds = bounds{most: 64, kept: 16, head: 10 * time.Second, body: 30 * time.Second, idle: 30 * time.Second}

const mostSocketHeader = 64 << 10 // bytes

// toldAgain is how long the log keeps quiet about connections that find no room.
const toldAgain = 10 * time.Minute

// boundedSocket closes the connections for which it has no room: the oldest that has not
// asked for anything, or else the new one.
type boundedSocket struct {
	net.Listener
	bounds bounds
	tally  *tally
	log    *slog.Logger
	asks   func(net.Conn) (asker, bool) // who opened a connection

	mu   sync.Mutex
	open []*socketConn // guarded by mu: in order
	told time.Time     // guarded by mu: when the log last heard of one too many
}

// Accept returns the next connection that has room.
func (l *boundedSocket) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		who, known := l.asks(nc)
		c := &socketConn{Conn: nc, who: who, known: known}
		c.stranger = !known || who.uid != 0 && who.uid != uint32(os.Geteuid())
		c.leave = sync.OnceFunc(func() { l.left(c) })
		if l.enter(c) {
			return c, nil
		}
		_ = nc.Close() // there is nobody to tell
	}
}

// enter takes a connection in if there is room for it, or can be made.
func (l *boundedSocket) enter(c *socketConn) bool {
	l.mu.Lock()
	silent, room := l.room(c)
	if room {
		l.open = append(l.open, c)
	} else if time.Since(l.told) >= toldAgain {
		l.told = time.Now()
		l.log.Warn("too many connections to the control socket (told once in ten minutes, counted always)", "from", c.who.String(), "connections", len(l.open))
	}
	l.mu.Unlock()
	switch {
	case room:
		return true
	case silent == nil:
		l.tally.count("connections")
		return false
	}
	_ = silent.Close() // it counts as one that has not asked
	return l.enter(c)
}

// room tells whether there is any for a connection, and if not, which one could make
// room. The caller holds mu.
func (l *boundedSocket) room(c *socketConn) (silent *socketConn, room bool) {
	strangers := 0
	for _, o := range l.open {
		if o.stranger {
			strangers++
		}
	}
	crowded := c.stranger && strangers >= l.bounds.most-l.bounds.kept
	if !crowded && len(l.open) < l.bounds.most {
		return nil, true
	}
	i := slices.IndexFunc(l.open, func(o *socketConn) bool { return !o.asked.Load() && (o.stranger || !crowded) })
	if i < 0 {
		return nil, false
	}
	return l.open[i], false
}

// left takes note of the end of a connection.
func (l *boundedSocket) left(c *socketConn) {
	if !c.asked.Load() {
		l.tally.count("no-request")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.open, c); i >= 0 { // else it never got in
		l.open = slices.Delete(l.open, i, i+1)
	}
}

// socketConn is a connection of the control socket. It counts when it ends without a
// request that could be read.
type socketConn struct {
	net.Conn
	who      asker
	known    bool // who it is
	stranger bool // neither root nor the user of the daemon
	asked    atomic.Bool
	leave    func()
}

// Close makes room for another.
func (c *socketConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

type socketConnKey struct{}

// inSocket keeps with a connection what it is, and who asks there.
func inSocket(ctx context.Context, nc net.Conn) context.Context {
	c, ok := nc.(*socketConn)
	if !ok {
		return ctx
	}
	if ctx = context.WithValue(ctx, socketConnKey{}, c); c.known {
		ctx = context.WithValue(ctx, askerKey{}, c.who.String())
	}
	return ctx
}

// timed has a request be read within its time. The time ends with the body, lest it cut
// off the answer: net/http goes on reading to see whether the client is still there.
func (s *Server) timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(socketConnKey{}).(*socketConn); ok {
			c.asked.Store(true)
		}
		if r.ContentLength != 0 {
			control := http.NewResponseController(w)
			if control.SetReadDeadline(time.Now().Add(s.bounds.body)) == nil {
				r.Body = &timedBody{ReadCloser: r.Body, control: control, late: func() { s.tally.count("slow-request") }}
			}
		}
		next.ServeHTTP(w, r)
	})
}

type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	late    func()
	over    bool
}

// Read ends the time with the body.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil || b.over {
		return n, err
	}
	b.over = true
	if err == io.EOF {
		_ = b.control.SetReadDeadline(time.Time{})
	} else if os.IsTimeout(err) {
		b.late()
	}
	return n, err
}
