package cloudtest

import (
	"fmt"
	"strings"
)

// The topic rules of AWS (aws-iot.md 2.1 and 2.4), which differ from MQTT's:
// `a/#` does not match `a`.

// matches tells whether a legal filter matches a topic.
func matches(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && (strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#")) {
		return false // [MQTT-4.7.2-1]
	}
	for more := true; ; {
		level, filterRest, filterMore := strings.Cut(filter, "/")
		if level == "#" {
			return more // so not the parent, unlike the standard
		}
		name, topicRest, topicMore := strings.Cut(topic, "/")
		switch {
		case !more || level != "+" && level != name:
			return false
		case !filterMore:
			return !topicMore
		}
		filter, topic, more = filterRest, topicRest, topicMore
	}
}

func anyMatches(filters []string, topic string) bool {
	for _, f := range filters {
		if matches(f, topic) {
			return true
		}
	}
	return false
}

// filterFault says what is wrong with a filter's form; "" nothing.
func filterFault(filter string) string {
	if filter == "" {
		return "the filter is empty"
	}
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		if level == "#" && i < len(levels)-1 {
			return "# is not the last level"
		}
		if len(level) > 1 && strings.ContainsAny(level, "+#") {
			return fmt.Sprintf("the level %q mixes a wildcard with text", level)
		}
	}
	return ""
}

func hasWildcard(filter string) bool { return strings.ContainsAny(filter, "+#") }

// splitShared splits `$share/group/filter`; group is "" for any other filter.
func splitShared(filter string) (group, rest string, err error) {
	name, ok := strings.CutPrefix(filter, "$share/")
	if !ok {
		return "", filter, nil
	}
	group, rest, ok = strings.Cut(name, "/")
	if !ok || group == "" || rest == "" || hasWildcard(group) {
		return "", "", fmt.Errorf("%q is no shared subscription", filter)
	}
	return group, rest, nil
}

// splitIngest splits `$aws/rules/rule/topic` (Basic Ingest); rule is "" for any
// other topic.
func splitIngest(topic string) (rule, rest string) {
	if name, ok := strings.CutPrefix(topic, "$aws/rules/"); ok {
		if rule, rest, ok = strings.Cut(name, "/"); ok && rule != "" && rest != "" {
			return rule, rest
		}
	}
	return "", topic
}

// sizeFault says which limit a topic or filter breaks (its Basic Ingest or
// $share prefix taken off); "" none.
func (l *Limits) sizeFault(topic string) string {
	if over(len(topic), l.Topic) {
		return fmt.Sprintf("a topic of %d bytes, more than %d", len(topic), l.Topic)
	}
	if n := strings.Count(topic, "/"); over(n, l.Slashes) {
		return fmt.Sprintf("a topic with %d slashes, more than %d", n, l.Slashes)
	}
	return ""
}

// requests are the reserved topics that a device may publish to, as filters
// (aws-iot.md 1.1, 2.4 to 2.7). Only shadows are served here; the rest is
// recorded, and a test may answer with Publish.
var requests = []string{
	"$aws/things/+/jobs/get", "$aws/things/+/jobs/start-next", "$aws/things/+/jobs/+/get", "$aws/things/+/jobs/+/update",
	"$aws/things/+/streams/+/describe/+", "$aws/things/+/streams/+/get/+",
	"$aws/things/+/defender/metrics/+",
	"$aws/certificates/create/+", "$aws/certificates/create-from-csr/+",
	"$aws/provisioning-templates/+/provision/+",
}

// mayPublish tells whether a device may publish to the topic at all. AWS ends
// the connection for an unsupported operation on a reserved topic.
func mayPublish(topic string) bool {
	if !strings.HasPrefix(topic, "$") {
		return true
	}
	if rule, _ := splitIngest(topic); rule != "" {
		return true
	}
	_, isShadow := parseShadowTopic(topic)
	return isShadow || anyMatches(requests, topic)
}

// shadowTopic is a shadow request over MQTT.
type shadowTopic struct {
	shadowKey
	operation string // get, update or delete
}

// parseShadowTopic takes `$aws/things/T/shadow[/name/S]/operation` apart.
func parseShadowTopic(topic string) (s shadowTopic, ok bool) {
	level := strings.Split(topic, "/")
	if len(level) < 5 || level[0] != "$aws" || level[1] != "things" || level[3] != "shadow" {
		return s, false
	}
	s.thing, s.operation = level[2], level[len(level)-1]
	switch {
	case len(level) == 5:
	case len(level) == 7 && level[4] == "name" && level[5] != "":
		s.name = level[5]
	default:
		return s, false
	}
	return s, s.thing != "" && (s.operation == "get" || s.operation == "update" || s.operation == "delete")
}

// prefix is the shadow's topic prefix.
func (k shadowKey) prefix() string {
	if k.name == "" {
		return "$aws/things/" + k.thing + "/shadow"
	}
	return "$aws/things/" + k.thing + "/shadow/name/" + k.name
}
