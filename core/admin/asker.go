package admin

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"golang.org/x/sys/unix"
)

type askerKey struct{}

// withAsker keeps with a connection of the control socket which process asks there, as the
// kernel tells it.
func withAsker(ctx context.Context, nc net.Conn) context.Context {
	unixConn, ok := nc.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := unixConn.SyscallConn()
	if err != nil {
		return ctx
	}
	var cred *unix.Ucred
	_ = raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil || cred == nil {
		return ctx
	}
	return context.WithValue(ctx, askerKey{}, fmt.Sprintf("uid %d, pid %d", cred.Uid, cred.Pid))
}

// Asker says who sent a request: the user and the process at the control socket, the
// address at the Page.
func Asker(r *http.Request) string {
	if who, ok := r.Context().Value(askerKey{}).(string); ok {
		return who
	}
	return r.RemoteAddr
}
