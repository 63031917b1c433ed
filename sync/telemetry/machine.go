package telemetry

import (
	"fmt"
	"syscall"
)

// FreeBytes returns a function for Options.Free: the bytes that the file system of a
// folder still has for a program without privileges.
func FreeBytes(folder string) func() (int64, error) {
	return func() (int64, error) {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(folder, &fs); err != nil {
			return 0, fmt.Errorf("ask for the free space of %s: %w", folder, err)
		}
		return int64(fs.Bavail) * int64(fs.Bsize), nil
	}
}

// KernelSync is for Options.Synced: whether a time service keeps the clock of the
// kernel (adjtimex(2): not TIME_ERROR, not STA_UNSYNC).
func KernelSync() bool {
	const timeError, unsynced = 5, 0x40
	var t syscall.Timex
	state, err := syscall.Adjtimex(&t)
	return err == nil && state != timeError && t.Status&unsynced == 0
}
