package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockName is the file in the data folder that a running daemon holds locked.
const lockName = "greengate.lock"

// errLocked means that another daemon works on the same data.
var errLocked = errors.New("another greengate is running on the same data")

// lockData takes the data folder for this process, until release or the end of
// the process, however it ends. It does not wait: the error is errLocked when
// another process has it.
func lockData(dir string) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock data folder %s: %w", dir, errLocked)
		}
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	// The file stays: were it removed, a third process could lock a new one
	// while a second still waits on the old.
	return func() { _ = f.Close() }, nil
}

// inUse reports whether a process works on the data folder, without changing it.
func inUse(dir string) bool {
	f, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		return false // nobody has worked here, or nobody lets us look
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// lockConfig is lockFile for a command, and says whom the command waits for.
func (a *app) lockConfig(ctx context.Context) (release func(), err error) {
	release, err = lockFile(ctx, a.config, func(holder string) {
		fmt.Fprintf(a.stderr, "greengate: waits until %s has done with %s\n", holder, a.config)
	})
	switch {
	case err == nil:
		return release, nil
	case ctx.Err() != nil:
		return nil, errors.New("the command was interrupted while it waited; nothing has changed")
	}
	return nil, inputError{a.explainMissing(err)}
}

// silentWait is how long nothing is said of a wait: most are shorter.
const silentWait = time.Second

// lockFile waits until no other command edits the group file, and tells waits, once, who
// does when that takes its time. The lock is on its folder, since the file itself is replaced
// by each edit; through a link it is on the folder of the file that the link leads to.
func lockFile(ctx context.Context, file string, waits func(holder string)) (release func(), err error) {
	target, err := filepath.EvalSymlinks(file)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	f, err := os.Open(filepath.Dir(target))
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	locked := make(chan error, 1)
	go func() { locked <- unix.Flock(int(f.Fd()), unix.LOCK_EX) }()
	for slow := time.After(silentWait); ; {
		select {
		case err = <-locked:
			if err != nil {
				_ = f.Close()
				return nil, fmt.Errorf("lock %s: %w", file, err)
			}
			return func() { _ = f.Close() }, nil
		case <-slow:
			waits(holderOf(f))
		case <-ctx.Done():
			// The waiting goroutine ends with the process, which is now.
			return nil, fmt.Errorf("lock %s: %w", file, ctx.Err())
		}
	}
}

// holderOf names the process that holds the lock on a file, as far as proc(5) tells.
func holderOf(f *os.File) string {
	const unknown = "another command"
	var st unix.Stat_t
	locks, err := os.ReadFile("/proc/locks")
	if err != nil || unix.Fstat(int(f.Fd()), &st) != nil {
		return unknown
	}
	inode := fmt.Sprintf(":%d", st.Ino)
	for line := range strings.Lines(string(locks)) {
		// N: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE ...; who waits has -> before FLOCK.
		w := strings.Fields(line)
		if len(w) < 6 || w[1] != "FLOCK" || !strings.HasSuffix(w[5], inode) {
			continue
		}
		words, err := os.ReadFile("/proc/" + w[4] + "/cmdline")
		if err != nil || len(words) == 0 {
			return unknown
		}
		return fmt.Sprintf("`%s` (pid %s)", strings.Join(strings.FieldsFunc(string(words), func(r rune) bool { return r == 0 }), " "), w[4])
	}
	return unknown
}
