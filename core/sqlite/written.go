package sqlite

import (
	"runtime"

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
// the kernel's count for the thread: the WAL, and the checkpoints that commits make.
func (c *counters) counted(group func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadWrites()
	group()
	c.written.Add(threadWrites() - before)
}

// threadWrites is how many bytes this thread has caused to be written to disks, in whole
// blocks of 512 (getrusage(2): ru_oublock, which is write_bytes of proc(5) at the price
// of one call). A kernel without that count says 0.
func threadWrites() int64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0
	}
	return int64(u.Oublock) * 512
}
