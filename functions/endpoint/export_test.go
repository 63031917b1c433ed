package endpoint

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// SetPatience sets how long a body may take.
func (e *Endpoint) SetPatience(d time.Duration) { e.patience = d }

// Admit asks whose the far end of a connection is.
func (e *Endpoint) Admit(conn net.Conn) error {
	return e.listener.guests.admit(conn.RemoteAddr(), conn.LocalAddr()) // conn is the client's end
}

// WithoutDiag has the endpoint do without sock_diag, as on some kernels.
func (e *Endpoint) WithoutDiag() {
	e.listener.guests.diag = func(netip.AddrPort, netip.AddrPort) (uint32, error) { return 0, errors.New("there is no sock_diag") }
}

// Take serves a connection as if the listener had accepted it, without asking whose it is.
func (e *Endpoint) Take(conn net.Conn) {
	e.conns.add(conn)
	go e.serveDirect(conn)
}

// ServeTaken serves those on which something unusual was asked, until Close.
func (e *Endpoint) ServeTaken() error { return e.server.Serve(e.conns) }

// SetToken sets what the local calls of Greengrass V1 must carry.
func (e *Endpoint) SetToken(token string) { e.keys.token = token }
