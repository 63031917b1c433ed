package cloudtest

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// half is one direction of a connection in memory: what is written can be read
// once it is due. It waits on channels only, so it may live in a synctest
// bubble.
type half struct {
	mu      sync.Mutex // protects all below; held for moments only
	chunks  []chunk
	size    int           // bytes in chunks
	last    time.Time     // when the newest chunk is due
	err     error         // what a reader gets after the chunks
	changed chan struct{} // closed at each change
}

type chunk struct {
	data []byte
	due  time.Time // zero: at once
}

// halfSize is how many bytes wait in a half before its writer does.
const halfSize = 1 << 20

func newHalf() *half { return &half{changed: make(chan struct{})} }

func (h *half) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// write adds a copy of p, due after delay of it. It waits while the half is
// full, until stop.
func (h *half) write(p []byte, delay func(n int, last time.Time) time.Time, stop <-chan struct{}) (int, error) {
	for {
		h.mu.Lock()
		if h.err != nil {
			h.mu.Unlock()
			return 0, io.ErrClosedPipe
		}
		if h.size < halfSize {
			due := time.Time{}
			if delay != nil {
				due = delay(len(p), h.last)
				h.last = due
			}
			h.chunks = append(h.chunks, chunk{append([]byte(nil), p...), due})
			h.size += len(p)
			h.wake()
			h.mu.Unlock()
			return len(p), nil
		}
		changed := h.changed
		h.mu.Unlock()
		select {
		case <-changed:
		case <-stop:
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// read waits for bytes that are due, until stop.
func (h *half) read(p []byte, stop <-chan struct{}) (int, error) {
	for {
		h.mu.Lock()
		var timer *time.Timer
		var due <-chan time.Time
		switch {
		case len(h.chunks) > 0:
			c := &h.chunks[0]
			wait := time.Until(c.due)
			if c.due.IsZero() || wait <= 0 {
				n := copy(p, c.data)
				if c.data = c.data[n:]; len(c.data) == 0 {
					h.chunks = h.chunks[1:]
				}
				h.size -= n
				h.wake()
				h.mu.Unlock()
				return n, nil
			}
			timer = time.NewTimer(wait)
			due = timer.C
		case h.err != nil:
			defer h.mu.Unlock()
			return 0, h.err
		}
		changed := h.changed
		h.mu.Unlock()
		select {
		case <-changed:
		case <-due:
		case <-stop:
			return 0, os.ErrDeadlineExceeded
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// end ends the half: readers get err after what is there, or, if dropped, at
// once.
func (h *half) end(err error, drop bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		h.err = err
	}
	if drop {
		h.chunks, h.size = nil, 0
	}
	h.wake()
}

// memoryConn is one end of a connection in memory.
type memoryConn struct {
	in, out     *half
	delay       func(n int, last time.Time) time.Time // of what is written; may be nil
	readUntil   deadline
	writeUntil  deadline
	local, peer net.Addr
}

// newMemoryPair makes a connection in memory.
func newMemoryPair(local, peer net.Addr) (near, far *memoryConn) {
	a, b := newHalf(), newHalf()
	return &memoryConn{in: a, out: b, local: local, peer: peer}, &memoryConn{in: b, out: a, local: peer, peer: local}
}

func (c *memoryConn) Read(p []byte) (int, error) {
	return c.in.read(p, c.readUntil.passed())
}

func (c *memoryConn) Write(p []byte) (int, error) {
	return c.out.write(p, c.delay, c.writeUntil.passed())
}

// Close ends both directions; the peer reads what was written before.
func (c *memoryConn) Close() error {
	c.out.end(io.EOF, false)
	c.in.end(net.ErrClosed, true)
	return nil
}

// reset ends both directions at once, as an RST does.
func (c *memoryConn) reset() {
	c.out.end(syscall.ECONNRESET, true)
	c.in.end(net.ErrClosed, true)
}

func (c *memoryConn) LocalAddr() net.Addr  { return c.local }
func (c *memoryConn) RemoteAddr() net.Addr { return c.peer }
func (c *memoryConn) SetDeadline(t time.Time) error {
	c.readUntil.set(t)
	c.writeUntil.set(t)
	return nil
}
func (c *memoryConn) SetReadDeadline(t time.Time) error  { c.readUntil.set(t); return nil }
func (c *memoryConn) SetWriteDeadline(t time.Time) error { c.writeUntil.set(t); return nil }

// deadline closes a channel when its time has come.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	past  chan struct{}
}

func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.past == nil {
		d.past = make(chan struct{})
	}
	return d.past
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.past == nil || d.timer != nil && !d.timer.Stop() || isClosed(d.past) {
		d.past = make(chan struct{})
	}
	d.timer = nil
	if t.IsZero() {
		return
	}
	past := d.past
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, func() { close(past) })
	} else {
		close(past)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Pipe is a listener in memory, for tests in a synctest bubble: give it as
// Options.Listener and let the client dial with Dial.
type Pipe struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// NewPipe makes a Pipe.
func NewPipe() *Pipe { return &Pipe{conns: make(chan net.Conn), done: make(chan struct{})} }

// Dial connects; it waits until the Cloud accepts.
func (p *Pipe) Dial(ctx context.Context) (net.Conn, error) {
	near, far := newMemoryPair(pipeAddr{}, pipeAddr{})
	select {
	case p.conns <- far:
		return near, nil
	case <-p.done:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept waits for the next Dial.
func (p *Pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close ends the Pipe: Accept and Dial return errors.
func (p *Pipe) Close() error { p.once.Do(func() { close(p.done) }); return nil }

// Addr is a name only.
func (p *Pipe) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
