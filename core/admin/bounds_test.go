package admin

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// socketOf runs a control socket with bounds of the test, and returns what dials it.
func socketOf(t *testing.T, change func(s *Server)) (s *Server, dial func() net.Conn, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	s = New(filepath.Join(t.TempDir(), "s"), slog.New(slog.NewTextHandler(log, nil)))
	change(s)
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, func() net.Conn {
		t.Helper()
		nc, err := net.Dial("unix", s.socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(time.Minute))
		return nc
	}, log
}

// Who says nothing, or does so slowly, at whatever point, is cut and counted, and holds no
// connection; who listens, or waits for his answer, is not cut.
func TestSlowAtTheSocket(t *testing.T) {
	const short = time.Second // a busy machine may take long from the connection to what is said there
	release := make(chan struct{})
	s, dial, _ := socketOf(t, func(s *Server) {
		s.bounds = bounds{most: 64, kept: 16, head: short, body: short, idle: short}
		s.Handle("POST /read", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				Refuse(w, http.StatusBadRequest, err)
				return
			}
			if string(body) == "wait" {
				select {
				case <-release:
				case <-r.Context().Done():
					return
				}
			}
			_, _ = w.Write(body)
		}))
		s.Handle("GET /stream", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-release:
				_, _ = io.WriteString(w, "event")
			case <-r.Context().Done():
			}
		}))
	})
	// They begin first, and are still there when the others have been cut.
	patient := map[string]net.Conn{"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n": dial(), "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nwait": dial()}
	for request, nc := range patient {
		_, _ = io.WriteString(nc, request)
	}
	for _, c := range []struct{ sent, reason string }{
		{"", "no-request"},
		{"GET /v1/status HTTP/1.1\r\nHost:", "no-request"},
		{"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nslow", "slow-request"},
		{"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n", ""},
	} {
		before := s.Refused()[c.reason]
		nc := dial()
		_, _ = io.WriteString(nc, c.sent)
		if _, err := io.ReadAll(nc); err != nil {
			t.Errorf("%.30q is not cut: %v", c.sent, err)
		}
		for tick := time.NewTicker(time.Millisecond); c.reason != "" && s.Refused()[c.reason] == before; {
			<-tick.C // until the deadline of the test
		}
	}
	close(release)
	for request, nc := range patient {
		want := map[byte]string{'G': "event", 'P': "wait"}[request[0]]
		r, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			t.Fatalf("%.12q: %v", request, err)
		}
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != want {
			t.Errorf("%.12q: got %q, %v", request, body, err)
		}
	}
}

// One user's connections leave room for root, and those that find none are counted, and
// told once.
func TestFullSocket(t *testing.T) {
	var uid atomic.Uint32
	uid.Store(4711)
	s, dial, log := socketOf(t, func(s *Server) {
		s.bounds.most, s.bounds.kept = 4, 2
		s.asks = func(net.Conn) (asker, bool) { return asker{uid: uid.Load(), pid: 1}, true }
		s.Handle("GET /watch", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}))
	})
	watch := func() (net.Conn, error) {
		nc := dial()
		_, _ = io.WriteString(nc, "GET /watch HTTP/1.1\r\nHost: x\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err == nil && r.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s", r.Status)
		}
		return nc, err
	}
	for i := range 6 {
		if _, err := watch(); (err == nil) != (i < 2) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	uid.Store(0)
	var last net.Conn
	for i := range 3 {
		nc, err := watch()
		if (err == nil) != (i < 2) {
			t.Errorf("connection %d of root: %v", i, err)
		}
		if err == nil {
			last = nc
		}
	}
	if n := s.Refused()["connections"]; n != 5 {
		t.Errorf("%d are counted, want 5", n)
	}
	if text := log.String(); strings.Count(text, "too many connections") != 1 || !strings.Contains(text, "uid 4711") {
		t.Errorf("the log says:\n%s", text)
	}
	_ = last.Close()
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		if _, err := watch(); err == nil {
			break
		}
	}
}

// Connections that say nothing, or nothing more, make room for those that come after them.
func TestSocketFullOfSilence(t *testing.T) {
	s, dial, _ := socketOf(t, func(s *Server) {
		s.bounds = bounds{most: 4, kept: 2, head: time.Hour, body: time.Hour, idle: time.Hour}
		s.asks = func(net.Conn) (asker, bool) { return asker{uid: 0, pid: 1}, true }
	})
	status := func() {
		nc := dial()
		_, _ = io.WriteString(nc, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("the status is not told: %v", err)
		}
	}
	for range 6 {
		dial()
	}
	status()
	if n := s.Refused(); n["no-request"] != 3 || n["connections"] != 0 {
		t.Errorf("counted are %v, want three that have not asked", n)
	}
	for range 6 {
		status()
	}
	if n := s.Refused(); n["no-request"] != 6 || n["connections"] != 3 {
		t.Errorf("counted are %v, want six that have not asked, and three that had their answer", n)
	}
}
