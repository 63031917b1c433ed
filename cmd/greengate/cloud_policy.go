package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"greengate/configs"
)

// awsPolicy is an AWS IoT policy document.
type awsPolicy struct {
	Version   string
	Statement []awsStatement
}

type awsStatement struct {
	Effect   string
	Action   []string
	Resource []string
}

// maxPolicy is how many characters AWS takes, without blanks ("AWS IoT Core
// endpoints and quotas").
const maxPolicy = 2048

// size is what AWS counts.
func (p *awsPolicy) size() int {
	text, err := json.Marshal(p)
	if err != nil {
		return 0 // it consists of strings
	}
	return len(text)
}

// cloudNeeds is what the core does in the cloud. Topics are patterns of a policy,
// in which * is any text, slashes too, and + and # mean themselves; filters are
// those of its subscriptions. Synced are the things whose shadows it syncs.
type cloudNeeds struct{ publish, receive, filters, synced []string }

// maxNames is for how many things one row names its topics one by one.
const maxNames = 10

// corePolicy allows the core what the group file needs. Where ${from} or ${to}
// stands for devices that the row names, or that wear a label, it names them
// too; where that would be more than AWS takes, and for device:*, it has a *.
func corePolicy(c *configs.Config, where arn) *awsPolicy {
	var p *awsPolicy
	for _, limit := range []limits{{maxNames, maxNames}, {0, maxNames}, {0, 0}} {
		if p = policyFor(c, where, limit); p.size() <= maxPolicy {
			break
		}
	}
	return p
}

// limits say for how many things the topics of a row, and those of the shadows, are
// named one by one.
type limits struct{ row, shadows int }

func policyFor(c *configs.Config, where arn, limit limits) *awsPolicy {
	p := &awsPolicy{Version: "2012-10-17"}
	allow := func(resources []string, kind string, actions ...string) {
		if len(resources) == 0 {
			return
		}
		s := awsStatement{Effect: "Allow", Action: actions}
		for _, name := range resources {
			s.Resource = append(s.Resource, where.of(kind, name))
		}
		p.Statement = append(p.Statement, s)
	}
	n := rowNeeds(c, limit.row)
	n.synced = thingNames(c, limit.shadows)
	requests := shadowPatterns(n.synced)
	allow([]string{c.Core}, "client", "iot:Connect")
	// A message that its device retains goes up retained, which AWS allows apart.
	allow(withoutCovered(n.publish), "topic", "iot:Publish", "iot:RetainPublish")
	allow(requests, "topic", "iot:Publish")
	allow(n.filters, "topicfilter", "iot:Subscribe")
	// The filters of the sync would bring the shadows of every thing of the account:
	// this says of which.
	allow(withoutCovered(append(n.receive, requests...)), "topic", "iot:Receive")
	allow(n.synced, "thing", "iot:ListNamedShadowsForThing")
	return p
}

// thingNames are the things whose shadows are synced; just * when they are more than
// limit.
func thingNames(c *configs.Config, limit int) []string {
	things := slices.Sorted(maps.Keys(syncedThings(c)))
	if len(things) > limit {
		return []string{"*"}
	}
	return things
}

// shadowPatterns are the topics of the shadows of things, classic and named: the
// requests and what answers them.
func shadowPatterns(things []string) []string {
	patterns := make([]string, len(things))
	for i, thing := range things {
		patterns[i] = "$aws/things/" + thing + "/shadow/*"
	}
	return patterns
}

// rowNeeds is what the rows to and from the cloud need.
func rowNeeds(c *configs.Config, names int) (n cloudNeeds) {
	for _, r := range c.Subscriptions {
		if r.Topic == "" {
			continue
		}
		if slices.Contains(r.To, "cloud") {
			n.publish = append(n.publish, topicPatterns(r.Topic, "${from}", thingsOf(c, r.From, names))...)
		}
		if slices.Contains(r.From, "cloud") {
			n.receive = append(n.receive, topicPatterns(r.Topic, "${to}", thingsOf(c, r.To, names))...)
		}
	}
	for _, s := range cloudFilters(c) {
		n.filters = append(n.filters, s.Filter)
	}
	return n
}

// thingsOf are the devices that the ends of a row name, by themselves or by a
// label; just * when they are all devices, or more than limit.
func thingsOf(c *configs.Config, ends []string, limit int) []string {
	var things []string
	for _, e := range ends {
		switch label, found := strings.CutPrefix(e, "label:"); {
		case e == "device:*":
			return []string{"*"}
		case found:
			for _, d := range c.Devices {
				if slices.Contains(d.Labels, label) {
					things = append(things, d.Thing)
				}
			}
		default:
			things = append(things, strings.TrimPrefix(e, "device:"))
		}
	}
	slices.Sort(things)
	if things = slices.Compact(things); len(things) > limit {
		return []string{"*"}
	}
	return things
}

// topicPatterns are the topics of a row, with the things in place of hole. A # is
// two of them, for it matches its parent too.
func topicPatterns(topic, hole string, things []string) (patterns []string) {
	if !strings.Contains(topic, hole) {
		things = []string{""}
	}
	for _, thing := range things {
		levels := strings.Split(strings.ReplaceAll(topic, hole, thing), "/")
		for i, level := range levels {
			if level == "+" {
				levels[i] = "*"
			}
		}
		last := len(levels) - 1
		if levels[last] != "#" {
			patterns = append(patterns, strings.Join(levels, "/"))
			continue
		}
		if last > 0 {
			patterns = append(patterns, strings.Join(levels[:last], "/"))
		}
		levels[last] = "*"
		patterns = append(patterns, strings.Join(levels, "/"))
	}
	return patterns
}

// withoutCovered sorts patterns and takes out those that another one covers.
func withoutCovered(patterns []string) []string {
	slices.Sort(patterns)
	patterns = slices.Compact(patterns)
	return slices.DeleteFunc(slices.Clone(patterns), func(p string) bool {
		return slices.ContainsFunc(patterns, func(q string) bool { return q != p && covers(q, p) })
	})
}

// covers tells whether the pattern q matches all that p does: whether it matches
// p read as a text, since only a * matches a *.
func covers(q, p string) bool {
	parts := strings.Split(q, "*")
	p, found := strings.CutPrefix(p, parts[0])
	if !found || len(parts) == 1 {
		return found && p == ""
	}
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(p, part)
		if !found {
			return false
		}
		p = rest
	}
	return strings.HasSuffix(p, parts[len(parts)-1])
}
