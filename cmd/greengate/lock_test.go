package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestDataFolderHasOneDaemon(t *testing.T) {
	dir := t.TempDir()
	release, err := lockData(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockData(dir); !errors.Is(err, errLocked) {
		t.Errorf("a second daemon got %v, want errLocked", err)
	}
	release()
	release, err = lockData(dir)
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	release()
}

func TestEditsOfTheFileTakeTurns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "group.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var inside atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			release, err := lockFile(t.Context(), file, func(string) {})
			if err != nil {
				t.Error(err)
				return
			}
			defer release()
			if n := inside.Add(1); n != 1 {
				t.Errorf("%d edits at once", n)
			}
			inside.Add(-1)
		})
	}
	all.Wait()

	release, err := lockFile(t.Context(), file, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lockFile(ctx, file, func(string) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("one who gives up waiting got %v", err)
	}
}

// Who waits for long is told for whom.
func TestWaitForTheFileIsTold(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "group.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nobody := func(holder string) { t.Errorf("waited for %s", holder) }
	first, err := lockFile(t.Context(), file, nobody)
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	second, err := lockFile(t.Context(), file, func(holder string) {
		said = holder
		first()
	})
	if err != nil {
		t.Fatal(err)
	}
	second()
	if want := fmt.Sprintf("%s` (pid %d)", os.Args[len(os.Args)-1], os.Getpid()); !strings.HasSuffix(said, want) {
		t.Errorf("it waits for %q, want %q", said, want)
	}
}
