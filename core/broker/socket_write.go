package broker

import (
	"errors"
	"sync"
	"syscall"
)

// Bounds of what is written, in bytes.
const (
	// gathered is what goes into one system call: several records.
	gathered = 4 * (largeChunk + 256)
	// maxRest is what a socket may leave untaken. A connection writes nothing more
	// while there is any; what exceeds the bound are answers of TLS itself to a peer
	// that asks for them and does not read.
	maxRest = 2 * gathered
)

var errUnread = errors.New("the peer does not read")

var gathers = sync.Pool{New: func() any { b := make([]byte, 0, gathered); return &b }}

// writing is what a socket has to write.
type writing struct {
	send func(fd uintptr) bool // as RawConn wants it

	mu       sync.Mutex
	p        []byte // what send writes, how much of it went out, and why not all
	n        int
	failed   error
	held     *[]byte // gathers until uncork; nil: it is not corked
	rest     []byte  // what the socket has not taken yet
	draining bool    // a goroutine writes rest
	err      error   // that ended the writing
	emptied  func()  // runs once when rest is empty
}

// Write takes all of p, unless the connection has failed.
func (w *socket) Write(p []byte) (int, error) {
	out := &w.out
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.err != nil {
		return 0, out.err
	}
	if out.held != nil {
		*out.held = append(*out.held, p...)
		return len(p), nil
	}
	if err := w.put(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// cork has what is written gather until uncork.
func (w *socket) cork() {
	w.out.mu.Lock()
	defer w.out.mu.Unlock()
	if w.out.held == nil {
		w.out.held = gathers.Get().(*[]byte)
	}
}

// uncork writes what has gathered.
func (w *socket) uncork() error {
	out := &w.out
	out.mu.Lock()
	defer out.mu.Unlock()
	held := out.held
	out.held = nil
	if held == nil || out.err != nil {
		return out.err
	}
	err := w.put(*held)
	if cap(*held) <= gathered+4096 {
		*held = (*held)[:0]
		gathers.Put(held)
	}
	return err
}

// put writes p or keeps what the socket does not take. The caller holds mu.
func (w *socket) put(p []byte) error {
	out := &w.out
	if out.draining {
		if len(out.rest)+len(p) > maxRest {
			out.err = errUnread
			return out.err
		}
		out.rest = append(out.rest, p...)
		return nil
	}
	out.p, out.n, out.failed = p, 0, nil
	if err := w.raw.Write(out.send); err != nil {
		out.failed = err
	}
	out.p = nil
	if out.failed != nil {
		out.err = out.failed
		return out.err
	}
	if out.n < len(p) {
		out.rest = append([]byte(nil), p[out.n:]...)
		out.draining = true
		go w.drain()
	}
	return nil
}

// send writes what the socket takes now. It answers true, which means that
// RawConn must not wait.
func (w *socket) send(fd uintptr) bool {
	out := &w.out
	for out.n < len(out.p) {
		n, err := transfer(syscall.SYS_WRITE, fd, out.p[out.n:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return true
		case err != 0:
			out.failed = err
			return true
		}
		out.n += n
	}
	return true
}

// drain writes the rest as the peer makes room for it.
func (w *socket) drain() {
	out := &w.out
	out.mu.Lock()
	for len(out.rest) > 0 && out.err == nil {
		b := out.rest
		out.rest = nil
		out.mu.Unlock()
		_, err := w.Conn.Write(b)
		out.mu.Lock()
		if err != nil && out.err == nil {
			out.err = err
		}
	}
	out.rest, out.draining = nil, false
	f := out.emptied
	out.emptied = nil
	out.mu.Unlock()
	if f != nil {
		f()
	}
}

// behind tells whether the socket has not taken all that was written. Then f
// runs, on a goroutine of its own, when it has or the connection has failed.
func (w *socket) behind(f func()) bool {
	w.out.mu.Lock()
	defer w.out.mu.Unlock()
	if !w.out.draining {
		return false
	}
	w.out.emptied = f
	return true
}
