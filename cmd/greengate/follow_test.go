package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"greengate/core/admin/client"
)

// endWhen ends a command when its output is as wanted.
type endWhen struct {
	bytes.Buffer
	ok     func(string) bool
	cancel func()
}

func (w *endWhen) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if w.ok(w.String()) {
		w.cancel()
	}
	return n, err
}

// Into a pipe the views follow one another, without a control character.
func TestFollowIntoPipe(t *testing.T) {
	h := newHouse(t)
	follow := func(args ...string) string {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		out := &endWhen{cancel: cancel, ok: func(s string) bool { return strings.Count(s, "\n\n") > 12 || strings.Count(s, `{"group"`) > 1 }}
		var stderr bytes.Buffer
		a := &app{stdout: out, stderr: &stderr}
		if code := a.main(ctx, append([]string{"status", "--follow", "--every", "100ms", "--config", h.file()}, args...)); code != exitDone {
			t.Fatalf("exit code %d, %s", code, &stderr)
		}
		return out.String()
	}
	text := follow()
	if strings.Contains(text, "\x1b") || strings.Count(text, "group  ") < 2 || !strings.Contains(text, "per second: 0 accepted") {
		t.Errorf("got %q", text)
	}
	d := json.NewDecoder(strings.NewReader(follow("--json")))
	for range 2 {
		var s client.Status
		if err := d.Decode(&s); err != nil || s.Group != "home" {
			t.Fatalf("got %+v, %v", s, err)
		}
	}
	if code, _, stderr := h.command("", "status", "--follow", "--every", "1ms"); code != exitInput || !strings.Contains(stderr, "--every") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestFollowScreen(t *testing.T) {
	view := "one\nthe second line is long\nthree\nfour\n"
	got := fitScreen(view, 12, 3)
	want := cursorTop + "one" + clearLine + "\nthe second …" + clearLine + "\n(2 lines mo…" + clearLine + clearRest
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := fitScreen("a\x1b[2J", 80, 24); strings.Contains(got, "\x1b[2J") {
		t.Errorf("what a device wrote commands the terminal: %q", got)
	}
}

func TestFollowRates(t *testing.T) {
	now := time.Now()
	status := func(up int64, accepted uint64) *client.Status {
		return &client.Status{UptimeSeconds: up, Ledger: client.Ledger{Accepted: accepted, Delivered: accepted}}
	}
	f := &follower{every: time.Second}
	if got := f.rates(status(5, 10), now); got != "every 1s" {
		t.Errorf("first: %s", got)
	}
	f.last, f.at = status(5, 10), now
	for _, c := range []struct {
		s    *client.Status
		want string
	}{
		{status(7, 15), "per second: 2.5 accepted, 2.5 delivered, 0 refused, 0 dropped"},
		{status(1, 3), "the daemon was restarted"},
		{nil, "the daemon is not running; this was its last state"},
	} {
		if got := f.rates(c.s, now.Add(2*time.Second)); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
