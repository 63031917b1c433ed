package client

import (
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxSocketPath is how many bytes of a path fit into a socket address: 108 with
// the final NUL (unix(7), sun_path).
const maxSocketPath = 107

// ShortPath returns a name of the socket file that fits into a socket address,
// however deep its folder lies: a long one goes by way of /proc/self/fd, where
// the folder, held open until release is called, has a short name. The folder
// must exist; the file need not.
func ShortPath(socket string) (short string, release func(), err error) {
	if len(socket) <= maxSocketPath {
		return socket, func() {}, nil
	}
	dir, name := filepath.Split(socket)
	// O_PATH needs no right to read the folder, just as a connect does not.
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("open folder %s: %w", dir, err)
	}
	short = "/proc/self/fd/" + strconv.Itoa(fd) + "/" + name
	if len(short) > maxSocketPath {
		_ = unix.Close(fd)
		return "", nil, fmt.Errorf("the socket name %q is longer than the %d bytes that a socket address holds", name, maxSocketPath)
	}
	return short, func() { _ = unix.Close(fd) }, nil
}
