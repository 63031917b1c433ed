package broker

import (
	"io"
	"net"
	"sync"
	"syscall"
	"unsafe"
)

// Sizes of what is read, in bytes.
const (
	recordHead = 5 // of a TLS record: type, version, length [RFC 8446 5.1]

	// ahead is what is read from the socket at once: several records.
	ahead = 64 << 10
)

var aheads = sync.Pool{New: func() any { return new([ahead]byte) }}

// socket is the TCP connection under the TLS of a client.
//
// Its Write does not wait: what the socket has no room for is written by a
// goroutine that lives until the peer has read. So whoever has something for a
// client may write it himself, without a goroutine to hand it to, and never
// depends on the client.
//
// Its Read reads ahead, but hands out one TLS record at a time: so TLS holds
// nothing back, and whole tells whether it could go on without the network.
//
// Both make their system calls without telling Go's scheduler, which is right for
// calls that do not wait: what it does for those that may (it wakes its monitor,
// when the gateway was idle) costs more than a small message.
type socket struct {
	net.Conn
	raw syscall.RawConn

	in  reading
	out writing
}

// reading belongs to the goroutine that reads.
type reading struct {
	fetch func(fd uintptr) bool // as RawConn wants it
	waits func()                // runs before Read waits for the network; nil: nothing
	buf   *[ahead]byte          // nil while there is nothing in it
	r, w  int                   // buf[r:w] is read and not handed out
	stub  []byte                // of the head of a record, while Read waits for the rest
	left  int                   // of the record that is being handed out
	err   error
}

// newSocket returns nc itself when it has no descriptor of the system.
func newSocket(nc net.Conn) net.Conn {
	s, ok := nc.(syscall.Conn)
	if !ok {
		return nc
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nc
	}
	w := &socket{Conn: nc, raw: raw}
	w.in.fetch, w.out.send = w.fetch, w.send
	return w
}

// Read hands out what has come of one record, and waits while nothing has.
func (w *socket) Read(p []byte) (int, error) {
	in := &w.in
	need := 1
	if in.left == 0 {
		need = recordHead // to know where the record ends
	}
	for in.w-in.r < need && in.err == nil {
		if err := w.raw.Read(in.fetch); err != nil {
			return 0, err // a deadline passes, and there may be another
		}
	}
	if in.w-in.r < need {
		return 0, in.err
	}
	b := in.buf[in.r:in.w]
	if in.left == 0 {
		in.left = recordSize(b)
	}
	n := copy(p, b[:min(len(b), in.left)])
	in.left -= n
	if in.r += n; in.r == in.w {
		in.release()
	}
	return n, nil
}

func recordSize(head []byte) int { return recordHead + int(head[3])<<8 + int(head[4]) }

// whole tells whether the next record has come.
func (w *socket) whole() bool {
	b := w.in.w - w.in.r
	return w.in.left == 0 && b >= recordHead && b >= recordSize(w.in.buf[w.in.r:w.in.w])
}

// fetch reads what the socket has. It answers false to be called again when there
// is more.
func (w *socket) fetch(fd uintptr) bool {
	in := &w.in
	if in.buf == nil {
		in.buf = aheads.Get().(*[ahead]byte)
		in.w, in.stub = copy(in.buf[:], in.stub), in.stub[:0]
	}
	if in.r > 0 {
		in.w, in.r = copy(in.buf[:], in.buf[in.r:in.w]), 0
	}
	n, err := transfer(syscall.SYS_READ, fd, in.buf[in.w:])
	for err == syscall.EINTR {
		n, err = transfer(syscall.SYS_READ, fd, in.buf[in.w:])
	}
	switch {
	case err == syscall.EAGAIN:
		in.stub = append(in.stub[:0], in.buf[:in.w]...)
		in.release()
		if in.waits != nil {
			in.waits()
		}
		return false
	case err != 0:
		in.err = err
	case n == 0:
		in.err = io.EOF
	}
	if in.w += max(n, 0); in.w == 0 {
		in.release()
	}
	return true
}

// release gives the buffer back: a client that is silent has none.
func (in *reading) release() {
	aheads.Put(in.buf)
	in.buf, in.r, in.w = nil, 0, 0
}

// transfer reads or writes; p must not be empty, and fd must not wait.
func transfer(call, fd uintptr, p []byte) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), err
}
