package endpoint

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// listener accepts the connections of the instance, a bounded number at a time,
// and no others.
type listener struct {
	net.Listener
	guests   *guests
	refusals *refusals
	open     atomic.Int32
}

func newListener(l net.Listener, owns func(int) bool, r *refusals) *listener {
	return &listener{Listener: l, guests: &guests{owns: owns, diag: diagInodeOf, proc: "/proc"}, refusals: r}
}

// Accept returns the next connection. Whose it is, is asked in the goroutine
// that reads from it, so that a stranger keeps nobody waiting.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err // net/http knows which of them pass
		}
		if l.open.Add(1) <= MaxConnections {
			return &visit{Conn: conn, l: l}, nil
		}
		l.open.Add(-1)
		l.refusals.refuse(reasonConnections, fmt.Sprintf("closed a connection of a function that has %d of them", MaxConnections))
		_ = conn.Close()
	}
}

// visit is one connection. Its first read asks whose it is.
type visit struct {
	net.Conn
	l      *listener
	asked  bool // reads come one after the other
	closed sync.Once
}

func (v *visit) Read(b []byte) (int, error) {
	if !v.asked {
		v.asked = true
		if err := v.l.guests.admit(v.LocalAddr(), v.RemoteAddr()); err != nil {
			v.l.refusals.refuse(reasonStranger, "closed a connection that is none of the function's", "err", err)
			_ = v.Close()
			return 0, io.EOF
		}
	}
	return v.Conn.Read(b)
}

func (v *visit) Close() error {
	v.closed.Do(func() { v.l.open.Add(-1) })
	return v.Conn.Close()
}

var errStranger = errors.New("no process of the instance holds it")

// addrPort is the address of a TCP connection.
func addrPort(a net.Addr) (netip.AddrPort, error) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("%s is no TCP address", a)
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}
