package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"greengate/core/admin/client"
	"greengate/sync/cloud/cloudtest"
)

// A message goes from a device, a pin or another function to a function, and its answer
// to a device, a pin, another function and the cloud: along rows, and along rows only.
func TestFunctionsAlongRows(t *testing.T) {
	t.Parallel()
	s := newCloudSite(t, "sender", "watcher")
	s.set(map[string]any{"driver": "sim",
		"leds":    []map[string]any{{"name": "red", "pin": "GPIO17"}},
		"buttons": []map[string]any{{"name": "bell", "pin": "GPIO22", "topic": "home/bell"}},
	}, "gpio")
	s.functions(
		function{"name": "first", "behaves": "topic", "reply_to": "first/answer"},
		function{"name": "second", "behaves": "topic", "reply_to": "second/answer"},
		function{"name": "switch", "behaves": "echo", "reply_to": "red/set", "encoding": "binary"},
		function{"name": "mute", "behaves": "echo", "reply_to": "mute/answer"},
	)
	s.rows(
		row{From: "sender", Topic: "in/#", To: []string{"function:first", "function:mute"}},
		row{From: "gpio:bell", Topic: "home/bell", To: "function:first"},
		row{From: "function:first", Topic: "first/answer", To: []string{"function:second", "cloud"}},
		row{From: "function:second", Topic: "second/answer", To: "watcher"},
		row{From: "sender", Topic: "lamp", To: "function:switch"},
		row{From: "function:switch", Topic: "red/set", To: "gpio:red"},
	)
	g := s.start()
	sender, watcher := s.connect("sender"), s.connect("watcher")
	watcher.subscribe("#")
	sender.publish("in/a/1", `{"n": 1}`)
	watcher.hearsJSON("second/answer", `{"event":{"event":{"n":1},"topic":"in/a/1"},"topic":"first/answer"}`)
	eventually(t, "the answer is in the cloud", func() bool {
		return slices.ContainsFunc(s.cloud.Received(), func(r cloudtest.Received) bool { return r.Topic == "first/answer" })
	})
	s.greengate("gpio", "press", "bell")
	if p := watcher.next(); !strings.Contains(string(p.Payload), `"topic":"home/bell"`) || p.Topic != "second/answer" {
		t.Errorf("of the bell the watcher heard %s: %s", p.Topic, p.Payload)
	}
	sender.publish("lamp", "on")
	eventually(t, "the LED is on", func() bool { return (*g.status().GPIO)[0].Level == "on" })
	// Nothing leads anywhere from mute.
	eventually(t, "the answers of mute were refused", func() bool {
		return regexp.MustCompile(`refused +.*no-row`).MatchString(s.greengate("status"))
	})
	g.balanced()
}

// What an operator does with functions.
func TestFunctionCommands(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sender")
	s.functions(
		function{"name": "topic", "behaves": "topic"},
		function{"name": "bytes", "behaves": "echo", "encoding": "binary"},
		function{"name": "fails", "behaves": "fail", "retries": 0},
	)
	s.rows(row{From: "sender", Topic: "t/#", To: "function:topic"}, row{From: "sender", Topic: "f", To: "function:fails", Durable: true})
	s.fails(3, "function", "list")
	g := s.start()
	s.says("function list", `^topic +on demand +idle +0 +0 `, `^fails +on demand +idle`, `^closed in by: `)

	event := filepath.Join(s.dir, "event.json")
	if err := os.WriteFile(event, []byte(`{"n": 1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := s.greengate("function", "invoke", "topic", "--event", event, "--topic", "by/hand"); out != `{"event":{"n":1},"topic":"by/hand"}`+"\n" {
		t.Errorf("invoke prints %q", out)
	}
	if out := s.greengate("function", "invoke", "topic"); out != `{"event":{},"topic":"$invoke"}`+"\n" {
		t.Errorf("invoke without a topic prints %q", out)
	}
	nothing := filepath.Join(s.dir, "nothing")
	if err := os.WriteFile(nothing, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if out := s.greengate("function", "invoke", "topic", "--event", nothing); out != `{"event":{},"topic":"$invoke"}`+"\n" {
		t.Errorf("invoke with an empty event prints %q", out)
	}
	if out := s.fails(2, "function", "invoke", "fails"); !strings.Contains(out, "greengate: fails failed: errorString: as always") {
		t.Errorf("a call that fails says %q", out)
	}
	for _, wrong := range [][]string{{"function", "invoke", "none"}, {"function", "invoke", "topic", "--event", s.file}, {"function", "logs", "none"}, {"function", "test", "topic"}, {"function", "invoke", "topic", "--topic", "a/#"},
		{"function", "quarantine", "none"}, {"function", "requeue", "999"}, {"function", "discard", "999"}, {"function", "requeue", "--function", "none"}} {
		s.fails(1, wrong...)
	}

	// What was watched is played again.
	messages := filepath.Join(s.dir, "seen.jsonl")
	record := s.prepare("watch", "--json", "--payload", "--to", "function:topic")
	seen := new(buffer)
	record.Stdout = seen
	if err := record.Start(); err != nil {
		t.Fatal(err)
	}
	sender := s.connect("sender")
	eventually(t, "the watcher sees messages", func() bool {
		sender.publish("t/1", `{"seen": true}`)
		return strings.Count(seen.String(), "\n") >= 2
	})
	_ = record.Process.Kill()
	_ = record.Wait()
	lines := strings.SplitAfter(seen.String(), "\n")
	if err := os.WriteFile(messages, []byte(strings.Join(lines[:2], "")+`{"topic": "t/x", "payload": {"written": "by hand"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat(`{"event":{"seen":true},"topic":"t/1"}`+"\n", 2) + `{"event":{"written":"by hand"},"topic":"t/x"}` + "\n"
	if out := s.greengate("function", "test", "topic", "--message", messages); out != want {
		t.Errorf("test prints %q, want %q", out, want)
	}
	if err := os.WriteFile(event, []byte("\x00\xff"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := s.greengate("function", "invoke", "bytes", "--event", event); out != "\x00\xff" {
		t.Errorf("bytes come back as %q", out)
	}

	// A durable call that fails is in quarantine until somebody decides.
	sender.publish("f", `{"poison": 1}`)
	sender.publish("f", `{"poison": 2}`)
	eventually(t, "the calls are in quarantine", func() bool { return g.has("fails").Quarantined == 2 })
	s.says("function quarantine fails", `^[0-9]+ +2.* fails +sender +f +13 +function-error: .*as always`)
	s.says("function list", `^fails: 2 calls in quarantine`)
	s.says("status", `fails: 2 calls of the function fails are in quarantine`, "next: `greengate function quarantine fails` tells why")
	s.says("function requeue --function fails", `^2 calls put back$`)
	eventually(t, "they fail again", func() bool { return g.has("fails").Calls == 5 && g.has("fails").Quarantined == 2 })
	var list struct{ Calls []struct{ Seq int64 } }
	if err := json.Unmarshal([]byte(s.greengate("function", "quarantine", "--json")), &list); err != nil || len(list.Calls) != 2 {
		t.Fatalf("quarantine --json: %+v, %v", list, err)
	}
	s.says("function discard --all", `^2 calls deleted$`)
	eventually(t, "the quarantine is empty", func() bool { return g.has("fails").Quarantined == 0 })
	s.says("function logs fails", ` stderr +.*as always`)
	var written []client.FunctionLine
	if err := json.Unmarshal([]byte(s.greengate("function", "logs", "fails", "--json")), &written); err != nil || len(written) < 5 {
		t.Errorf("logs --json: %+v, %v", written, err)
	}
	g.balanced()
}
