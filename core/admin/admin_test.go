package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greengate/core/admin"
	"greengate/core/admin/client"
)

// serve runs a server on socket until the test ends.
func serve(t *testing.T, s *admin.Server) {
	t.Helper()
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	run(t, s.Run)
}

// run runs a service until the test ends.
func run(t *testing.T, service func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func newServer(socket string) *admin.Server {
	return admin.New(socket, slog.New(slog.DiscardHandler))
}

func TestStatusIsTheSumOfTheReports(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "gate.sock")
	s := newServer(socket)
	s.Register(admin.ReporterFunc(func(st *client.Status) { st.Group = "home" }))
	s.Register(admin.ReporterFunc(func(st *client.Status) {
		st.Devices = append(st.Devices, client.Device{Thing: "GG_Switch", Connected: true})
	}))
	serve(t, s)
	got, err := client.New(socket).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Group != "home" || len(got.Devices) != 1 || !got.Devices[0].Connected {
		t.Errorf("got %+v", got)
	}
	info, err := os.Stat(socket)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket has mode %v (%v), want 0660", info.Mode(), err)
	}
}

// The keys are the contract of `status --json`.
func TestStatusKeys(t *testing.T) {
	body, err := json.Marshal(client.Status{Devices: []client.Device{{Thing: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(body), "null") {
		t.Errorf("a list is null: %s", body)
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(body, &top); err != nil {
		t.Fatal(err)
	}
	for key, inner := range map[string]string{
		"group": "", "core": "", "version": "", "uptime_seconds": "", "devices": "", "gpio": "", "faults": "",
		"config": "generation loaded_at error", "cloud": "configured connected",
		"spool":  "messages bytes oldest_seconds",
		"ledger": "accepted delivered refused expired dropped waiting",
	} {
		value, ok := top[key]
		if !ok {
			t.Errorf("the key %q is missing", key)
		}
		for _, in := range strings.Fields(inner) {
			if !strings.Contains(string(value), `"`+in+`":`) {
				t.Errorf("the key %s.%s is missing in %s", key, in, value)
			}
		}
	}
}

func TestNotRunning(t *testing.T) {
	t.Run("NoSocket", func(t *testing.T) {
		_, err := client.New(filepath.Join(t.TempDir(), "none.sock")).Status(t.Context())
		if !errors.Is(err, client.ErrNotRunning) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("NoFolder", func(t *testing.T) {
		deep := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30), "none.sock")
		_, err := client.New(deep).Status(t.Context())
		if !errors.Is(err, client.ErrNotRunning) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("StaleSocket", func(t *testing.T) {
		_, err := client.New(stale(t)).Status(t.Context())
		if !errors.Is(err, client.ErrNotRunning) {
			t.Errorf("got %v", err)
		}
	})
}

// stale leaves a socket file as a killed daemon does.
func stale(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "gate.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return socket
}

func TestStaleSocketIsReplaced(t *testing.T) {
	socket := stale(t)
	serve(t, newServer(socket))
	if _, err := client.New(socket).Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLiveSocketIsRefused(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "gate.sock")
	serve(t, newServer(socket))
	if err := newServer(socket).Listen(); !errors.Is(err, admin.ErrRunning) {
		t.Errorf("a second daemon got %v, want ErrRunning", err)
	}
	if _, err := client.New(socket).Status(t.Context()); err != nil {
		t.Errorf("the first daemon lost its socket: %v", err)
	}
}

func TestForeignFileIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gate.sock")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newServer(path).Listen(); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("got %v", err)
	}
	if body, _ := os.ReadFile(path); string(body) != "mine" {
		t.Error("the file was touched")
	}
}

// A socket address holds 107 bytes, and data folders may lie deeper.
func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("a-deep-folder/", 20))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "greengate.sock")
	t.Run("Serve", func(t *testing.T) {
		serve(t, newServer(socket))
		if _, err := client.New(socket).Status(t.Context()); err != nil {
			t.Error(err)
		}
		if err := newServer(socket).Listen(); !errors.Is(err, admin.ErrRunning) {
			t.Errorf("a second daemon got %v, want ErrRunning", err)
		}
	})
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket file outlived its server: %v", err)
	}
	long := filepath.Join(dir, strings.Repeat("x", 120))
	if err := newServer(long).Listen(); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a name too long by itself got %v", err)
	}
}

func TestReload(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "gate.sock")
	s := newServer(socket)
	bad := true
	s.Handle("POST /v1/reload", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if bad {
			admin.Refuse(w, http.StatusUnprocessableEntity, errors.New("group.yaml:3:1: wrong"))
			return
		}
		admin.Answer(w, http.StatusOK, client.Reloaded{Generation: 2})
	}))
	serve(t, s)
	c := client.New(socket)
	_, err := c.Reload(t.Context())
	var refusal *client.Refusal
	if !errors.As(err, &refusal) || refusal.Message != "group.yaml:3:1: wrong" {
		t.Errorf("got %v, want the fault of the file", err)
	}
	bad = false
	if r, err := c.Reload(t.Context()); err != nil || r.Generation != 2 {
		t.Errorf("got %+v, %v", r, err)
	}
}

// A request under way does not hold up the end for longer than the grace.
func TestStopsWhileSomebodyWatches(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "gate.sock")
	s := newServer(socket)
	s.Handle("GET /v1/watch", admin.WatchHandler(func(string, func(client.Event)) (func(), error) {
		return func() {}, nil
	}))
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	watched := make(chan error, 1)
	go func() { watched <- client.New(socket).Watch(t.Context(), "", cancel, func(client.Event) {}) }()
	for range 2 {
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case err := <-watched:
			if err != nil {
				t.Errorf("Watch: %v", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("a watcher holds up the end of the daemon")
		}
	}
}
