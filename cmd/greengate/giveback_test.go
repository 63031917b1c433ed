package main

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Memory is given back at rest, when there is enough of it, and not twice.
func TestGiveBack(t *testing.T) {
	var cpu time.Duration
	var made, live uint64
	mapped, collected, unmapped := 0, 0, 0
	g := &giveBack{
		spent: func() time.Duration { return cpu },
		heap:  func() (uint64, uint64) { return made, live }, collect: func() { collected++ },
		mapped: func() int { return mapped }, unmap: func() { unmapped++ },
	}
	const kib, mib = 1 << 10, 1 << 20
	for _, step := range []struct {
		what                string
		cpu                 time.Duration
		made, live          uint64
		mapped              int
		collected, unmapped int // in all
	}{
		{"at work", time.Second, 50 * mib, 40 * mib, 20 * mib, 0, 0},
		{"at rest", 10 * time.Millisecond, kib, 40 * mib, 20 * mib, 1, 1},
		{"still at rest", 10 * time.Millisecond, kib, 4 * mib, mib, 1, 1},
		{"the program in use, no garbage", 10 * time.Millisecond, kib, 4 * mib, 5 * mib, 1, 2},
		{"a little work", 10 * time.Millisecond, 2 * mib, 4 * mib, 9 * mib, 1, 2},
		{"at rest again, with little garbage for that heap", 10 * time.Millisecond, kib, 40 * mib, mib, 1, 2},
		{"with much for that heap", 10 * time.Millisecond, kib, 4 * mib, mib, 2, 2},
	} {
		cpu += step.cpu
		made += step.made
		live, mapped = step.live, step.mapped
		g.look()
		if collected != step.collected || unmapped != step.unmapped {
			t.Errorf("%s: collected %d times, unmapped %d times; want %d, %d", step.what, collected, unmapped, step.collected, step.unmapped)
		}
	}
}

// The pages of the program leave its memory and come back when they are needed, in
// pieces; what was written stays.
func TestDropFilePages(t *testing.T) {
	const size = 64 << 10
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, bytes.Repeat([]byte{'f'}, size), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// As the loader does with what it relocates: written, and then made read-only.
	written, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Munmap(written) }()
	written[size/2] = 'w'
	if err := syscall.Mprotect(written, syscall.PROT_READ); err != nil {
		t.Fatal(err)
	}

	before := filePages("/proc/self/statm")
	dropFilePages("/proc/self/smaps")
	after := filePages("/proc/self/statm")
	if before < 4<<20 || after > before/2 {
		t.Errorf("%d KiB of the program are in memory, before it was %d", after>>10, before>>10)
	}
	if written[0] != 'f' || written[size/2] != 'w' {
		t.Errorf("a mapping that was written says %q and %q, want f and w", written[0], written[size/2])
	}
	dropFilePages(filepath.Join(t.TempDir(), "no smaps here")) // and all is well
}
