package admin

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// toldAgain is how long the log keeps quiet about connections that find no room.
const toldAgain = 10 * time.Minute

// boundedListener closes the connections for which it has no room: the oldest that has
// nothing under way, or else the new one.
type boundedListener struct {
	net.Listener
	name  string // for the log
	most  int    // connections at a time
	share int    // of them, for one group
	// group says which group a connection is of, and who opened it. "" may have all.
	group func(*boundedConn) (group, who string)
	// admit, optional, turns a connection away by a reason of its own, before it costs more.
	admit func(net.Conn) (reason string)
	tally *tally
	log   *slog.Logger

	mu   sync.Mutex
	open []*boundedConn // guarded by mu: in order
	told time.Time      // guarded by mu: when the log last heard of one too many
}

// Accept returns the next connection that has room.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.admit != nil {
			if reason := l.admit(nc); reason != "" {
				l.tally.count(reason)
				l.tell(nc.RemoteAddr().String(), reason)
				_ = nc.Close() // there is nobody to tell
				continue
			}
		}
		c := &boundedConn{Conn: nc}
		c.group, c.who = l.group(c)
		c.leave = sync.OnceFunc(func() { l.left(c) })
		if l.enter(c) {
			return c, nil
		}
		_ = nc.Close()
	}
}

// enter takes a connection in if there is room for it, or can be made.
func (l *boundedListener) enter(c *boundedConn) bool {
	for {
		l.mu.Lock()
		waits, room := l.room(c)
		if room {
			l.open = append(l.open, c)
		}
		l.mu.Unlock()
		if room {
			return true
		}
		if waits == nil || waits.asked.Load() { // else it counts as one that has not asked
			l.tally.count("connections")
		}
		if waits == nil {
			l.tell(c.who, "connections")
			return false
		}
		_ = waits.Close()
	}
}

// room tells whether there is any for a connection, and if not, which one could make
// room. The caller holds mu.
func (l *boundedListener) room(c *boundedConn) (waits *boundedConn, room bool) {
	alike := 0
	for _, o := range l.open {
		if o.group == c.group {
			alike++
		}
	}
	crowded := c.group != "" && alike >= l.share
	if !crowded && len(l.open) < l.most {
		return nil, true
	}
	i := slices.IndexFunc(l.open, func(o *boundedConn) bool {
		return !o.busy.Load() && (o.group == c.group || !crowded)
	})
	if i < 0 {
		return nil, false
	}
	return l.open[i], false
}

func (l *boundedListener) tell(who, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.told) < toldAgain {
		return
	}
	l.told = time.Now()
	l.log.Warn("too many connections to the "+l.name+" (told once in ten minutes, counted always)", "from", who, "reason", reason, "connections", len(l.open))
}

// left takes note of the end of a connection.
func (l *boundedListener) left(c *boundedConn) {
	if !c.asked.Load() {
		l.tally.count("no-request")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.open, c); i >= 0 { // else it never got in
		l.open = slices.Delete(l.open, i, i+1)
	}
}

// boundedConn counts when it ends without a request that could be read: it said nothing
// for too long, was cut off in the middle, or spoke no HTTP or TLS.
type boundedConn struct {
	net.Conn
	group, who string
	asked      atomic.Bool // for anything, ever
	busy       atomic.Bool // with a request that was read, until it is answered
	leave      func()
}

// Close makes room for another.
func (c *boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// connKey is under what the context of a request has its connection.
type connKey struct{}

// withConn keeps in the context of a connection's requests what it is, and who asks there.
func withConn(ctx context.Context, nc net.Conn) context.Context {
	if c := bounded(nc); c != nil {
		ctx = context.WithValue(ctx, connKey{}, c)
		if c.who != "" {
			ctx = context.WithValue(ctx, askerKey{}, c.who)
		}
	}
	return ctx
}

// begin takes note of a request that was read.
func begin(r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(*boundedConn); ok {
		c.busy.Store(true)
		c.asked.Store(true)
	}
}

// rest takes note of one that is answered to the last byte.
func rest(nc net.Conn, state http.ConnState) {
	if c := bounded(nc); c != nil && state == http.StateIdle {
		c.busy.Store(false)
	}
}

func bounded(nc net.Conn) *boundedConn {
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	c, _ := nc.(*boundedConn)
	return c
}
