package sqlite

import (
	"errors"
	"fmt"
	"os"

	sqlite3 "github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"
)

// openLasting is openConn for a file that keeps FILE-wal and FILE-shm when its last
// connection closes. The WAL is empty then: all is in FILE, as in a file without them.
func openLasting(file string, r role) (*conn, error) {
	c, err := openConn(file, r)
	if err != nil {
		return nil, err
	}
	if err := c.raw.SetFileControlInt("main", sqlite3.SQLITE_FCNTL_PERSIST_WAL, 1); err != nil {
		return nil, errors.Join(classify(err), c.close())
	}
	return c, nil
}

// room is what a database has on the disk besides its file, also while nobody has it
// open: SQLite needs an index in FILE-shm and a WAL, and would give both back with the
// last connection. A gateway that stopped while the disk filled up would then not start
// again.
type room struct {
	file  string
	index int // descriptor of FILE-shm; 0: none
}

const (
	// walRoom is what a WAL has whatever its length, in bytes: enough for some dozens of
	// commits, after which it can be moved into the file and begun anew.
	walRoom = 256 << 10
	// indexSize is that of the index of a WAL of up to 4062 pages, in bytes.
	indexSize = 32 << 10
	// indexRoom is what FILE-shm has. SQLite cuts it at each start and makes it anew in
	// pieces, and a file system may need a block or two more for that.
	indexRoom = 2 * indexSize
)

// take allocates the room, once the database is open. SQLite sees to a byte in each 4 KiB
// of the index, which it maps: where blocks are smaller, a full disk would end the process
// at the first commit (SIGBUS).
func (r *room) take() error {
	index, err := unix.Open(r.file+"-shm", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the index of the WAL: %w", err)
	}
	r.index = index
	err = fallocate(index, 0, indexSize)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: allocate the index of the WAL: %w", ErrFull, err)
	}
	allocate(index, indexSize, indexRoom)
	r.fillWAL()
	return nil
}

// leave lets go of the index, and sees to the room of the WAL, which SQLite has emptied.
// The locks of SQLite on the index belong to the process, and would end with our
// descriptor: it stays while a connection is in use.
func (r *room) leave(inUse bool) {
	if !inUse && r.index > 0 {
		_ = unix.Close(r.index)
		r.index = 0
	}
	r.fillWAL()
}

// fillWAL allocates the room of the WAL.
func (r *room) fillWAL() {
	wal, err := os.OpenFile(r.file+"-wal", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer wal.Close()
	allocate(int(wal.Fd()), 0, walRoom)
}

// allocate sees to the blocks of a part of a file, or to as many of them as there are; the
// length of the file stays. On a file system that cannot do that, who writes has to find
// room himself.
func allocate(file int, from, to int64) {
	const least = 1 << 10
	for n := to - from; from < to && n >= least; {
		if fallocate(file, from, min(n, to-from)) != nil {
			n /= 2
			continue
		}
		from += n
	}
}

// fallocate is fallocate(2), begun anew when a signal interrupts it: Go's runtime sends
// itself some.
func fallocate(file int, from, n int64) error {
	for {
		if err := unix.Fallocate(file, unix.FALLOC_FL_KEEP_SIZE, from, n); err != unix.EINTR {
			return err
		}
	}
}
