package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// startsName is the file in the data folder with the number of starts in a row
// that have not proven good.
const startsName = "starts"

// provenAfter is how long a gateway must have been ready for its start to have
// been a good one.
const provenAfter = time.Minute

// backOff lets a gateway that fails again and again wait before it tries the next
// time. systemd before 254 has no such thing, and a newer one (RestartSteps=) never
// forgets: after eight failures in as many years each restart would take the
// longest time (https://github.com/systemd/systemd/issues/43813). So the gateway
// counts itself. Without systemd it does not: who starts it there waits himself, or
// is a person.
type backOff struct {
	file   string
	notify *notifier
	log    *slog.Logger
	failed int // starts in a row before this one
}

// newBackOff counts this start among those that have yet to prove good.
func newBackOff(data string, n *notifier, log *slog.Logger) *backOff {
	b := &backOff{file: filepath.Join(data, startsName), notify: n, log: log.With("component", "systemd")}
	if n.socket == "" {
		return b
	}
	text, err := os.ReadFile(b.file)
	if err == nil {
		b.failed, _ = strconv.Atoi(strings.TrimSpace(string(text))) // half a file counts nothing
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.WriteFile(b.file, fmt.Appendln(nil, b.failed+1), 0o600)
	}
	if err != nil {
		b.log.Warn("starts cannot be counted: one that fails again and again will not wait", "err", err)
	}
	return b
}

// wait holds the gateway up when its last starts have failed. The error is that
// of ctx.
func (b *backOff) wait(ctx context.Context) error {
	delay := restartDelay(b.failed)
	if delay == 0 {
		return nil
	}
	b.log.Warn("the last starts have failed: this one waits", "starts", b.failed, "wait", delay)
	b.notify.status(fmt.Sprintf("waits %s: the last %d starts have failed", delay, b.failed))
	select {
	case <-time.After(delay):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// restartDelay is how long to wait after so many failures in a row: not at all
// after two, then a second, two, four, and so on, up to a minute.
func restartDelay(failed int) time.Duration {
	const most = time.Minute
	if failed <= 2 {
		return 0
	}
	return min(time.Second<<min(failed-3, 6), most)
}

// Run forgets the failures once the gateway has been ready for long enough.
func (b *backOff) Run(ctx context.Context) error {
	if b.notify.socket == "" {
		return nil
	}
	select {
	case <-b.notify.begun:
	case <-ctx.Done():
		return nil
	}
	select {
	case <-time.After(provenAfter):
		b.forget()
	case <-ctx.Done():
	}
	return nil
}

// forget makes the next start the first one: this one has proven good, has ended
// because somebody wanted it, or ends in a fault of the group file, after which
// nobody starts it but a person.
func (b *backOff) forget() {
	if b.notify.socket == "" {
		return
	}
	if err := os.Remove(b.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.log.Warn("the count of starts cannot be removed: the next one may wait", "err", err)
	}
}
