package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Functions that fork, eat memory, never answer, exit at once, flood the log, and look for
// keys, all at the same time: each is held to its bounds, told, and hurts nobody.
func TestHostileFunctions(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sender", "receiver")
	dir := func(names ...string) string { return filepath.Join(append([]string{s.dir}, names...)...) }
	loot := []string{s.file, dir("pki"), dir("data"), dir("data", "greengate.sock"), dir("functions", "hang"), dir("functions", "hang", "bootstrap"), dir("devices", "sender")}
	keys, err := filepath.Glob(dir("pki", "*"))
	if err != nil || len(keys) < 3 {
		t.Fatalf("the folder of the keys has %q, %v", keys, err)
	}
	loot = append(loot, keys...)
	s.functions(
		function{"name": "fork", "behaves": "fork", "pinned": true, "processes": 16, "memory": "64MiB"},
		function{"name": "eat", "behaves": "eat", "memory": "48MiB", "timeout": "20s", "retries": 0},
		function{"name": "hang", "behaves": "hang", "timeout": "300ms", "retries": 1},
		function{"name": "exit", "behaves": "exit", "pinned": true},
		function{"name": "flood", "behaves": "flood", "pinned": true},
		function{"name": "thief", "behaves": "thief " + strings.Join(loot, " "), "timeout": "20s"},
	)
	s.rows(row{From: "sender", Topic: "n", To: "receiver"}, row{From: "sender", Topic: "call", To: []string{"function:eat", "function:hang"}})
	g := s.start()
	sender, receiver := s.connect("sender"), s.connect("receiver")
	receiver.subscribe("n")
	sender.publish("call", "{}")
	const n = 1000
	for i := range n {
		sender.publish("n", fmt.Sprint(i))
	}
	for i := range n {
		receiver.hears("n", fmt.Sprint(i))
	}

	// The thief has run beside the others.
	var c struct{ Payload []string }
	if err := json.Unmarshal([]byte(s.greengate("function", "invoke", "thief", "--json")), &c); err != nil {
		t.Error(err)
	}
	// Where it has a view of files of its own, the way to its scratch folder is in it, empty
	// but for that way; what it writes there is nowhere else.
	own := []string{"listed " + dir("data") + ": [d functions/]", "wrote to " + dir("data")}
	if _, err := os.Stat(dir("data", "mark")); err == nil {
		t.Error("the thief wrote to the data folder")
	}
	for _, got := range c.Payload {
		if !slices.Contains(own, got) {
			t.Errorf("the thief %s", got)
		}
	}
	eventually(t, "the eater has met its bound", func() bool { return g.has("eat").Errors == 1 })
	if f := g.has("eat"); !strings.Contains(f.LastError, "48 MiB") || f.Restarts != 1 {
		t.Errorf("of the eater is told %+v", f)
	}
	eventually(t, "the one that hangs has met its timeout twice", func() bool { return g.has("hang").Timeouts == 2 })
	eventually(t, "the one that exits is held back", func() bool { f := g.has("exit"); return f.Restarts >= 3 && f.State == "backoff" })
	eventually(t, "the flood is cut", func() bool { return g.has("flood").LogsDropped > 1000 })
	if n := strings.Count(g.log.String(), `msg="A function wrote" component=function function=flood `); n > 3000 {
		t.Errorf("the log has %d lines of the flood", n)
	}
	// Where the kernel does not count them, they are ended when greengate has looked.
	eventually(t, "the one that forks has no more than its 16 processes", func() bool { return len(s.processes("fork")) <= 16 })
	// Who was honest all the while still is served, and the books balance.
	sender.publish("n", "last")
	receiver.hears("n", "last")
	g.balanced()
	g.stop()
	if left := s.processes(""); len(left) > 0 {
		t.Errorf("the processes %v are left", left)
	}
}

// processes are those that run a program of that function, or of any.
func (s *site) processes(function string) (pids []string) {
	s.t.Helper()
	exes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, exe := range exes {
		if target, err := os.Readlink(exe); err == nil && strings.HasPrefix(target, filepath.Join(s.dir, "functions", function)+"/") {
			pids = append(pids, filepath.Base(filepath.Dir(exe)))
		}
	}
	return pids
}
