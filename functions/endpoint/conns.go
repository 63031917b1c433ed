package endpoint

import (
	"bytes"
	"net"
	"sync"
)

// conns are the connections that are served directly, and the way of those on to net/http
// that are so no more. It is the listener of net/http for these. Safe for concurrent use.
type conns struct {
	net.Listener
	over  chan net.Conn
	ended chan struct{} // closed when there are to be no more

	mu     sync.Mutex
	direct map[net.Conn]bool // nil: there are to be no more
}

func newConns(l net.Listener) *conns {
	return &conns{Listener: l, over: make(chan net.Conn), ended: make(chan struct{}), direct: map[net.Conn]bool{}}
}

// add takes in a connection; false: there are to be no more.
func (c *conns) add(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.direct != nil {
		c.direct[conn] = true
	}
	return c.direct != nil
}

func (c *conns) remove(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.direct, conn)
}

// handOver gives a connection to net/http, with what was read from it already.
func (c *conns) handOver(conn net.Conn, read []byte) {
	select {
	case c.over <- &begun{conn, bytes.Clone(read)}:
	case <-c.ended:
		_ = conn.Close()
	}
	c.remove(conn)
}

// Accept returns the next connection that is handed over.
func (c *conns) Accept() (net.Conn, error) {
	select {
	case conn := <-c.over:
		return conn, nil
	case <-c.ended:
		return nil, net.ErrClosed
	}
}

// Close ends all that is served directly. The listener itself is not closed.
func (c *conns) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.direct == nil {
		return nil
	}
	for conn := range c.direct {
		_ = conn.Close()
	}
	c.direct = nil
	close(c.ended)
	return nil
}

// begun is a connection of which something was read already.
type begun struct {
	net.Conn
	read []byte
}

// Read reads that first.
func (b *begun) Read(p []byte) (int, error) {
	if len(b.read) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.read)
	if b.read = b.read[n:]; len(b.read) == 0 {
		b.read = nil
	}
	return n, nil
}
