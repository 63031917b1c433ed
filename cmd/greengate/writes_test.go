package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"greengate/core/admin/client"
)

func TestEachDayHasItsOwnWrites(t *testing.T) {
	var kernel int64
	now := time.Date(2030, 5, 1, 23, 50, 0, 0, time.Local)
	var stored int64
	w := newWriteBudget(t.TempDir(), func() int64 { return kernel }, func() map[string]int64 { return map[string]int64{"shadow": stored} },
		func() time.Time { return now }, slog.New(slog.DiscardHandler))
	g := &gateway{writes: w, stores: []store{{component: "shadow"}}}
	want := func(bytes, shadow, other int64) {
		t.Helper()
		var s client.Status
		g.reportWrites(&s)
		if got := s.Writes; got.Bytes != bytes || got.By[0].Bytes != shadow || got.By[1] != (client.Writer{Component: "other", Bytes: other}) {
			t.Errorf("got %+v, want %d, %d, %d", got, bytes, shadow, other)
		}
	}
	kernel = 10000
	stored = 8000
	want(10000, 8000, 2000)
	now = now.Add(20 * time.Minute)
	want(0, 0, 0)
	kernel = 15000
	stored = 12000
	want(5000, 4000, 1000)
	now = now.Add(-time.Hour) // the clock was set back: the day goes on
	want(5000, 4000, 1000)
}

// Today is today, however often the gateway was started anew.
func TestWritesOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	var kernel, stored int64
	now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.Local)
	start := func() *gateway {
		w := newWriteBudget(dir, func() int64 { return kernel }, func() map[string]int64 { return map[string]int64{"shadow": stored} },
			func() time.Time { return now }, slog.New(slog.DiscardHandler))
		return &gateway{writes: w, stores: []store{{component: "shadow"}, {component: "spool"}}}
	}
	end := func(g *gateway) {
		t.Helper()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := g.writes.Run(ended); err != nil {
			t.Error(err)
		}
	}
	want := func(g *gateway, since time.Time, bytes, shadow, other int64) {
		t.Helper()
		var s client.Status
		g.reportWrites(&s)
		got := s.Writes
		if !got.Since.Equal(since) || got.Bytes != bytes || got.By[0].Bytes != shadow || got.By[1].Bytes != 0 || got.By[2].Bytes != other {
			t.Errorf("got %+v, want %d, %d, %d since %s", got, bytes, shadow, other, since)
		}
	}
	g := start()
	noon := now
	kernel, stored = 10000, 8000
	end(g)

	now = now.Add(time.Hour)
	kernel, stored = 500, 0 // the process is another one
	g = start()
	want(g, noon, 10500, 8000, 2500)
	kernel, stored = 3000, 2000
	want(g, noon, 13000, 10000, 3000)
	end(g)

	now = now.Add(24 * time.Hour)
	kernel, stored = 700, 100
	g = start()
	want(g, now, 700, 100, 600) // a day later
	kernel, stored = 800, 150
	want(g, now, 800, 150, 650)

	if err := os.WriteFile(filepath.Join(dir, writesName), []byte(`{"since":`), 0o600); err != nil {
		t.Fatal(err)
	}
	g = start() // half a file is none
	want(g, now, 800, 150, 650)
}

func TestWritesOfAGateway(t *testing.T) {
	h := newHouse(t)
	if code, _, err := h.command("", "shadow", "update", "lamp", `{"state":{"desired":{"a":1}}}`); code != exitDone {
		t.Fatalf("update: exit code %d, %s", code, err)
	}
	if processWrites() == 0 {
		t.Skip("this kernel does not count what a process writes")
	}
	h.until("the writes of the shadow", func(s *client.Status) bool {
		for _, by := range s.Writes.By {
			if by.Component == "shadow" && by.Bytes > 0 {
				return s.Writes.Bytes >= by.Bytes
			}
		}
		return false
	})
}
