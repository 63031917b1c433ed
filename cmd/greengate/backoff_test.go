package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Who fails again and again waits longer each time, up to a minute; and no longer
// when a start has proven good.
func TestBackOffGrowsAndIsForgotten(t *testing.T) {
	newServiceManager(t, "")
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n := newNotifier(slog.New(slog.DiscardHandler))
		start := func() (b *backOff, waited time.Duration) {
			t.Helper()
			b = newBackOff(dir, n, slog.New(slog.DiscardHandler))
			before := time.Now()
			if err := b.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			return b, time.Since(before)
		}
		for failed, want := range []time.Duration{0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60} {
			if _, waited := start(); waited != want*time.Second {
				t.Errorf("after %d failures it waits %s", failed, waited)
			}
		}
		b, _ := start()
		n.isReady()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.Run(ctx) }()
		time.Sleep(provenAfter - time.Second)
		cancel()
		<-ended
		b, waited := start() // it was not ready for long enough
		if waited != time.Minute {
			t.Errorf("after a short life it waits %s", waited)
		}
		if err := b.Run(t.Context()); err != nil {
			t.Error(err)
		}
		if _, waited := start(); waited != 0 {
			t.Errorf("after a long life it waits %s", waited)
		}
	})
}

// A run counts as a failure until it has ended as somebody wanted; and one that
// waits can be ended.
func TestRunCountsItsStarts(t *testing.T) {
	m := newServiceManager(t, "")
	dir := t.TempDir()
	var said strings.Builder
	a := &app{stdout: &said, stderr: &said}
	if code := a.main(t.Context(), []string{"init", dir, "--key", "p-256"}); code != exitDone {
		t.Fatalf("init: exit code %d\n%s", code, &said)
	}
	a.config = filepath.Join(dir, groupFile)
	text := "version: 1\ngroup: g\ncore: c\ndata: data\nbroker: {listen: [\"127.0.0.1:0\"]}\n" +
		"discovery: {listen: [\"127.0.0.1:0\"], announce: false}\nadmin: {listen: \"\"}\n"
	if err := os.WriteFile(a.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "data", startsName)
	run := func(heard string) {
		t.Helper()
		t.Setenv("NOTIFY_SOCKET", m.path)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- a.run(ctx) }()
		m.hears(heard)
		if _, err := os.Stat(file); err != nil {
			t.Errorf("the start is not counted: %v", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after a good end it is counted: %v", err)
		}
	}
	run("READY=1")
	if err := os.WriteFile(file, []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("STATUS=waits 1m0s: the last 9 starts have failed")
}
