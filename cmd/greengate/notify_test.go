package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/admin/client"
	"greengate/core/sqlite"
)

// serviceManager is systemd as the daemon sees it: a socket that takes what it says.
type serviceManager struct {
	t    *testing.T
	path string
	said chan string
}

func newServiceManager(t *testing.T, watchdog string) *serviceManager {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &serviceManager{t, path, make(chan string, 10000)}
	go func() {
		for buf := make([]byte, 4096); ; {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			m.said <- string(buf[:n])
		}
	}()
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", watchdog)
	t.Setenv("WATCHDOG_PID", "")
	return m
}

// hears waits for a message that begins so, and returns those before it.
func (m *serviceManager) hears(start string) (message string, before []string) {
	m.t.Helper()
	late := time.After(patience)
	for {
		select {
		case s := <-m.said:
			if strings.HasPrefix(s, start) {
				return s, before
			}
			before = append(before, s)
		case <-late:
			m.t.Fatalf("systemd did not hear %q, but %q", start, before)
		}
	}
}

func TestSystemdHearsOfTheDaemon(t *testing.T) {
	m := newServiceManager(t, "300000")
	h := newHouse(t)
	if _, before := m.hears("READY=1"); len(before) > 0 {
		t.Errorf("before it was ready it said %q", before)
	}
	h.connect("lamp") // ready means that a device can connect
	m.hears("WATCHDOG=1")
	m.hears("STATUS=1 of 2 devices connected")
	if _, err := h.control.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, _ := m.hears("RELOADING=1"); !strings.Contains(s, "\nMONOTONIC_USEC=") {
		t.Errorf("it said %q, which lacks the time", s)
	}
	m.hears("READY=1")
	h.write("nonsense: [")
	if _, err := h.control.Reload(t.Context()); err == nil {
		t.Fatal("nonsense was taken up")
	}
	m.hears("RELOADING=1")
	m.hears("READY=1") // the old file serves on
	m.hears("WATCHDOG=1")
}

func TestSystemdHearsOfTheEnd(t *testing.T) {
	m := newServiceManager(t, "")
	t.Run("while it runs", func(t *testing.T) {
		newHouse(t)
		m.hears("READY=1")
		m.hears("STATUS=0 of 2 devices connected")
	})
	m.hears("STOPPING=1")
}

// Those of functions, too.
func TestSystemdHearsOfFaults(t *testing.T) {
	m := newServiceManager(t, "300000")
	h := newHouse(t, fmt.Sprintf("functions:\n  - {name: deaf, command: [/bin/sleep, '60'], dir: %q, queue: {max: 1}}\n", t.TempDir()))
	for range 2 { // the second takes the place of the first
		go func() { _, _ = h.gateway.functions.manager.Invoke(t.Context(), "deaf", nil, "x") }()
	}
	m.hears("STATUS=0 of 2 devices connected, 1 fault: deaf: calls of the function deaf are given up, 1 since the start")
}

// The messages of the heartbeat are nobody else's: no count and no line has them.
func TestHeartbeatDoesNotShow(t *testing.T) {
	m := newServiceManager(t, "1500000") // a beat has that long: one that is cut short shows, as it should
	h := newHouse(t)
	for range 3 {
		m.hears("WATCHDOG=1")
	}
	if n := h.gateway.probes(); n.Delivered < 3 || n.Accepted != n.Delivered {
		t.Errorf("the heartbeat counts %+v, want some that were delivered", n)
	}
	s := h.until("a quiet ledger", func(s *client.Status) bool { return s.Ledger.Waiting == 0 })
	if s.Ledger != (client.Ledger{}) || len(s.Routes) != 0 || len(s.Devices) != 2 || len(s.Refusals)+len(s.Drops) != 0 {
		t.Errorf("the status shows the heartbeat: %+v", s)
	}
	h.connect("lamp")
	if _, err := h.control.Reload(t.Context()); err != nil { // which cuts who is no device
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := h.control.Watch(ctx, "", func() {
		for len(m.said) > 0 { // of before the watch
			<-m.said
		}
		for range 3 {
			m.hears("WATCHDOG=1")
		}
		cancel()
	}, func(e client.Event) { t.Errorf("a watch shows %+v", e) })
	if err != nil {
		t.Fatal(err)
	}
	if n := h.gateway.probes(); n.Dropped != 0 {
		t.Errorf("the heartbeat lost messages: %+v", n)
	}
}

// The filter of the heartbeat is one that no row of the file can feed.
func TestHeartbeatOfAStrictGateway(t *testing.T) {
	h := newHouse(t)
	h.gateway.broker.SetStrict(true)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, err := h.gateway.dialProbe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if err := p.pass(ctx); err != nil {
		t.Error(err)
	}
}

func TestStuckStoreStarvesTheWatchdog(t *testing.T) {
	m := newServiceManager(t, "300000")
	h := newHouse(t)
	m.hears("WATCHDOG=1")
	stuck, free := make(chan struct{}), make(chan struct{})
	h.gateway.sessionDB.Write(func(*sqlite.Tx) error { close(stuck); <-free; return nil }, func(error) {})
	<-stuck
	// What was on its way when the store got stuck is let through.
	fed := 0
	for range 2 {
		fed = 0
		for quiet := time.After(time.Second); quiet != nil; {
			select {
			case s := <-m.said:
				if s == "WATCHDOG=1" {
					fed++
				}
			case <-quiet:
				quiet = nil
			}
		}
	}
	if fed > 0 {
		t.Errorf("the watchdog was fed %d times while the store was stuck", fed)
	}
	close(free)
	m.hears("WATCHDOG=1")
}

func TestHeartbeatTellsOfItsFailureOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := errors.New("the broker is deaf")
		lines := &strings.Builder{}
		b := &heartbeat{
			notify: &notifier{watchdog: 9 * time.Second, log: slog.New(slog.DiscardHandler)},
			check:  func(context.Context) error { return fails },
			status: func() string { return "" },
			log:    slog.New(slog.NewTextHandler(lines, nil)),
		}
		for range 3 {
			b.beat(t.Context())
		}
		fails = nil
		b.beat(t.Context())
		b.beat(t.Context())
		if got := strings.Count(lines.String(), "deaf"); got != 1 || strings.Count(lines.String(), "passes again") != 1 {
			t.Errorf("the log has\n%s", lines)
		}
	})
}
