package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A site that cannot be made whole is not made at all, and what was in its
// folder before stays.
func TestInitLeavesNothingBehind(t *testing.T) {
	t.Run("NewFolder", func(t *testing.T) {
		top := t.TempDir()
		s, err := planSite(filepath.Join(top, "a", "b"), "home", "c_Core", "p-256", nil)
		if err != nil {
			t.Fatal(err)
		}
		s.key = "none" // fails once the folders are there
		if s.create() == nil {
			t.Fatal("a site without keys was made")
		}
		if _, err := os.Stat(filepath.Join(top, "a")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the folder was left behind (%v)", err)
		}
	})
	t.Run("FolderInUse", func(t *testing.T) {
		dir := t.TempDir()
		notes := filepath.Join(dir, "notes.txt")
		if err := os.WriteFile(notes, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := planSite(dir, "home", "c_Core", "p-256", nil)
		if err != nil {
			t.Fatal(err)
		}
		s.key = "none"
		if s.create() == nil {
			t.Fatal("a site without keys was made")
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != 1 || left[0].Name() != "notes.txt" {
			t.Errorf("left in the folder: %v, %v", left, err)
		}
	})
}

func TestThingName(t *testing.T) {
	for in, want := range map[string]string{
		"homepi": "homepi", "pi.example.org": "pi", "my site": "my_site", "küche": "k_che", "-x-": "x", "/": "", "": "",
		strings.Repeat("x", 200): strings.Repeat("x", 123),
	} {
		if got := thingName(in); got != want {
			t.Errorf("thingName(%q) = %q, want %q", in, got, want)
		}
	}
}
