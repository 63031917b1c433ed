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
