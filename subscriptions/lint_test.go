package subscriptions_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"greengate/core/message"
	. "greengate/subscriptions"
)

var lintHome = LintSite{
	Site: home, Publishes: map[string][]string{"bell": {"home/bell"}}, Outputs: map[string]bool{"red": true}, Cloud: true,
}

// lintTexts lints rows, one a line, and returns `row key: problem`.
func lintTexts(t *testing.T, rows string, site LintSite) (texts []string) {
	t.Helper()
	faults, err := Lint(parseRows(t, rows), site)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		if !f.Warning || f.Problem == "" || f.Hint == "" {
			t.Errorf("no warning with a problem and what to do: %+v", f)
		}
		texts = append(texts, strings.TrimSpace(string(rune('1'+f.Row))+" "+f.Key)+": "+f.Problem)
	}
	return texts
}

func TestLintNever(t *testing.T) {
	noCloud, nobody := lintHome, lintHome
	noCloud.Cloud = false
	nobody.Devices = nil
	for _, c := range []struct {
		site LintSite
		row  string
		want string
	}{
		{lintHome, `- {from: switch, topic: a, to: lamp}`, ""},
		{lintHome, `- {from: shadow, topic: "$aws/things/+/shadow/update/documents", to: "function:aggregate"}`, ""},
		{lintHome, `- {from: switch, topic: "$aws/things/${from}/shadow/#", to: shadow}`, ""},
		{lintHome, `- {from: "gpio:bell", topic: "home/#", to: "gpio:red"}`, ""},
		{lintHome, `- {from: shadow, topic: "#", to: lamp}`, "1 topic: the row never matches: the shadow service does not publish"},
		{lintHome, `- {from: shadow, topic: "$aws/things/+/shadow/update", to: lamp}`, "1 topic: the row never matches"},
		{lintHome, `- {from: switch, topic: a, to: [lamp, shadow]}`, "1 topic: nothing comes of it: the shadow service takes no such topic"},
		{lintHome, `- {from: "gpio:bell", topic: home/door, to: lamp}`, "1 topic: the row never matches: gpio:bell publishes on home/bell only"},
		{lintHome, `- {from: "gpio:red", topic: home/door, to: lamp}`, "1 from: the row never matches: gpio:red publishes nothing"},
		{lintHome, `- {from: "gpio:bell", shadow: lamp}`, "1 from: the row never matches: gpio:bell does not publish to this shadow"},
		{lintHome, `- {from: switch, topic: a, to: "gpio:bell"}`, "1 to: nothing comes of it: gpio:bell is an input"},
		{lintHome, `- {from: dumb, topic: "$aws/things/${from}/shadow/get", to: shadow}`, "1 topic: the row never matches: no device of that side has a shadow"},
		{noCloud, `- {from: cloud, topic: a, to: lamp}`, "1 from: the row never matches: there is no cloud"},
		{noCloud, `- {from: switch, topic: a, to: cloud}`, "1 to: nothing comes of it: there is no cloud section"},
		{nobody, `- {from: "device:*", topic: a, to: cloud}`, "1 from: the row never matches: the group has no device"},
	} {
		got := lintTexts(t, c.row, c.site)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], c.want)) {
			t.Errorf("%s: got %q, want %q", c.row, got, c.want)
		}
	}
}

func TestLintNeedless(t *testing.T) {
	for _, c := range []struct {
		name, rows string
		want       []string
	}{
		{"a wildcard", "- {from: switch, topic: \"a/#\", to: lamp}\n- {from: switch, topic: a/b, to: lamp}", []string{"2: the row is needless: line 1"}},
		{"the wider one comes later", "- {from: switch, topic: a/b, to: lamp}\n- {from: \"device:*\", topic: a/+, to: \"device:*\"}", []string{"1: the row is needless: line 2"}},
		{"a label", "- {from: \"label:light\", topic: a, to: switch}\n- {from: [lamp, strip], topic: a, to: switch}", []string{"2: the row is needless: line 1"}},
		{"an alarm", "- {from: \"label:garden\", topic: a, to: switch}\n- {from: [lamp, strip], topic: a, to: switch}", []string{"1: the row is needless: line 2"}},
		{"# is wider than +", "- {from: switch, topic: a/+, to: lamp}\n- {from: switch, topic: \"a/#\", to: lamp}", []string{"1: the row is needless: line 2"}},
		{"a level more", "- {from: switch, topic: a/+, to: lamp}\n- {from: switch, topic: a/+/b, to: lamp}\n- {from: switch, topic: a, to: lamp}", nil},
		{"another receiver", "- {from: switch, topic: \"#\", to: strip}\n- {from: switch, topic: a, to: lamp}", nil},
		{"a placeholder", "- {from: lamp, topic: d/lamp/+, to: cloud}\n- {from: \"device:*\", topic: \"d/${from}/#\", to: cloud}", []string{"1: the row is needless: line 2"}},
		{"a placeholder and a name of another", "- {from: strip, topic: d/lamp, to: cloud}\n- {from: \"device:*\", topic: \"d/${from}\", to: cloud}", nil},
		{"$ is under no wildcard", "- {from: shadow, topic: \"$aws/things/x/shadow/get/accepted\", to: lamp}\n- {from: shadow, topic: \"+/things/x/shadow/get/accepted\", to: lamp}", []string{"2 topic: the row never matches"}},
		{"shadow rows", "- {from: switch, shadow: lamp, may: [get]}\n- {from: \"label:input\", shadow: lamp, may: [get, watch]}", []string{"1: the row is needless: line 2"}},
		{"more may", "- {from: switch, shadow: lamp}\n- {from: switch, shadow: lamp, may: [get]}", []string{"2: the row is needless: line 1"}},
		{"own shadows", "- {from: lamp, shadow: lamp}", []string{"1: the row is needless: `own_shadows: true`"}},
		{"own shadows switched off", "- {from: switch, shadow: switch}", nil},
		{"its own priority", "- {from: switch, topic: a, to: cloud, priority: high}\n- {from: switch, topic: \"#\", to: cloud}", nil},
		{"a priority that comes too late", "- {from: switch, topic: \"#\", to: cloud}\n- {from: switch, topic: a, to: cloud, priority: high}", []string{"2: the row is needless: line 1"}},
		{"the same twice is for Check", "- {from: switch, topic: a, to: lamp}\n- {from: switch, topic: a, to: lamp}", nil},
		{"the same in two ways", "- {from: \"label:light\", topic: a, to: lamp}\n- {from: [lamp, strip], topic: a, to: lamp}", []string{"2: the row is needless: line 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := lintTexts(t, c.rows, lintHome)
			if len(got) != len(c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], c.want[i]) {
					t.Errorf("got %q, want %q", got[i], c.want[i])
				}
			}
		})
	}
}

// Without all the rows that are called needless the table allows what it allowed
// with them; and a row that is called so allows nothing else than the others.
func TestLintNeedlessProperty(t *testing.T) {
	needless, probes := 0, 0
	for seed := range uint64(300) {
		w := newWorld(seed)
		faults, err := Lint(w.rows, LintSite{Site: w.site, Cloud: true})
		if err != nil {
			t.Fatal(err)
		}
		out := map[int]bool{}
		for _, f := range faults {
			if strings.HasPrefix(f.Problem, "the row is needless") {
				out[f.Row] = true
			}
		}
		if len(out) == 0 {
			continue
		}
		needless += len(out)
		var kept []Row
		for i, r := range w.rows {
			if !out[i] {
				kept = append(kept, r)
			}
		}
		with, without := oracle{w.rows, w.site}, oracle{kept, w.site}
		for range 150 {
			from, topic := w.probe()
			for _, to := range w.ends {
				probes++
				if with.allows(from, topic, to) >= 0 != (without.allows(from, topic, to) >= 0) {
					t.Fatalf("seed %d: %v on %q to %v is lost without the needless rows %v of\n%+v", seed, from, topic, to, out, w.rows)
				}
			}
		}
	}
	if needless < 50 {
		t.Errorf("%d needless rows and %d probes prove little", needless, probes)
	}
}

func TestLintUse(t *testing.T) {
	rows := parseRows(t, `
- {from: "label:light", topic: "d/${from}", to: switch}
- {from: switch, topic: "a/#", to: lamp}
- {from: switch, topic: never, to: lamp}
- {from: switch, topic: counted, to: lamp}`)
	flow := func(from, topic, to string) RecordedFlow {
		return RecordedFlow{From: endpoint(t, from), Topic: topic, Allowed: []message.Endpoint{endpoint(t, to)}}
	}
	use := Use{
		Since: 72 * time.Hour, Recorded: 25 * time.Hour, Counted: map[string]bool{rows[0].Text: true, rows[1].Text: true, rows[3].Text: true},
		Flows: []RecordedFlow{flow("lamp", "d/lamp", "switch"), flow("switch", "a/b", "lamp"), flow("stranger", "a", "lamp")},
	}
	lint := func(use Use, least time.Duration) (texts []string) {
		faults, err := LintUse(rows, home, use, least)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range faults {
			texts = append(texts, strings.TrimSpace(string(rune('1'+f.Row))+" "+f.Key)+": "+f.Problem)
		}
		return texts
	}
	want := []string{
		"1 from: it lets devices publish that never did in the 25 hours of the recording: strip",
		"2 topic: it is for many topics, and only a/b was used in the 25 hours of the recording",
		"3: nothing went by this row in the 3 days since the gateway has had these rows",
	}
	if got := lint(use, 24*time.Hour); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := lint(use, 100*time.Hour); got != nil {
		t.Errorf("before the time: %q", got)
	}
	if got := lint(Use{}, 0); got != nil {
		t.Errorf("without a gateway: %q", got)
	}
}
