package admin

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"golang.org/x/sys/unix"
)

type askerKey struct{}

// asker is a process that asks at the control socket.
type asker struct {
	uid uint32
	pid int32
}

func (a asker) String() string { return fmt.Sprintf("uid %d, pid %d", a.uid, a.pid) }

// askerOf says who opened a connection of the control socket, as the kernel tells it.
func askerOf(nc net.Conn) (asker, bool) {
	unixConn, ok := nc.(*net.UnixConn)
	if !ok {
		return asker{}, false
	}
	raw, err := unixConn.SyscallConn()
	if err != nil {
		return asker{}, false
	}
	var cred *unix.Ucred
	_ = raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil || cred == nil {
		return asker{}, false
	}
	return asker{cred.Uid, cred.Pid}, true
}

// group has root and the user of the daemon, who must get in to mend things, share the
// socket with nobody.
func (s *Server) group(c *boundedConn) (group, who string) {
	a, known := s.asks(c.Conn)
	if !known {
		return "strangers", ""
	}
	if a.uid != 0 && a.uid != uint32(os.Geteuid()) {
		group = "strangers"
	}
	return group, a.String()
}

// Asker says who sent a request: the user and the process at the control socket, the
// address at the Page.
func Asker(r *http.Request) string {
	if who, ok := r.Context().Value(askerKey{}).(string); ok {
		return who
	}
	return r.RemoteAddr
}
