package endpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
)

// The kernel's answer about one TCP socket (Linux, sock_diag(7)). It takes
// microseconds; its tables in /proc take milliseconds on a large computer.
const (
	sockDiagByFamily = 20            // the type of a request, SOCK_DIAG_BY_FAMILY
	diagRequestSize  = 16 + 8 + 48   // struct nlmsghdr, and struct inet_diag_req_v2 with its inet_diag_sockid
	diagInode        = 16 + 68       // where struct inet_diag_msg has the inode, and
	diagAnswerSize   = diagInode + 4 // its end
	diagPatience     = 1             // seconds; the kernel answers at once
)

// errNoSocket says that there is no such socket.
var errNoSocket = errors.New("its far end is gone")

// diagInodeOf returns the inode of the socket whose own address is local,
// connected to remote: errNoSocket when there is none. Any other error says that
// the kernel cannot be asked this way.
func diagInodeOf(local, remote netip.AddrPort) (uint32, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, syscall.NETLINK_INET_DIAG)
	if err != nil {
		return 0, fmt.Errorf("open a socket to the kernel: %w", err)
	}
	defer syscall.Close(fd)
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: diagPatience}); err != nil {
		return 0, fmt.Errorf("open a socket to the kernel: %w", err)
	}
	if err := syscall.Sendto(fd, diagRequest(local, remote), 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("ask the kernel for a socket: %w", err)
	}
	answer := make([]byte, os.Getpagesize())
	n, _, err := syscall.Recvfrom(fd, answer, 0)
	if err != nil {
		return 0, fmt.Errorf("ask the kernel for a socket: %w", err)
	}
	return diagAnswer(answer[:n])
}

// diagRequest asks for one socket.
func diagRequest(local, remote netip.AddrPort) []byte {
	src, dst := local.Addr().As4(), remote.Addr().As4()
	b := make([]byte, 0, diagRequestSize)
	b = binary.NativeEndian.AppendUint32(b, diagRequestSize)
	b = binary.NativeEndian.AppendUint16(b, sockDiagByFamily)
	b = binary.NativeEndian.AppendUint16(b, syscall.NLM_F_REQUEST)
	b = append(b, make([]byte, 8)...) // sequence and port: one question, one answer
	b = append(b, syscall.AF_INET, syscall.IPPROTO_TCP, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, 0xFFFFFFFF) // in any state
	b = binary.BigEndian.AppendUint16(b, local.Port())
	b = binary.BigEndian.AppendUint16(b, remote.Port())
	b = append(append(b, src[:]...), make([]byte, 12)...)
	b = append(append(b, dst[:]...), make([]byte, 12)...)
	b = binary.NativeEndian.AppendUint32(b, 0)          // at any interface
	return binary.NativeEndian.AppendUint64(b, 1<<64-1) // INET_DIAG_NOCOOKIE
}

func diagAnswer(b []byte) (uint32, error) {
	if len(b) < 20 {
		return 0, errors.New("the kernel's answer about a socket is too short")
	}
	switch kind := binary.NativeEndian.Uint16(b[4:]); {
	case kind == syscall.NLMSG_ERROR:
		errno := syscall.Errno(-int32(binary.NativeEndian.Uint32(b[16:])))
		if errno == syscall.ENOENT {
			return 0, errNoSocket
		}
		return 0, fmt.Errorf("ask the kernel for a socket: %w", errno)
	case kind != sockDiagByFamily || len(b) < diagAnswerSize:
		return 0, errors.New("the kernel's answer about a socket is of another kind")
	}
	inode := binary.NativeEndian.Uint32(b[diagInode:])
	if inode == 0 { // its process has closed it
		return 0, errNoSocket
	}
	return inode, nil
}
