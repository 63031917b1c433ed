package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"greengate/configs"
)

// policyOf is the policy of a core with these rows, and the things thermo and
// hygro, which wear the label sensor, and pump.
func policyOf(t *testing.T, rows ...string) *awsPolicy {
	t.Helper()
	return corePolicy(groupWith(t, "", rows...), arn{"aws", "eu-west-1", "123456789012"})
}

func groupWith(t *testing.T, devices string, rows ...string) *configs.Config {
	t.Helper()
	text := `version: 1
group: home
core: homepi_Core
devices:
  - {thing: thermo, labels: [sensor], shadow: local}
  - {thing: hygro, labels: [sensor], shadow: local}
  - {thing: pump, shadow: local}
` + devices + "subscriptions:\n"
	for _, r := range rows {
		text += "  - " + r + "\n"
	}
	c, err := configs.Parse("", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// resources are what the policy allows by an action, without the head of the ARN, and
// without what the sync of the core's own shadow needs.
func (p *awsPolicy) resources(action string) (names []string) {
	for _, s := range p.Statement {
		if !slices.Contains(s.Action, action) {
			continue
		}
		for _, r := range s.Resource {
			name := strings.TrimPrefix(r, "arn:aws:iot:eu-west-1:123456789012:")
			if !slices.Contains(ofCore, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// ofCore is what every policy has, for the shadow of the core.
var ofCore = []string{
	"topic/$aws/things/homepi_Core/shadow/*", "thing/homepi_Core",
	"topicfilter/$aws/things/+/shadow/+/accepted", "topicfilter/$aws/things/+/shadow/+/rejected",
	"topicfilter/$aws/things/+/shadow/name/+/+/accepted", "topicfilter/$aws/things/+/shadow/name/+/+/rejected",
}

// The core may ask for the shadows of its devices that are in sync, and hears of them
// alone, although its topic filters would match those of the whole account.
func TestPolicyOfShadows(t *testing.T) {
	where := arn{"aws", "eu-west-1", "123456789012"}
	p := corePolicy(groupWith(t, "  - {thing: lamp}\n  - {thing: door, direction: up}\n"), where)
	want := "topic/$aws/things/door/shadow/* topic/$aws/things/lamp/shadow/*"
	for _, action := range []string{"iot:Publish", "iot:Receive"} {
		if got := strings.Join(p.resources(action), " "); got != want {
			t.Errorf("%s: got %q, want %q", action, got, want)
		}
	}
	if got := strings.Join(p.resources("iot:ListNamedShadowsForThing"), " "); got != "thing/door thing/lamp" {
		t.Errorf("names: %q", got)
	}
	if got := p.resources("iot:RetainPublish"); len(got) > 0 {
		t.Errorf("retained on reserved topics: %q", got)
	}
	if p = corePolicy(groupWith(t, "  - {thing: lamp}\n"), where); len(p.resources("iot:Subscribe")) > 0 {
		t.Errorf("other filters than those of the sync: %q", p.resources("iot:Subscribe"))
	}
}

func TestPolicyOfRows(t *testing.T) {
	for _, c := range []struct {
		name, row                   string
		publish, receive, subscribe string
	}{
		{name: "not for the cloud", row: `{from: thermo, topic: a/b, to: pump}`},
		{name: "a shadow", row: `{from: thermo, shadow: pump}`},
		{name: "a topic", row: `{from: thermo, topic: a/b, to: cloud}`, publish: "topic/a/b"},
		{name: "one of several ends", row: `{from: thermo, topic: a/b, to: [pump, cloud]}`, publish: "topic/a/b"},
		{name: "a level", row: `{from: thermo, topic: a/+/b, to: cloud}`, publish: "topic/a/*/b"},
		{name: "the rest and its parent", row: `{from: thermo, topic: a/#, to: cloud}`, publish: "topic/a topic/a/*"},
		{name: "everything", row: `{from: thermo, topic: "#", to: cloud}`, publish: "topic/*"},
		{name: "all of a level", row: `{from: thermo, topic: "+/#", to: cloud}`, publish: "topic/*"},
		{name: "its own name", row: `{from: thermo, topic: "s/${from}/t", to: cloud}`, publish: "topic/s/thermo/t"},
		{name: "a part of a level", row: `{from: "device:thermo", topic: "s/dev-${from}", to: cloud}`, publish: "topic/s/dev-thermo"},
		{name: "those of a label", row: `{from: ["label:sensor", pump], topic: "s/${from}", to: cloud}`, publish: "topic/s/hygro topic/s/pump topic/s/thermo"},
		{name: "all devices", row: `{from: "device:*", topic: "s/${from}/t", to: cloud}`, publish: "topic/s/*/t"},
		{name: "a pin", row: `{from: shadow, topic: "$aws/things/+/shadow/update/documents", to: cloud}`, publish: "topic/$aws/things/*/shadow/update/documents"},
		{name: "Basic Ingest", row: `{from: thermo, topic: "$aws/rules/store/t", to: cloud}`, publish: "topic/$aws/rules/store/t"},
		{name: "down", row: `{from: cloud, topic: cmd/now, to: pump}`, receive: "topic/cmd/now", subscribe: "topicfilter/cmd/now"},
		{name: "down to some", row: `{from: cloud, topic: "cmd/${to}/+", to: [pump, "label:sensor"]}`,
			receive: "topic/cmd/hygro/* topic/cmd/pump/* topic/cmd/thermo/*", subscribe: "topicfilter/cmd/+/+"},
		{name: "down to all", row: `{from: cloud, topic: "cmd/${to}/#", to: "device:*"}`, receive: "topic/cmd/*", subscribe: "topicfilter/cmd/+/#"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := policyOf(t, c.row)
			for action, want := range map[string]string{
				"iot:Connect": "client/homepi_Core",
				"iot:Publish": c.publish, "iot:RetainPublish": c.publish, "iot:Receive": c.receive, "iot:Subscribe": c.subscribe,
			} {
				if got := strings.Join(p.resources(action), " "); got != want {
					t.Errorf("%s of %s: got %q, want %q", action, c.row, got, want)
				}
			}
		})
	}
}

// A policy has no resource twice, under no form: it may not be long.
func TestPolicyIsShort(t *testing.T) {
	p := policyOf(t,
		`{from: thermo, topic: a/b, to: cloud}`,
		`{from: pump, topic: a/b, to: cloud}`,
		`{from: "label:sensor", topic: "s/${from}/#", to: cloud}`,
		`{from: pump, topic: "s/#", to: cloud}`,
		`{from: cloud, topic: cmd/a, to: pump}`,
		`{from: cloud, topic: cmd/+, to: thermo}`,
	)
	if got := strings.Join(p.resources("iot:Publish"), " "); got != "topic/a/b topic/s topic/s/*" {
		t.Errorf("publish: %s", got)
	}
	if got := strings.Join(p.resources("iot:Subscribe"), " "); got != "topicfilter/cmd/+" {
		t.Errorf("subscribe: %s", got)
	}
	if got := strings.Join(p.resources("iot:Receive"), " "); got != "topic/cmd/*" {
		t.Errorf("receive: %s", got)
	}
}

// Names give way to a * where AWS would not take the policy.
func TestPolicyOfManyThings(t *testing.T) {
	devices, few, many := "", "", ""
	for i := range 40 {
		devices += fmt.Sprintf("  - {thing: a-thing-with-a-long-name-%02d, shadow: local}\n", i)
		many += fmt.Sprintf("a-thing-with-a-long-name-%02d, ", i)
		if i < maxNames {
			few = many
		}
	}
	where := arn{"aws", "eu-west-1", "123456789012"}
	row := func(from, topic string) string {
		return "{from: [" + from + `], topic: "` + topic + `/${from}", to: cloud}`
	}
	if got := corePolicy(groupWith(t, devices, row(few, "t")), where).resources("iot:Publish"); len(got) != maxNames {
		t.Errorf("%d things: %v", maxNames, got)
	}
	if got := corePolicy(groupWith(t, devices, row(many, "t")), where).resources("iot:Publish"); len(got) != 1 || got[0] != "topic/t/*" {
		t.Errorf("40 things: %v", got)
	}
	p := corePolicy(groupWith(t, devices, row(few, "t"), row(few, "u"), row(few, "v")), where)
	if got := strings.Join(p.resources("iot:Publish"), " "); got != "topic/t/* topic/u/* topic/v/*" || p.size() > maxPolicy {
		t.Errorf("three rows of %d things: %s (%d characters)", maxNames, got, p.size())
	}
}

func TestPatternCovers(t *testing.T) {
	for _, c := range []struct {
		q, p string
		want bool
	}{
		{"*", "a/b", true}, {"a/*", "a/b", true}, {"a/*", "a", false}, {"a/*", "a/*/b", true}, {"a/*/b", "a/*", false},
		{"a/*/b", "a/x/y/b", true}, {"a/*/b", "a/b", false}, {"a/*a", "a/a", true}, {"a*a", "a", false}, {"a/b", "a/b/c", false},
		{"*/x/*", "a/x/b", true}, {"*/x/*", "a/y/b", false}, {"a/b", "a/*", false}, {"*/*", "*", false}, {"a*bc*c", "abc", false},
	} {
		if got := covers(c.q, c.p); got != c.want {
			t.Errorf("covers(%q, %q) = %v", c.q, c.p, got)
		}
	}
}

func TestRegionOfTheEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{
		"xxxx-ats.iot.eu-west-1.amazonaws.com":          "eu-west-1",
		"xxxx.iot.us-east-2.amazonaws.com":              "us-east-2",
		"xxxx.ats.iot.cn-north-1.amazonaws.com.cn":      "cn-north-1",
		"xxxx-ats.iot-fips.us-gov-west-1.amazonaws.com": "us-gov-west-1",
		"localhost": "", "iot.example.com": "", "amazonaws.com": "", "xxxx.s3.eu-west-1.amazonaws.com": "",
	} {
		if got := awsRegion(endpoint); got != want {
			t.Errorf("%s: got %q, want %q", endpoint, got, want)
		}
	}
	if got := partition("cn-north-1"); got != "aws-cn" {
		t.Errorf("partition: %s", got)
	}
}
