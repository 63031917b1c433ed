package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"greengate/core/admin/client"
)

func TestEachDayHasItsOwnWrites(t *testing.T) {
	root := t.TempDir()
	kernel := func(n int) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(root, "proc/self"), 0o755); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("rchar: 1\nwchar: 99999\nread_bytes: 2\nwrite_bytes: %d\ncancelled_write_bytes: 0\n", n)
		if err := os.WriteFile(filepath.Join(root, "proc/self/io"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2030, 5, 1, 23, 50, 0, 0, time.Local)
	var stored int64
	w := newWriteBudget(root, func() map[string]int64 { return map[string]int64{"shadow": stored} })
	w.now, w.since = func() time.Time { return now }, now
	g := &gateway{writes: w, stores: []store{{component: "shadow"}}}
	want := func(bytes, shadow, other int64) {
		t.Helper()
		var s client.Status
		g.reportWrites(&s)
		if got := s.Writes; got.Bytes != bytes || got.By[0].Bytes != shadow || got.By[1] != (client.Writer{Component: "other", Bytes: other}) {
			t.Errorf("got %+v, want %d, %d, %d", got, bytes, shadow, other)
		}
	}
	kernel(10000)
	stored = 8000
	want(10000, 8000, 2000)
	now = now.Add(20 * time.Minute)
	want(0, 0, 0)
	kernel(15000)
	stored = 12000
	want(5000, 4000, 1000)
	now = now.Add(-time.Hour) // the clock was set back: the day goes on
	want(5000, 4000, 1000)
}

func TestWritesOfAGateway(t *testing.T) {
	h := newHouse(t)
	if code, _, err := h.command("", "shadow", "update", "lamp", `{"state":{"desired":{"a":1}}}`); code != exitDone {
		t.Fatalf("update: exit code %d, %s", code, err)
	}
	if processWrites("/") == 0 {
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
