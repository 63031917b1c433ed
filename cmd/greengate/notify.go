package main

import (
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// notifier tells systemd how the daemon is (sd_notify(3)). Without systemd it
// does nothing.
type notifier struct {
	socket   string        // empty: nobody listens
	watchdog time.Duration // within which systemd wants to hear of us; 0: it does not
	log      *slog.Logger
	ready    atomic.Bool
	begun    chan struct{} // closed when the daemon was ready for the first time
	failed   atomic.Bool   // it was logged that systemd does not hear us
}

// newNotifier takes systemd's wishes out of the environment, so that local
// functions do not inherit them and speak for the daemon.
func newNotifier(log *slog.Logger) *notifier {
	n := &notifier{socket: os.Getenv("NOTIFY_SOCKET"), log: log.With("component", "systemd"), begun: make(chan struct{})}
	limit, err := daemon.SdWatchdogEnabled(true)
	if err != nil {
		n.log.Warn("the watchdog of systemd is not fed", "err", err)
	}
	_ = os.Unsetenv("NOTIFY_SOCKET")
	if n.socket != "" {
		n.watchdog = limit
	}
	return n
}

// isReady tells that devices can connect. It is called once.
func (n *notifier) isReady() {
	n.ready.Store(true)
	n.send(daemon.SdNotifyReady)
	close(n.begun)
}

// reloading tells that the group file is being read, and returns what tells that
// this is over, for good or ill. The time is what Type=notify-reload asks for;
// an older systemd (Debian 12 has 252) takes it for nothing.
func (n *notifier) reloading() (over func()) {
	if !n.ready.Load() {
		return func() {} // READY=1 would be a lie
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return func() {} // without the time systemd would wait for ever
	}
	n.send(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
	return func() { n.send(daemon.SdNotifyReady) }
}

// stopping tells that the end has begun.
func (n *notifier) stopping() {
	n.ready.Store(false)
	n.send(daemon.SdNotifyStopping)
}

// status is the line that `systemctl status` shows.
func (n *notifier) status(line string) { n.send("STATUS=" + line) }

// fed tells the watchdog that all is well.
func (n *notifier) fed() { n.send(daemon.SdNotifyWatchdog) }

func (n *notifier) send(state string) {
	if n.socket == "" {
		return
	}
	err := notify(n.socket, state)
	if failed := err != nil; n.failed.Swap(failed) != failed && failed {
		n.log.Error("systemd does not hear us", "err", err)
	}
}

// notify sends one datagram. The library would look the address up in the
// environment, from which it is gone.
func notify(socket, state string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer unix.Close(fd)
	// A name that begins with @ is an abstract one: x/sys/unix writes it so.
	if err := unix.Sendto(fd, []byte(state), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: socket}); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
