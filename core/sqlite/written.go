package sqlite

import (
	"bytes"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Touch writes the header of the database as it is, so that the commit goes to the
// disk although nothing has changed: a check that the disk takes writes.
func (tx *Tx) Touch() error {
	if tx.conn == nil {
		return ErrTxEnded
	}
	return tx.conn.exec("PRAGMA application_id=0") // which is what it is: nobody here sets it
}

// counted runs the group and adds to the statistics what it wrote to the disk, by
// the kernel's count for the thread: the WAL, and the checkpoints that commits
// make. Two looks at the count take some 10 microseconds, a commit on a card
// takes milliseconds.
func (c *counters) counted(group func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, known := threadWrites()
	group()
	if after, ok := threadWrites(); known && ok {
		c.written.Add(after - before)
	}
}

// threadWrites is how many bytes this thread has caused to be written to disks
// (proc(5), /proc/pid/io: write_bytes). A kernel without that count is not known.
func threadWrites() (n int64, known bool) {
	fd, err := unix.Open("/proc/thread-self/io", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	var buf [512]byte // seven short lines
	length, err := unix.Read(fd, buf[:])
	_ = unix.Close(fd)
	if err != nil {
		return 0, false
	}
	_, rest, found := bytes.Cut(buf[:length], []byte("\nwrite_bytes: "))
	digits, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err = strconv.ParseInt(string(digits), 10, 64)
	return n, found && err == nil
}
