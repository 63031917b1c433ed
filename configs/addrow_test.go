package configs

import (
	"errors"
	"strings"
	"testing"
)

const rowHead = editHead + "devices: [{thing: A}, {thing: B}]\n"

func TestAddRow(t *testing.T) {
	const row = `- {from: A, topic: "x/#", to: B}`
	for _, c := range []struct{ name, before, after string }{
		{"no key", "", "\nsubscriptions:\n  - {from: A, topic: \"x/#\", to: B}\n"},
		{"empty list", "subscriptions: [] # none\ndata: d\n", "subscriptions: # none\n  - {from: A, topic: \"x/#\", to: B}\ndata: d\n"},
		{"comments only", "subscriptions:\n  # - {from: B, topic: y, to: A}\ndata: d\n", "subscriptions:\n  - {from: A, topic: \"x/#\", to: B}\n  # - {from: B, topic: y, to: A}\ndata: d\n"},
		{"in lines", "subscriptions:\n  - {from: B, topic: y, to: A}  # back\n\n# next\ndata: d\n", "subscriptions:\n  - {from: B, topic: y, to: A}  # back\n  - {from: A, topic: \"x/#\", to: B}\n\n# next\ndata: d\n"},
		{"in blocks", "subscriptions:\n- from: B\n  topic: y\n  to: A\n", "subscriptions:\n- from: B\n  topic: y\n  to: A\n- from: A\n  topic: \"x/#\"\n  to: B\n"},
		{"in brackets", "subscriptions: [{from: B, topic: y, to: A}]\n", "subscriptions: [{from: B, topic: y, to: A}, {from: A, topic: \"x/#\", to: B}]\n"},
		{"an alias", "subscriptions: *all\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, line, err := AddRow([]byte(rowHead+c.before), row)
			if c.after == "" {
				if err == nil {
					t.Errorf("got\n%s", got)
				}
				return
			}
			if want := rowHead + c.after; err != nil || string(got) != want {
				t.Fatalf("%v, got\n%s\nwant\n%s", err, got, want)
			}
			if text := strings.Split(string(got), "\n")[line-1]; !strings.Contains(text, "from: A") {
				t.Errorf("line %d is %q", line, text)
			}
		})
	}
}

// What a device has called its topic stays a topic.
func TestAddRowOfOddTopics(t *testing.T) {
	for _, topic := range []string{`a"b`, `a: b, to: C}`, "x ; y", `\`, "{}", "ü/😀", "on"} {
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(topic) + `"`
		got, _, err := AddRow([]byte(rowHead), "{from: A, topic: "+quoted+", to: B}")
		if err != nil {
			t.Errorf("%s: %v", topic, err)
			continue
		}
		c, err := Parse("", got)
		if err != nil || len(c.Subscriptions) != 1 || c.Subscriptions[0].Topic != topic {
			t.Errorf("%s: %v in\n%s", topic, err, got)
		}
	}
}

func TestAddRowRefuses(t *testing.T) {
	for _, row := range []string{"", "x", "[]", "{from: A, topic: t, to: RECEIVER}", "{from: A, topic: t}", "{from: A, topic: t, to: B}\n- {from: B, topic: t, to: A}", "{from: A, topic: t, to: B, quux: 1}"} {
		if got, _, err := AddRow([]byte(rowHead), row); err == nil {
			t.Errorf("%q: %s", row, got)
		}
	}
	if _, _, err := AddRow([]byte("version: 1\n"), "{from: A, topic: t, to: B}"); !errors.As(err, new(Faults)) {
		t.Errorf("a wrong file: %v", err)
	}
}
