package subscriptions_test

import (
	"slices"
	"strings"
	"testing"

	"greengate/core/message"
	. "greengate/subscriptions"
)

func TestKeySaysTheSameOfRowsThatSayTheSame(t *testing.T) {
	table := compile(t, `
- {from: switch, topic: a/b, to: [lamp, cloud]}
- {from: "device:switch", topic: a/b, to: [cloud, "device:lamp"], priority: normal}
- {from: switch, topic: a/b, to: [lamp, cloud], priority: low, ttl: 72h}
- {from: "label:light", topic: "${from}/#", to: "device:*"}
- {from: switch, shadow: lamp, may: [update, get]}
- {from: switch, shadow: lamp, may: [get, update]}
- {from: switch, shadow: lamp, may: [watch, get, update, delete]}
- {from: switch, shadow: lamp}`)
	want := []string{
		`{from: switch, topic: a/b, to: [cloud, lamp]}`,
		`{from: switch, topic: a/b, to: [cloud, lamp]}`,
		`{from: switch, topic: a/b, to: [cloud, lamp], priority: low, ttl: 72h0m0s}`,
		`{from: label:light, topic: "${from}/#", to: "device:*"}`,
		`{from: switch, shadow: lamp, may: [get, update]}`,
		`{from: switch, shadow: lamp, may: [get, update]}`,
		`{from: switch, shadow: lamp}`,
		`{from: switch, shadow: lamp}`,
		`own_shadows: true`,
	}
	if table.Len() != len(want) {
		t.Fatalf("Len is %d, want %d", table.Len(), len(want))
	}
	for i, w := range want {
		if got := table.Key(i); got != w {
			t.Errorf("Key(%d) is %s, want %s", i, got, w)
		}
	}
	if table.Line(3) != 4 || table.Line(8) != 0 {
		t.Errorf("Line(3) is %d and Line(8) %d, want 4 and 0", table.Line(3), table.Line(8))
	}
}

// TestCompileOpensNothingByMistake hands it rows that Check would refuse.
func TestCompileOpensNothingByMistake(t *testing.T) {
	for _, text := range []string{
		`- {from: stranger, topic: a, to: lamp}`,
		`- {from: lamp, topic: a, to: stranger}`,
		`- {from: lamp, topic: a, to: core}`,
		`- {from: lamp, topic: "a/#/b", to: strip}`,
		`- {from: lamp, topic: "", to: strip}`,
		`- {topic: a, to: strip}`,
		`- {from: lamp, topic: a, to: []}`,
		`- {from: "labl:x", topic: a, to: strip}`,
		`- {from: cloud, topic: "${from}", to: strip}`,
		`- {from: lamp, topic: "${to}", to: [strip, cloud]}`,
		`- {from: lamp, topic: "${thing}", to: strip}`,
		`- {from: lamp, shadow: "a b"}`,
		`- {from: lamp, shadow: t, may: []}`,
	} {
		if _, err := Compile(parseRows(t, text), home); err == nil {
			t.Errorf("%s: compiled", text)
		} else if !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%s: the error %q names no line", text, err)
		}
	}
	twice := Site{Devices: []Device{{Thing: "a"}, {Thing: "a"}}}
	if _, err := Compile(nil, twice); err == nil {
		t.Error("a device that stands there twice is compiled")
	}
}

func TestCanFeed(t *testing.T) {
	table := compile(t, `
- {from: switch, topic: "a/+/c", to: lamp}
- {from: "device:*", topic: "s/${from}/#", to: strip}
- {from: switch, topic: "x-${from}/y", to: strip}
- {from: cloud, topic: "cmd/${to}/#", to: "device:*"}
- {from: cloud, topic: "$SYS/x", to: dumb}
- {from: switch, topic: "#", to: dumb}
- {from: switch, shadow: other, may: [get]}
- {from: "label:light", topic: "l/${from}/#", to: switch}
- {from: [lamp, strip], topic: "m/${from}-${to}/${from}", to: switch}
- {from: "label:nobody", topic: "never", to: lamp}`)
	for _, c := range []struct {
		to, filter string
		want       bool
	}{
		{"lamp", "a/b/c", true}, {"lamp", "a/#", true}, {"lamp", "+/+/+", true}, {"lamp", "#", true},
		{"lamp", "a/b/d", false}, {"lamp", "a/b/c/#", true}, {"lamp", "a/b/c/+", false}, {"lamp", "a", false},
		{"lamp", "never", false}, {"switch", "a/b/c", false}, {"stranger", "#", false},
		{"strip", "s/lamp", true}, {"strip", "s/lamp/x", true}, {"strip", "s/+/x", true}, {"strip", "s/#", true}, {"strip", "t/lamp", false},
		{"strip", "s/anyone", false}, {"strip", "s/anyone/#", false}, {"strip", "s/core/x", false},
		{"strip", "x-switch/y", true}, {"strip", "x-lamp/y", false}, {"strip", "+/y", true},
		{"switch", "l/lamp/#", true}, {"switch", "l/+/on", true}, {"switch", "l/switch/on", false}, {"switch", "l/nothing/on", false},
		{"switch", "l/stranger/+", false}, {"switch", "l/lamp", true}, {"switch", "l/#", true},
		{"switch", "m/lamp-switch/+", true}, {"switch", "m/lamp-switch/lamp", true}, {"switch", "m/lamp-switch/strip", false}, {"switch", "m/lamp-lamp/lamp", false},
		{"switch", "m/+/strip", true}, {"switch", "m/+/dumb", false},
		{"lamp", "cmd/lamp/on", true}, {"lamp", "cmd/lamp", true}, {"lamp", "cmd/strip/on", false}, {"lamp", "cmd/+/on", true},
		{"dumb", "$SYS/x", true}, {"dumb", "$SYS/#", true}, {"dumb", "$SYS/y", false}, {"dumb", "any/thing", true},
		{"switch", "$aws/things/other/shadow/get/accepted", true}, {"switch", "$aws/things/other/shadow/#", true},
		{"switch", "$aws/things/other/shadow/update/accepted", false}, {"switch", "$aws/things/switch/shadow/#", false},
		{"lamp", "$aws/things/lamp/shadow/name/n/update/delta", true}, {"lamp", "$aws/things/+/shadow/update/delta", true},
		{"lamp", "$aws/things/strip/shadow/update/delta", false}, {"lamp", "$aws/things/lamp/shadow/update", false},
		{"dumb", "$aws/things/dumb/shadow/update/delta", false},
	} {
		if got := table.CanFeed(endpoint(t, c.to), c.filter); got != c.want {
			t.Errorf("CanFeed(%s, %s) is %v", c.to, c.filter, got)
		}
	}
}

// TestCanFeedWhatIsFed compares it with what passes in random groups: it denies
// nothing that is fed, and of a filter that is a topic it knows whether it is.
func TestCanFeedWhatIsFed(t *testing.T) {
	fed := 0
	for seed := range uint64(300) {
		w := newWorld(seed)
		table, err := Compile(w.rows, w.site)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			from, topic := w.probe()
			filter := w.widen(topic)
			for _, to := range w.ends {
				can := slices.ContainsFunc(w.ends, func(from message.Endpoint) bool { return w.allows(from, topic, to) >= 0 })
				if got := table.CanFeed(to, topic); got != can {
					t.Fatalf("CanFeed(%v, %q) is %v\n%+v", to, topic, got, w.rows)
				}
				if w.allows(from, topic, to) < 0 || !message.Match(filter, topic) {
					continue
				}
				fed++
				if !table.CanFeed(to, filter) {
					t.Fatalf("%v gets %q from %v, and CanFeed denies %q\n%+v", to, topic, from, filter, w.rows)
				}
			}
		}
	}
	if fed < 500 {
		t.Errorf("only %d messages were fed, which proves little", fed)
	}
}

// widen puts wildcards in place of levels.
func (w *world) widen(topic string) string {
	levels := strings.Split(topic, "/")
	for i := range levels {
		switch w.IntN(4) {
		case 0:
			levels[i] = "+"
		case 1:
			if w.IntN(3) == 0 {
				return strings.Join(append(levels[:i], "#"), "/")
			}
		}
	}
	return strings.Join(levels, "/")
}
