package subscriptions_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"greengate/core/message"
	. "greengate/subscriptions"
)

const homeTable = `
- {from: switch, topic: light/on, to: lamp}
- {from: "label:light", topic: "state/${from}", to: [cloud, "device:switch"]}
- {from: cloud, topic: "cmd/${to}/#", to: "device:*"}
- {from: switch, shadow: lamp, may: [get, watch]}
- {from: switch, topic: light/on, to: "label:garden"}
- {from: shadow, topic: "$aws/things/+/shadow/update/documents", to: "function:aggregate"}`

func query(tb testing.TB, from, topic, to string) Query {
	q := Query{From: endpoint(tb, from), Topic: topic}
	if to != "" {
		q.To, q.HasTo = endpoint(tb, to), true
	}
	return q
}

func TestExplainAllowed(t *testing.T) {
	table := compile(t, homeTable)
	for _, c := range []struct {
		from, topic, to string
		rows            string // line>to+to
		receivers       string
	}{
		{"switch", "light/on", "", "1>lamp 5>label:garden", "lamp strip"},
		{"switch", "light/on", "strip", "5>label:garden", "strip"},
		{"lamp", "state/lamp", "", "2>cloud+device:switch", "cloud switch"},
		{"lamp", "state/lamp", "switch", "2>cloud+device:switch", "switch"},
		{"cloud", "cmd/lamp/on", "", "3>device:*", "lamp"},
		{"switch", "$aws/things/lamp/shadow/get", "", "4>shadow", "shadow"},
		{"shadow", "$aws/things/lamp/shadow/get/accepted", "", "4>switch 21>lamp", "lamp switch"},
		{"shadow", "$aws/things/lamp/shadow/update/documents", "", "4>switch 6>function:aggregate 21>lamp", "function:aggregate lamp switch"},
		{"shadow", "$aws/things/lamp/shadow/get/accepted", "lamp", "21>lamp", "lamp"},
		{"strip", "$aws/things/strip/shadow/name/n/update", "", "0>shadow", "shadow"},
	} {
		t.Run(c.from+" "+c.topic+" "+c.to, func(t *testing.T) {
			x := table.Explain(query(t, c.from, c.topic, c.to), homeNames)
			var rows []string
			for _, r := range x.Rows {
				rows = append(rows, fmt.Sprintf("%d>%s", r.Line, strings.Join(r.To, "+")))
			}
			if got := strings.Join(rows, " "); !x.Allowed || got != c.rows {
				t.Errorf("allowed is %v by rows %s, want %s", x.Allowed, got, c.rows)
			}
			if got := strings.Join(x.Receivers, " "); got != c.receivers {
				t.Errorf("receivers are %s, want %s", got, c.receivers)
			}
			if x.Reason != "" || x.Suggest != "" {
				t.Errorf("reason is %q and suggest %q", x.Reason, x.Suggest)
			}
		})
	}
}

func TestExplainRefused(t *testing.T) {
	table := compile(t, homeTable)
	for _, c := range []struct{ from, topic, to, reason, suggest string }{
		{"switch", "light/on", "cloud", "line 1 lets switch publish on this topic, but to lamp, not to cloud",
			"- {from: switch, topic: light/on, to: cloud}"},
		{"strip", "light/on", "lamp", "line 1 allows this topic to lamp, but from switch, not from strip",
			"- {from: strip, topic: light/on, to: lamp}"},
		{"strip", "light/on", "", "line 1 allows this topic, but from switch, not from strip",
			"- {from: strip, topic: light/on, to: RECEIVER}"},
		{"lamp", "light/on", "switch", "line 1 allows this topic the other way, from switch to lamp: a row leads one way",
			"- {from: lamp, topic: light/on, to: switch}"},
		{"switch", "light/off", "lamp", "line 1 lets switch publish to lamp, but on light/on, not on this topic",
			"- {from: switch, topic: light/off, to: lamp}"},
		{"lamp", "state/strip", "", "line 2 lets lamp publish, but on state/${from}, not on this topic",
			"- {from: lamp, topic: state/strip, to: RECEIVER}"},
		{"function:aggregate", "a b", "cloud", "no row has function:aggregate as its source",
			`- {from: function:aggregate, topic: "a b", to: cloud}`},
		{"strip", "x", "lamp", "no row leads from strip to lamp, on any topic", "- {from: strip, topic: x, to: lamp}"},
		{"device:odd:one", "x", "", "no row has device:odd:one as its source", "- {from: device:odd:one, topic: x, to: RECEIVER}"},
		// Strangers.
		{"swich", "x", "lamp", "swich is no device of this group; did you mean switch?", ""},
		{"switch", "x", "zzzzzz", "zzzzzz is no device of this group", ""},
		{"function:agregate", "x", "", "function:agregate is no function of this group; did you mean function:aggregate?", ""},
		{"gpio:zzzz", "x", "lamp", "gpio:zzzz is no pin of this group", ""},
		{"switch", "light/on", "function:zzzz", "function:zzzz is no function of this group", ""},
		{"switch", "x", "gpio:bel", "gpio:bel is no pin of this group; did you mean gpio:bell?", ""},
		{"core", "x", "", "core is the gateway itself, not a device", ""},
		// What is no topic.
		{"switch", "light/+", "", "a topic to publish to holds a wildcard; explain asks about one topic that a message is published to", ""},
		{"switch", "", "", "the topic is empty; explain asks about one topic that a message is published to", ""},
		{"switch", "a/${from}", "lamp", "a row would read ${ in the topic as a placeholder", ""},
		// Shadows.
		{"switch", "$aws/things/lamp/shadow/update", "", "line 4 is for the shadow of lamp, but only for get and watch",
			"- {from: switch, shadow: lamp, may: [update]}"},
		{"shadow", "$aws/things/lamp/shadow/name/n/update/accepted", "switch",
			"own_shadows: true lets shadow publish on this topic, but to lamp, not to switch",
			"- {from: switch, shadow: lamp, may: [update]}"},
		{"switch", "$aws/things/switch/shadow/update", "", "switch may use its own shadow by rows only: own_shadows is false in line 20",
			"- {from: switch, shadow: switch, may: [update]}"},
		{"shadow", "$aws/things/switch/shadow/update/delta", "", "line 6 lets shadow publish, but on $aws/things/+/shadow/update/documents, not on this topic",
			"- {from: RECEIVER, shadow: switch, may: [watch]}"},
		{"dumb", "$aws/things/dumb/shadow/update", "", "dumb has no shadow: it has shadow: none in line 13", ""},
		{"lamp", "$aws/things/lamp/shadow/update/accepted", "", "only the shadow service publishes on this topic", ""},
		{"lamp", "$aws/things/a/b/shadow/get/accepted", "", "line 2 lets lamp publish, but on state/${from}, not on this topic",
			"- {from: lamp, topic: $aws/things/a/b/shadow/get/accepted, to: RECEIVER}"},
		{"shadow", "$aws/things/lamp/shadow/update", "lamp", "this topic is for requests to the shadow service, which sends none", ""},
		{"lamp", "$aws/things/other/shadow/get", "cloud", "line 2 lets lamp publish to cloud, but on state/${from}, not on this topic",
			"- {from: lamp, topic: $aws/things/other/shadow/get, to: cloud}"},
	} {
		t.Run(c.from+" "+c.topic+" "+c.to, func(t *testing.T) {
			x := table.Explain(query(t, c.from, c.topic, c.to), homeNames)
			if x.Allowed || len(x.Rows) > 0 || len(x.Receivers) > 0 {
				t.Fatalf("it is allowed: %+v", x)
			}
			if x.Reason != c.reason {
				t.Errorf("reason is\n%s\nwant\n%s", x.Reason, c.reason)
			}
			if x.Suggest != c.suggest {
				t.Errorf("suggest is\n%s\nwant\n%s", x.Suggest, c.suggest)
			}
		})
	}
}

func TestExplainJSON(t *testing.T) {
	table := compile(t, `- {from: switch, topic: a, to: lamp}`)
	for _, c := range []struct{ topic, want string }{
		{"a", `{"from":"switch","topic":"a","allowed":true,"rows":[{"line":1,"text":"{from: switch, topic: a, to: lamp}","to":["lamp"]}],` +
			`"receivers":["lamp"],"reason":"","suggest":""}`},
		{"b", `{"from":"switch","topic":"b","allowed":false,"rows":[],"receivers":[],` +
			`"reason":"line 1 lets switch publish, but on a, not on this topic","suggest":"- {from: switch, topic: b, to: RECEIVER}"}`},
	} {
		got, err := json.Marshal(table.Explain(query(t, "switch", c.topic, ""), homeNames))
		if err != nil || string(got) != c.want {
			t.Errorf("%v\n%s\nwant\n%s", err, got, c.want)
		}
	}
}

// TestSuggestedRowAllows pastes what Explain suggests into random tables.
func TestSuggestedRowAllows(t *testing.T) {
	pasted := 0
	for seed := range uint64(500) {
		w := newWorld(seed)
		table, err := Compile(w.rows, w.site)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			from, topic := w.probe()
			q := Query{From: from, Topic: topic, To: pick(w, w.ends), HasTo: true}
			x := table.Explain(q, worldNames)
			if want := w.allows(from, topic, q.To) >= 0; x.Allowed != want {
				t.Fatalf("%+v: allowed is %v\n%+v", q, x.Allowed, w.rows)
			}
			if x.Allowed != (x.Reason == "") || x.Allowed != slices.Contains(x.Receivers, q.To.String()) {
				t.Fatalf("%+v: %+v", q, x)
			}
			if x.Suggest == "" {
				continue
			}
			pasted++
			more := parseRows(t, x.Suggest)
			for _, f := range Check(more, w.site, worldNames) {
				t.Fatalf("%s: %s", x.Suggest, faultText(f))
			}
			wider, err := Compile(append(slices.Clip(w.rows), more...), w.site)
			if err != nil {
				t.Fatalf("%s: %v", x.Suggest, err)
			}
			if !wider.Explain(q, worldNames).Allowed {
				t.Fatalf("%s does not allow %+v", x.Suggest, q)
			}
		}
	}
	if pasted < 500 {
		t.Errorf("only %d rows were pasted, which proves little", pasted)
	}
}

// TestSuggestedTextIsYAML suggests topics that YAML reads as something else.
func TestSuggestedTextIsYAML(t *testing.T) {
	table := compile(t, `- {from: switch, topic: a, to: lamp}`)
	for _, topic := range []string{"yes", "null", "~", "1", "1e3", "0x1", ".5", "a: b", "a,b", "[a]", "{a}", "'a'", `"a"`, `a\b`, "&a", "*a",
		"!a", "%a", "@a", "`a", "- a", "?a", ":a", "a:", "|", ">", "a\tb", "ü/é", "a\u0085b", "a\u2028b", "\ufeffa", "=", "<<", "2001-01-01", "a:b", "on", "NO", "//", "😀"} {
		x := table.Explain(Query{From: message.DeviceEndpoint("switch"), Topic: topic, To: message.DeviceEndpoint("lamp"), HasTo: true}, homeNames)
		if rows := parseRows(t, x.Suggest); len(rows) != 1 || rows[0].Topic != topic {
			t.Errorf("topic %q is suggested as %s, read as %+v", topic, x.Suggest, rows)
		}
	}
}
