package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

// The bill names every module with its purl, Go itself, and the SQLite that is inside a
// module, by which holes in them are found.
func TestDocument(t *testing.T) {
	dir := t.TempDir()
	header := "#define SQLITE_VERSION        \"3.54.1\"\n"
	if err := os.WriteFile(filepath.Join(dir, "sqlite3-binding.h"), []byte(header), 0o644); err != nil {
		t.Fatal(err)
	}
	info := &debug.BuildInfo{GoVersion: "go1.26.0", Settings: []debug.BuildSetting{{Key: "GOARCH", Value: "arm64"}, {Key: "CGO_CFLAGS", Value: "-O2"}}}
	b := document(info, []module{{path: "example.org/db", version: "v1.2.3", sum: "h1:x=", dir: dir}}, "1.0", "2026-01-02T03:04:05Z")
	versions := map[string]string{}
	for _, c := range b.Components {
		versions[c.PURL] = c.Version
	}
	for purl, want := range map[string]string{
		"pkg:golang/std@1.26.0": "1.26.0", "pkg:golang/example.org/db@v1.2.3": "v1.2.3", "pkg:generic/sqlite@3.54.1": "3.54.1",
	} {
		if versions[purl] != want {
			t.Errorf("%s has version %q, want %q", purl, versions[purl], want)
		}
	}
	if n := len(b.Dependencies[0].DependsOn); n != len(b.Components) {
		t.Errorf("the program depends on %d of %d components", n, len(b.Components))
	}
	text, err := json.Marshal(b.Metadata)
	want := `{"timestamp":"2026-01-02T03:04:05Z","component":{"type":"application","bom-ref":"greengate","name":"greengate","version":"1.0"},"properties":[{"name":"go:build:GOARCH","value":"arm64"}]}`
	if err != nil || string(text) != want {
		t.Errorf("the metadata is %s, %v\nwant %s", text, err, want)
	}
}
