package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"greengate/core/admin/client"
)

// What devices are refused becomes rows, and with these rows in the file it is
// delivered.
func TestLearnedRowsLetThrough(t *testing.T) {
	h := newHouse(t)
	h.must("learn", "start")
	lamp, sw := h.connect("lamp"), h.connect("switch")
	lamp.send(0x82, []byte{0, 1}, text("door/#"), []byte{0})
	lamp.expect(0x90, []byte{0, 1, 0})
	for _, topic := range []string{"door/switch", "door/front", "light/on"} {
		sw.send(0x30, text(topic), []byte("x"))
	}
	h.until("three messages", func(s *client.Status) bool { return s.Ledger.Accepted >= 3 })

	code, out, stderr := h.command("", "learn", "show")
	want := "  # allows 1 recorded flow and nothing else\n  - {from: switch, topic: door/front, to: lamp}\n"
	if code != exitDone || !strings.Contains(out, want) || !strings.Contains(out, "{from: switch, topic: door/switch, to: lamp}") || strings.Contains(out, "light/on") {
		t.Fatalf("exit code %d, %s\n%s", code, stderr, out)
	}
	// The whole output is what a person pastes under `subscriptions`.
	h.append(out)
	if code, _, stderr := h.command("", "check"); code != exitDone {
		t.Fatalf("with the output in the file: %s", stderr)
	}
	if _, err := h.control.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	sw.send(0x30, text("door/front"), []byte("x"))
	if topic, _ := lamp.receive(); topic != "door/front" {
		t.Errorf("the lamp heard %s", topic)
	}
	if _, out, _ := h.command("", "learn", "show"); !strings.Contains(out, "2 flows refused, 2 of them allowed by rows since") || !strings.Contains(out, "nothing that was recorded is refused") {
		t.Errorf("after the rows:\n%s", out)
	}
}

// append adds lines to the group file, whose last lines are the rows.
func (h *house) append(lines string) {
	h.t.Helper()
	old, err := os.ReadFile(h.file())
	if err != nil {
		h.t.Fatal(err)
	}
	h.write(string(old) + lines)
}

func TestWatchFilters(t *testing.T) {
	h := newHouse(t)
	sw, lamp := h.connect("switch"), h.connect("lamp")
	lamp.send(0x82, []byte{0, 1}, text("light/on"), []byte{0})
	lamp.expect(0x90, []byte{0, 1, 0})
	for _, c := range []struct {
		args string
		want string
	}{
		{"--from lamp", "lamp light/off"},
		{"--to lamp", "switch light/on"},
		{"--to - --from switch", "switch secret"},
		{"--verdict refused --from switch", "switch secret"},
		{"--verdict delivered,queued", "switch light/on"},
		{"--topic light/off", "lamp light/off"},
	} {
		f := client.WatchFilter{}
		for words := strings.Fields(c.args); len(words) > 0; words = words[2:] {
			list := strings.Split(words[1], ",")
			switch words[0] {
			case "--from":
				f.From = list
			case "--to":
				f.To = list
			case "--verdict":
				f.Verdict = list
			case "--topic":
				f.Topic = words[1]
			}
		}
		if err := checkWatch(&f); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		var seen client.Event
		err := h.control.WatchOnly(ctx, f, func() {
			sw.send(0x30, text("secret"), []byte("x"))
			sw.send(0x30, text("light/on"), []byte("x"))
			lamp.send(0x30, text("light/off"), []byte("x"))
		}, func(e client.Event) {
			if seen.From == "" {
				seen = e
			}
			cancel()
		})
		cancel()
		if got := seen.From + " " + seen.Topic; err != nil || got != c.want {
			t.Errorf("%s: saw %q first, %v, want %q", c.args, got, err, c.want)
		}
	}
	for _, bad := range [][]string{{"--verdict", "refuse"}, {"--from", "label:x"}, {"--to", "a b"}} {
		if code, _, stderr := h.command("", append([]string{"watch"}, bad...)...); code != exitInput || !strings.Contains(stderr, bad[0]) {
			t.Errorf("%v: exit code %d, %s", bad, code, stderr)
		}
	}
}

func TestEventLine(t *testing.T) {
	e := client.Event{Verdict: "refused", From: "a", Topic: "t\x1b[2J", Reason: "no-row", Bytes: 3}
	var b bytes.Buffer
	writeEvent(&b, e, false)
	if got := b.String(); strings.Contains(got, "\x1b") || !strings.Contains(got, "t?[2J") || !strings.HasSuffix(got, "no-row\n") {
		t.Errorf("got %q", got)
	}
	b.Reset()
	writeEvent(&b, e, true)
	if got := b.String(); !strings.Contains(got, red+"refused  "+plain) || strings.Count(got, "\x1b") != 2 {
		t.Errorf("got %q", got)
	}
	if colours(&b) {
		t.Error("a buffer takes no colours")
	}
}
