package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command that does something shows how it is used.
func TestEveryCommandHasExamples(t *testing.T) {
	var visit func(cmd *cobra.Command)
	paths := map[string]bool{}
	root := newRoot(&app{})
	visit = func(cmd *cobra.Command) {
		path := strings.TrimPrefix(cmd.CommandPath(), "greengate ")
		paths[path] = true
		if documented(cmd) && cmd != root && cmd.Example == "" {
			t.Errorf("greengate %s has no example", path)
		}
		for _, line := range strings.Split(cmd.Example, "\n") {
			if cmd.Example != "" && !strings.Contains(line, "greengate") {
				t.Errorf("greengate %s: the example %q is no command of ours", path, line)
			}
		}
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit(root)
	for path := range firstNames {
		if !paths[path] && !strings.HasPrefix(path, "function ") {
			t.Errorf("completion for %q, which is no command", path)
		}
	}
}

func TestCompletion(t *testing.T) {
	file := filepath.Join(t.TempDir(), "group.yaml")
	text := "version: 1\ngroup: home\ncore: c_Core\ndevices:\n  - {thing: lamp, labels: [light]}\n  - {thing: lantern}\n" +
		"gpio: {driver: sim, buttons: [{name: bell, pin: GPIO22, topic: a}]}\nsubscriptions: []\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ line, want string }{
		{"device remove l", "lamp lantern"},
		{"device remove lan", "lantern"},
		{"device remove lamp l", ""},
		{"shadow get c", "c_Core"},
		{"gpio press ", "bell"},
		{"explain --from g", "gpio:bell"},
		{"explain --to s", "shadow"},
		{"watch --verdict refused,d", "refused,delivered refused,dropped"},
		{"device add --label l", "light"},
		{"learn s", "start stop show"},
	} {
		words := strings.Split(c.line, " ")
		var out bytes.Buffer
		a := &app{stdout: &out, stderr: &bytes.Buffer{}}
		args := append([]string{"__complete", "--config", file}, words...)
		if code := a.main(t.Context(), args); code != exitDone {
			t.Fatalf("%s: exit code %d", c.line, code)
		}
		var got []string
		for line := range strings.Lines(out.String()) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, ":") {
				word, _, _ := strings.Cut(line, "\t")
				got = append(got, word)
			}
		}
		for _, want := range strings.Fields(c.want) {
			if !strings.Contains(" "+strings.Join(got, " ")+" ", " "+want+" ") {
				t.Errorf("%q completes to %q, want %q", c.line, got, c.want)
			}
		}
		if len(got) != len(strings.Fields(c.want)) {
			t.Errorf("%q completes to %q, want %q", c.line, got, c.want)
		}
	}
}
