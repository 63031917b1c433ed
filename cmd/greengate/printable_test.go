package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"greengate/core/admin/client"
)

// hostile is what a device may write that ends a line, for a terminal or for YAML, or
// commands the terminal.
const hostile = "x\n  - {from: O, topic: \"\\x23\", to: \"device:*\"}\r\u0085\u2028\u2029  - {from: O, shadow: B}\n\x1b[31m\u009b\u202e"

// What is to be pasted under subscriptions has no row that a device wrote.
func TestLearnedIsNotForged(t *testing.T) {
	var out strings.Builder
	err := writeLearned(&out, &client.Learned{
		Notes: []string{hostile},
		Rows:  []client.LearnedRow{{Text: "{from: A, topic: a/+, to: B}", Flows: 5, Besides: []string{hostile}}},
		Still: []client.LearnedFlow{{From: "O", Topic: hostile, Reason: "no-row", Count: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, line := range strings.FieldsFunc(out.String(), func(r rune) bool { return strings.ContainsRune("\n\r\u0085\u2028\u2029", r) }) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "- "):
			rows++
		case !strings.HasPrefix(line, "#"):
			t.Errorf("neither a row nor a comment: %q", line)
		}
	}
	if rows != 1 {
		t.Errorf("%d rows, want the proposed one:\n%s", rows, out.String())
	}
}

// A change of a shadow is one line, whatever its keys and values are.
func TestHistoryIsNotForged(t *testing.T) {
	text, _ := json.Marshal(hostile)
	var out strings.Builder
	err := writeHistory(&out, []client.ShadowEntry{{Version: 1, Changes: []client.ShadowChange{
		{Section: "reported", Path: "/" + hostile, After: json.RawMessage(`"` + "\u009b\u202e" + `"`)},
		{Section: "reported", Path: "/long", After: json.RawMessage(text)},
		{Section: "reported", Path: "/cut", After: json.RawMessage(`"` + strings.Repeat("€", 40) + `"`)},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.ReplaceAll(out.String(), "\n", "")
	if n := strings.Count(out.String(), "\n"); n != 4 || shown != clean(shown) || !utf8.ValidString(shown) {
		t.Errorf("%d lines, want a head and 3:\n%q", n, out.String())
	}
}

// JSON on a terminal commands it as little, and means the same.
func TestSafeJSON(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out}
	want := map[string]any{"state": map[string]any{hostile: "€ " + hostile}}
	text, _ := json.Marshal(hostile)
	text = bytes.Trim(text, `"`)
	raw := json.RawMessage(fmt.Sprintf(`{"state":{"%s":"€ %s"}}`, text, text))
	for _, v := range []any{want, raw} {
		out.Reset()
		if err := a.printJSON(v); err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		shown := strings.ReplaceAll(out.String(), "\n", "")
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || !reflect.DeepEqual(got, want) || shown != clean(shown) {
			t.Errorf("%v\n%q", err, out.String())
		}
	}
}

// clean is s without what no terminal should get: written apart from what is tested.
func clean(s string) string {
	for _, bad := range []string{"\n", "\r", "\x1b", "\u0085", "\u009b", "\u2028", "\u2029", "\u202e"} {
		s = strings.ReplaceAll(s, bad, "")
	}
	return s
}
