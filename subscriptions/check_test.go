package subscriptions_test

import (
	"fmt"
	"strings"
	"testing"

	. "greengate/subscriptions"
)

// faultText is a fault on one line: key: problem (hint).
func faultText(f Fault) string {
	text := f.Key + ": " + f.Problem
	if f.Hint != "" {
		text += " (" + f.Hint + ")"
	}
	if f.Warning {
		text = "warning: " + text
	}
	return text
}

func TestCheck(t *testing.T) {
	const forms = "write device:NAME, device:*, label:L, function:NAME, gpio:NAME, shadow or cloud"
	const either = "a row has topic and to, or shadow: THING"
	for _, c := range []struct {
		row  string
		want []string
	}{
		{`{from: switch, topic: a, to: cloud, priority: low, ttl: 72h}`, nil},
		{`{from: "gpio:bell", topic: "$aws/things/x/shadow/update", to: shadow}`, nil},
		{`{from: switch, shadow: core}`, nil},
		{`{from: Cloud, topic: a, to: [CLOUD, Shadow, "device:clould"]}`, []string{
			`from: no device is called "Cloud" (did you mean cloud?)`, `to[0]: no device is called "CLOUD" (did you mean cloud?)`,
			`to[1]: no device is called "Shadow" (did you mean shadow?)`, `to[2]: no device is called "clould"`}},
		{`{from: "label:*", topic: a, to: "label:a b"}`, []string{
			`from: the label "*" holds '*' (allowed are a-z A-Z 0-9 : _ -) (did you mean device:*?)`,
			`to: the label "a b" holds ' ' (allowed are a-z A-Z 0-9 : _ -) (` + forms + `)`}},
		{`{from: swich, topic: a, to: lamp}`, []string{`from: no device is called "swich" (did you mean switch?)`}},
		{`{from: switch, topic: a, to: [cloud, LAMP, "function:agregate", "gpio:xyz"]}`, []string{
			`to[1]: no device is called "LAMP" (did you mean lamp?)`,
			`to[2]: no function is called "agregate" (did you mean function:aggregate?)`,
			`to[3]: no pin is called "xyz"`}},
		{`{from: aggregate, topic: a, to: "device:bell"}`, []string{
			`from: no device is called "aggregate", but a function is (write function:aggregate)`,
			`to: no device is called "bell", but a pin is (write gpio:bell)`}},
		{`{from: "function:lamp", topic: a, to: cloud}`, []string{`from: no function is called "lamp", but a device is (write lamp)`}},
		{`{from: core, topic: a, to: cloud}`, []string{
			`from: "core" is the gateway itself, not a device (a row to the gateway's own shadow is a shadow row: shadow: core)`}},
		{`{from: "lable:light", topic: a, to: "odd:one"}`, []string{
			`from: "lable" is no kind of endpoint (did you mean label:light?)`,
			`to: "odd" is no kind of endpoint (write device:odd:one)`}},
		{`{from: "topic:x", topic: a, to: "a b"}`, []string{
			`from: "topic" is no kind of endpoint (` + forms + `)`,
			`to: the name "a b" holds ' ' (allowed are a-z A-Z 0-9 : _ -) (` + forms + `)`}},
		{`{from: "label:", topic: a, to: ""}`, []string{
			`from: the label is empty (` + forms + `)`, `to: the endpoint is empty (` + forms + `)`}},
		{`{from: "label:ligth", topic: a, to: cloud}`, []string{`warning: from: no device wears the label "ligth" (did you mean label:light?)`}},
		{`{from: [lamp, "device:lamp"], topic: a, to: cloud}`, []string{`warning: from[1]: "device:lamp" stands there twice`}},
		{`{from: [], topic: a}`, []string{`from: from is an empty list (` + forms + `)`, `to: to is missing (` + forms + `)`}},
		{`{from: switch, to: cloud}`, []string{`topic: topic is missing (` + either + `)`}},
		{`{from: switch, topic: "a/#/b", to: cloud}`, []string{`topic: # stands before the last level (+ stands for one whole level, # for all the rest)`}},
		{`{from: switch, topic: "a${from}+", to: cloud}`, []string{
			`topic: the level "a${from}+" mixes a wildcard with text (+ stands for one whole level, # for all the rest)`}},
		{`{from: switch, topic: "a/${thing}", to: cloud}`, []string{`topic: ${thing} is no placeholder (write ${from} or ${to})`}},
		{`{from: switch, topic: "a/${from", to: cloud}`, []string{`topic: a placeholder is not closed (write ${from} or ${to})`}},
		{`{from: [lamp, cloud], topic: "a/${from}", to: lamp}`, []string{
			`topic: ${from} is the thing name of a device, and from names cloud (write a row of its own for cloud)`}},
		{`{from: cloud, topic: "a/x-${to}", to: ["label:light", "gpio:bell"]}`, []string{
			`topic: ${to} is the thing name of a device, and to names gpio:bell (write a row of its own for gpio:bell)`}},
		{`{from: switch, shadow: lamp, topic: a, to: cloud}`, []string{
			`topic: topic stands beside shadow (` + either + `)`, `to: to stands beside shadow (` + either + `)`}},
		{`{from: shadow, shadow: "a/b"}`, []string{
			`from: the shadow service does not use shadows (from is who uses the shadow: it gets the answers too)`,
			`shadow: the name "a/b" holds '/' (allowed are a-z A-Z 0-9 : _ -) (write the name of a thing)`}},
		{`{from: "function:aggregate", shadow: lamp, may: [get, watch]}`, nil},
		{`{from: [switch, "function:aggregate"], shadow: lamp}`, []string{
			`warning: shadow: the function is called with each change of this shadow, with its own changes too (write may: [get, update], or may: [get, update, delete, watch] if that is meant)`}},
		{`{from: switch, shadow: dumb}`, []string{`warning: shadow: "dumb" has no shadow (the device has shadow: none)`}},
		{`{from: switch, shadow: lamp, may: []}`, []string{
			`may: may is an empty list (write get, update, delete or watch, or leave it out for all of them)`}},
		{`{from: switch, shadow: lamp, may: [get, updat, write, get]}`, []string{
			`may[1]: "updat" is nothing that may be done with a shadow (did you mean update?)`,
			`may[2]: "write" is nothing that may be done with a shadow (write get, update, delete or watch)`,
			`warning: may[3]: "get" stands there twice`}},
		{`{from: switch, topic: a, to: lamp, may: [get]}`, []string{
			`may: may stands in a row without shadow (write shadow: THING instead of topic and to)`}},
		{`{from: switch, topic: a, to: [lamp, "function:aggregate"], durable: true}`, nil},
		{`{from: switch, topic: a, to: cloud, durable: true}`, []string{
			`durable: durable stands in a row that does not lead to a function (it is for messages that wait for a function; what waits for the cloud, or for a device that is away, is on disk anyway)`}},
		{`{from: switch, topic: a, to: "function:aggregate", durable: true, overtake: true}`, []string{
			`overtake: overtake stands in a row that does not lead to cloud (it is for messages that wait for the cloud)`}},
		{`{from: switch, topic: a, to: cloud, priority: hihg, ttl: -1s}`, []string{
			`priority: "hihg" is no priority (did you mean high?)`, `ttl: ttl is not more than 0 (write a time such as 72h)`}},
		{`{from: switch, topic: a, to: lamp, priority: high, ttl: 1h}`, []string{
			`priority: priority stands in a row that does not lead to cloud (it is for messages that wait for the cloud)`,
			`ttl: ttl stands in a row that does not lead to cloud (it is for messages that wait for the cloud)`}},
	} {
		t.Run(c.row, func(t *testing.T) {
			var got []string
			for _, f := range Check(parseRows(t, "- "+c.row), home, homeNames) {
				got = append(got, faultText(f))
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("faults are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestCheckTellsEveryFaultOfEveryRow(t *testing.T) {
	faults := Check(parseRows(t, `
- {from: x1, topic: "#/a", to: x2}
- {from: switch, topic: a, to: [lamp, cloud]}
- {from: x3, topic: a, to: cloud}
- {from: "device:switch", topic: a, to: [cloud, "device:lamp"], priority: normal}`), home, homeNames)
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%d %s %s %v %s", f.Row, f.Key, f.Value, f.Warning, f.Problem))
	}
	want := `0 from x1 false no device is called "x1"
0 to x2 false no device is called "x2"
0 topic #/a false # stands before the last level
2 from x3 false no device is called "x3"
3   true the row says what line 2 says`
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("faults are\n%s\nwant\n%s", s, want)
	}
}

// TestCheckOfManyFaults sees to it that hints do not make it take minutes to
// check a table whose devices are all gone.
func TestCheckOfManyFaults(t *testing.T) {
	rows, site := plant(20_000)
	for i := range site.Devices {
		site.Devices[i].Thing = fmt.Sprintf("machinf-%05d", i)
	}
	hints := 0
	faults := Check(rows, site, Names{})
	for _, f := range faults {
		if strings.HasPrefix(f.Hint, "did you mean") {
			hints++
		}
	}
	if len(faults) < len(rows) || hints == 0 || hints > 1000 {
		t.Errorf("%d faults of %d rows, %d of them with a hint", len(faults), len(rows), hints)
	}
}
