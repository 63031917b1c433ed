package subscriptions_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"greengate/core/message"
	. "greengate/subscriptions"
)

// home is the group of the tests.
var home = Site{Core: "core", Devices: []Device{
	{Thing: "switch", Labels: []string{"input"}, OwnLine: 20, Line: 10},
	{Thing: "lamp", Labels: []string{"light"}, OwnShadows: true, OwnLine: 21, Line: 11},
	{Thing: "strip", Labels: []string{"light", "garden"}, OwnShadows: true, Line: 12},
	{Thing: "dumb", OwnShadows: true, NoShadow: true, Line: 13},
	{Thing: "odd:one", Line: 14},
}}

var homeNames = Names{Functions: []string{"aggregate"}, Pins: []string{"bell"}}

// parseRows reads rows as the group file has them, one a line.
func parseRows(tb testing.TB, text string) []Row {
	tb.Helper()
	var read []struct {
		From, To                ends
		Topic, Shadow, Priority string
		May                     []string
		TTL                     time.Duration
		Overtake, Durable       bool
	}
	if err := yaml.Unmarshal([]byte(text), &read); err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	rows := make([]Row, len(read))
	for i, r := range read {
		rows[i] = Row{From: Ends(r.From), Topic: r.Topic, Shadow: r.Shadow, May: r.May, To: Ends(r.To), Priority: r.Priority, TTL: r.TTL, Overtake: r.Overtake, Durable: r.Durable,
			Line: i + 1, Text: strings.TrimPrefix(strings.TrimSpace(lines[i]), "- ")}
	}
	return rows
}

// ends is one string or a list.
type ends []string

func (e *ends) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*e = ends{n.Value}
		return nil
	}
	return n.Decode((*[]string)(e))
}

func compile(tb testing.TB, text string) *Table {
	tb.Helper()
	rows := parseRows(tb, text)
	for _, f := range Check(rows, home, homeNames) {
		if !f.Warning {
			tb.Fatalf("%s: %+v", rows[f.Row].Text, f)
		}
	}
	t, err := Compile(rows, home)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func endpoint(tb testing.TB, text string) message.Endpoint {
	tb.Helper()
	e, err := message.ParseEndpoint(text)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// receivers asks for all who may receive, each with its row counted from 1.
func receivers(tb testing.TB, t *Table, from, topic string) string {
	tb.Helper()
	m := t.Lookup(endpoint(tb, from), topic)
	if m == nil {
		return "nobody"
	}
	var all []string
	add := func(to message.Endpoint, row int) { all = append(all, fmt.Sprintf("%s:%d", to, row+1)) }
	m.Services(add)
	m.Devices(add)
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestLookup(t *testing.T) {
	for _, c := range []struct{ row, from, topic, want string }{
		// Ends.
		{`- {from: switch, topic: a/b, to: lamp}`, "switch", "a/b", "lamp:1"},
		{`- {from: switch, topic: a/b, to: lamp}`, "lamp", "a/b", "nobody"},
		{`- {from: switch, topic: a/b, to: lamp}`, "switch", "a/b/c", "nobody"},
		{`- {from: switch, topic: a/b, to: lamp}`, "switch", "a", "nobody"},
		{`- {from: "device:switch", topic: a, to: "device:lamp"}`, "switch", "a", "lamp:1"},
		{`- {from: "device:odd:one", topic: a, to: "device:odd:one"}`, "device:odd:one", "a", "device:odd:one:1"},
		{`- {from: "device:*", topic: a, to: "label:light"}`, "dumb", "a", "lamp:1 strip:1"},
		{`- {from: "device:*", topic: a, to: "label:light"}`, "stranger", "a", "nobody"},
		{`- {from: "device:*", topic: a, to: "label:light"}`, "cloud", "a", "nobody"},
		{`- {from: "label:light", topic: a, to: "label:garden"}`, "lamp", "a", "strip:1"},
		{`- {from: "label:light", topic: a, to: "label:garden"}`, "switch", "a", "nobody"},
		{`- {from: "label:nobody", topic: a, to: switch}`, "lamp", "a", "nobody"},
		{`- {from: lamp, topic: a, to: "label:nobody"}`, "lamp", "a", "nobody"},
		{`- {from: switch, topic: a, to: "device:*"}`, "switch", "a", "device:odd:one:1 dumb:1 lamp:1 strip:1 switch:1"},
		{`- {from: switch, topic: a, to: [cloud, shadow, "function:aggregate", "gpio:bell", lamp]}`, "switch", "a",
			"cloud:1 function:aggregate:1 gpio:bell:1 lamp:1 shadow:1"},
		{`- {from: [cloud, "function:aggregate", "gpio:bell"], topic: a, to: lamp}`, "function:aggregate", "a", "lamp:1"},
		{`- {from: [cloud, "function:aggregate", "gpio:bell"], topic: a, to: lamp}`, "gpio:bell", "a", "lamp:1"},
		{`- {from: [cloud, "function:aggregate", "gpio:bell"], topic: a, to: lamp}`, "cloud", "a", "lamp:1"},
		{`- {from: [cloud, "function:aggregate", "gpio:bell"], topic: a, to: lamp}`, "function:bell", "a", "nobody"},
		// Wildcards.
		{`- {from: switch, topic: "a/#", to: lamp}`, "switch", "a", "lamp:1"},
		{`- {from: switch, topic: "a/#", to: lamp}`, "switch", "a/b/c", "lamp:1"},
		{`- {from: switch, topic: "a/#", to: lamp}`, "switch", "ab", "nobody"},
		{`- {from: switch, topic: "a/+/c", to: lamp}`, "switch", "a//c", "lamp:1"},
		{`- {from: switch, topic: "a/+", to: lamp}`, "switch", "a", "nobody"},
		{`- {from: switch, topic: "#", to: lamp}`, "switch", "a/b", "lamp:1"},
		{`- {from: switch, topic: "#", to: lamp}`, "switch", "$SYS/a", "nobody"},
		{`- {from: switch, topic: "+/a", to: lamp}`, "switch", "$SYS/a", "nobody"},
		{`- {from: switch, topic: "$SYS/#", to: lamp}`, "switch", "$SYS/a", "lamp:1"},
		// Placeholders.
		{`- {from: "device:*", topic: "s/${from}/#", to: cloud}`, "lamp", "s/lamp/x", "cloud:1"},
		{`- {from: "device:*", topic: "s/${from}/#", to: cloud}`, "lamp", "s/strip/x", "nobody"},
		{`- {from: "device:*", topic: "s/${from}/#", to: cloud}`, "lamp", "s/${from}/x", "nobody"},
		{`- {from: cloud, topic: "cmd/${to}/#", to: "device:*"}`, "cloud", "cmd/lamp/on", "lamp:1"},
		{`- {from: cloud, topic: "cmd/${to}/#", to: "label:light"}`, "cloud", "cmd/switch/on", "nobody"},
		{`- {from: cloud, topic: "cmd/${to}/#", to: "device:*"}`, "cloud", "cmd/stranger/on", "nobody"},
		{`- {from: cloud, topic: "cmd/${to}/#", to: "device:*"}`, "cloud", "cmd/${to}/on", "nobody"},
		{`- {from: cloud, topic: "cmd/${to}", to: [lamp, switch]}`, "cloud", "cmd/switch", "switch:1"},
		{`- {from: "device:*", topic: "dev-${from}/x", to: cloud}`, "lamp", "dev-lamp/x", "cloud:1"},
		{`- {from: "device:*", topic: "dev-${from}/x", to: cloud}`, "lamp", "dev-strip/x", "nobody"},
		{`- {from: "device:*", topic: "dev-${from}/x", to: cloud}`, "lamp", "dev-${from}/x", "nobody"},
		{`- {from: "device:*", topic: "${from}-${to}/x", to: "device:*"}`, "switch", "switch-lamp/x", "lamp:1"},
		{`- {from: "device:*", topic: "${from}-${to}/x", to: "device:*"}`, "lamp", "switch-lamp/x", "nobody"},
		{`- {from: "device:*", topic: "${to}/${to}", to: "device:*"}`, "switch", "lamp/lamp", "lamp:1"},
		{`- {from: "device:*", topic: "${to}/${to}", to: "device:*"}`, "switch", "lamp/strip", "nobody"},
		{`- {from: "device:*", topic: "${from}/${to}", to: "device:*"}`, "lamp", "lamp/lamp", "lamp:1"},
		// Shadow rows.
		{`- {from: switch, shadow: lamp}`, "switch", "$aws/things/lamp/shadow/update", "shadow:1"},
		{`- {from: switch, shadow: lamp}`, "switch", "$aws/things/lamp/shadow/name/n/get", "shadow:1"},
		{`- {from: switch, shadow: lamp}`, "switch", "$aws/things/lamp/shadow/name/n/m/get", "nobody"},
		{`- {from: switch, shadow: lamp}`, "switch", "$aws/things/strip/shadow/get", "nobody"},
		{`- {from: switch, shadow: lamp}`, "switch", "$aws/things/lamp/shadow/get/accepted", "nobody"},
		{`- {from: switch, shadow: anything}`, "switch", "$aws/things/anything/shadow/delete", "shadow:1"},
		{`- {from: switch, shadow: core}`, "switch", "$aws/things/core/shadow/get", "shadow:1"},
		{`- {from: switch, shadow: t}`, "shadow", "$aws/things/t/shadow/get/accepted", "switch:1"},
		{`- {from: switch, shadow: t}`, "shadow", "$aws/things/t/shadow/name/n/update/delta", "switch:1"},
		{`- {from: switch, shadow: t}`, "shadow", "$aws/things/t/shadow/update", "nobody"},
		{`- {from: switch, shadow: t, may: [get]}`, "switch", "$aws/things/t/shadow/update", "nobody"},
		{`- {from: switch, shadow: t, may: [get]}`, "shadow", "$aws/things/t/shadow/update/accepted", "nobody"},
		{`- {from: switch, shadow: t, may: [get]}`, "shadow", "$aws/things/t/shadow/update/documents", "nobody"},
		{`- {from: switch, shadow: t, may: [watch]}`, "shadow", "$aws/things/t/shadow/update/documents", "switch:1"},
		{`- {from: switch, shadow: t, may: [watch]}`, "switch", "$aws/things/t/shadow/get", "nobody"},
		{`- {from: ["label:light", "function:aggregate"], shadow: t}`, "shadow", "$aws/things/t/shadow/get/rejected",
			"function:aggregate:1 lamp:1 strip:1"},
		{`- {from: shadow, topic: "$aws/things/+/shadow/update/documents", to: "function:aggregate"}`,
			"shadow", "$aws/things/t/shadow/update/documents", "function:aggregate:1"},
		// Own shadows, row 2 of these tables.
		{`- {from: switch, topic: a, to: lamp}`, "lamp", "$aws/things/lamp/shadow/update", "shadow:2"},
		{`- {from: switch, topic: a, to: lamp}`, "lamp", "$aws/things/lamp/shadow/name/n/delete", "shadow:2"},
		{`- {from: switch, topic: a, to: lamp}`, "lamp", "$aws/things/strip/shadow/update", "nobody"},
		{`- {from: switch, topic: a, to: lamp}`, "lamp", "$aws/things/lamp/shadow/update/accepted", "nobody"},
		{`- {from: switch, topic: a, to: lamp}`, "shadow", "$aws/things/lamp/shadow/update/delta", "lamp:2"},
		{`- {from: switch, topic: a, to: lamp}`, "switch", "$aws/things/switch/shadow/update", "nobody"},
		{`- {from: switch, topic: a, to: lamp}`, "dumb", "$aws/things/dumb/shadow/update", "nobody"},
		{`- {from: switch, topic: a, to: lamp}`, "shadow", "$aws/things/dumb/shadow/update/delta", "nobody"},
		{`- {from: switch, topic: a, to: lamp}`, "shadow", "$aws/things/core/shadow/update/delta", "nobody"},
		{`- {from: switch, topic: "+/things/#", to: lamp}`, "lamp", "$aws/things/lamp/shadow/get", "shadow:2"},
	} {
		t.Run(c.row+" "+c.from+" "+c.topic, func(t *testing.T) {
			if got := receivers(t, compile(t, c.row), c.from, c.topic); got != c.want {
				t.Errorf("receivers are %s, want %s", got, c.want)
			}
		})
	}
}

func TestFirstRowInFileOrderIsReported(t *testing.T) {
	table := compile(t, `
- {from: "device:*", topic: "#", to: "label:light"}
- {from: switch, topic: a, to: lamp}
- {from: "label:input", topic: "+", to: [cloud, strip, dumb]}
- {from: switch, topic: "${from}", to: lamp}`)
	if got, want := receivers(t, table, "switch", "a"), "cloud:3 dumb:3 lamp:1 strip:1"; got != want {
		t.Errorf("receivers are %s, want %s", got, want)
	}
	if m := table.Lookup(endpoint(t, "switch"), "switch"); m.First() != 0 {
		t.Errorf("First is %d, want 0", m.First())
	}
}

// TestManySiblings tries nodes with so many children that they are hashed.
func TestManySiblings(t *testing.T) {
	var text strings.Builder
	for i := range 500 {
		fmt.Fprintf(&text, "- {from: cloud, topic: a/t%d/x, to: lamp}\n- {from: cloud, topic: a/t%d, to: strip}\n", i, i)
	}
	text.WriteString("- {from: cloud, topic: \"a/+/y\", to: dumb}\n- {from: cloud, topic: \"a/pre-${to}/#\", to: \"device:*\"}\n")
	for i := range 500 { // siblings of the same names beneath other parents
		fmt.Fprintf(&text, "- {from: cloud, topic: b%d/t%d, to: switch}\n", i%25, i)
	}
	table := compile(t, text.String())
	for i := range 500 {
		for topic, want := range map[string]string{
			fmt.Sprintf("a/t%d/x", i):           fmt.Sprintf("lamp:%d", 2*i+1),
			fmt.Sprintf("a/t%d", i):             fmt.Sprintf("strip:%d", 2*i+2),
			fmt.Sprintf("a/t%d/y", i):           "dumb:1001",
			fmt.Sprintf("t%d/x", i):             "nobody",
			fmt.Sprintf("b%d/t%d", i%25, i):     fmt.Sprintf("switch:%d", 1003+i),
			fmt.Sprintf("b%d/t%d", (i+1)%25, i): "nobody",
			fmt.Sprintf("b%d/t%d", (i+7)%25, i): "nobody",
		} {
			if got := receivers(t, table, "cloud", topic); got != want {
				t.Fatalf("%s: receivers are %s, want %s", topic, got, want)
			}
		}
	}
	if got := receivers(t, table, "cloud", "a/pre-lamp/y"); got != "dumb:1001 lamp:1002" {
		t.Errorf("receivers are %s", got)
	}
}

// TestLongLevels tries levels that differ only where they have become long.
func TestLongLevels(t *testing.T) {
	for _, n := range []int{1, 20, 21, 22, 23, 24, 100, 49_000} {
		long := strings.Repeat("x", n)
		table := compile(t, fmt.Sprintf("- {from: cloud, topic: %sa/%s, to: lamp}\n- {from: cloud, topic: %sb, to: strip}", long, long[:n/4+1], long))
		for topic, want := range map[string]string{
			long + "a/" + long[:n/4+1]: "lamp:1", long + "b": "strip:2", long + "c": "nobody", long + "b/": "nobody", long: "nobody", "b" + long: "nobody",
		} {
			if got := receivers(t, table, "cloud", topic); got != want {
				t.Errorf("%d bytes: receivers are %s, want %s", n, got, want)
			}
		}
	}
}

// TestLongLevelsOfOneLength tries so many that they meet in the hash table.
func TestLongLevelsOfOneLength(t *testing.T) {
	const long = "a-level-that-is-longer-than-a-slot-%03d"
	var text strings.Builder
	for i := range 100 {
		fmt.Fprintf(&text, "- {from: cloud, topic: "+long+", to: lamp}\n", 2*i)
	}
	table := compile(t, text.String())
	for i := range 200 {
		want := "nobody"
		if i%2 == 0 {
			want = fmt.Sprintf("lamp:%d", i/2+1)
		}
		if got := receivers(t, table, "cloud", fmt.Sprintf(long, i)); got != want {
			t.Errorf("%d: receivers are %s, want %s", i, got, want)
		}
	}
}

func TestEmptyTableAllowsNothing(t *testing.T) {
	table, err := Compile(nil, Site{})
	if err != nil {
		t.Fatal(err)
	}
	if table.Len() != 0 || table.Lookup(message.Endpoint{Kind: message.Cloud}, "a") != nil || table.Lookup(message.DeviceEndpoint("a"), "$aws/things/a/shadow/get") != nil {
		t.Error("an empty table has rows or lets something pass")
	}
}

// TestConcurrentLookups is for the race detector.
func TestConcurrentLookups(t *testing.T) {
	table := compile(t, `- {from: "device:*", topic: "a/${from}/+", to: ["label:light", cloud]}`)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				m := table.Lookup(message.DeviceEndpoint("lamp"), "a/lamp/x")
				if _, ok := m.Allows(message.DeviceEndpoint("strip")); !ok {
					t.Error("strip may not receive")
				}
			}
		})
	}
	wg.Wait()
}
