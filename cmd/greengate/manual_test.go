package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each command has a page, which names its flags, and nothing of it is taken for a
// request of man(7).
func TestManual(t *testing.T) {
	t.Setenv("GREENGATE_CONFIG", "/somewhere/else.yaml")
	dir := t.TempDir()
	a := &app{stdout: os.Stdout, stderr: os.Stderr}
	if code := a.main(t.Context(), []string{"manual", dir}); code != exitDone {
		t.Fatalf("exit code %d", code)
	}
	for name, words := range map[string][]string{
		"greengate.1": {".SH NAME\ngreengate \\- a local", ".BR greengate\\-device (1)", "/etc/greengate/group.yaml"},
		"greengate-device-add.1": {`.TH "GREENGATE-DEVICE-ADD" 1`, ".B greengate device add\nTHING", `.B \-\-label label`,
			".BR greengate\\-device (1)\n", "(default /etc/greengate/group.yaml)"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range words {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s has not %q:\n%s", name, want, text)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "greengate-manual.1")); err == nil {
		t.Error("a hidden command has a page")
	}
	if got := roff(".dot\n'quote\nC:\\x --flag"); got != "\\&.dot\n\\&'quote\nC:\\ex \\-\\-flag" {
		t.Errorf("roff: %q", got)
	}
}
