package greengrassv1

import "strings"

// every is the resource * of a policy: every topic, also those that begin with $.
const every = "*"

// resourceTopic reads a topic or a topic filter of a policy's resource as a filter of
// ours. hole is what stands for the name of the thing. reason says why there is none.
func resourceTopic(resource, kind, hole string) (filter, reason string, wider bool) {
	if resource == every {
		return every, "", false
	}
	topic, ok := strings.CutPrefix(resource, "mqtt:"+kind+":")
	if !ok {
		return "", "", false // of another operation
	}
	const name = "${iot:Connection.Thing.ThingName}"
	topic = strings.ReplaceAll(topic, name, hole)
	switch {
	case strings.Contains(strings.ReplaceAll(topic, hole, ""), "${"):
		return "", "only " + name + " is known", false
	case topic == every:
		return every, "", false
	}
	if rest, ok := strings.CutSuffix(topic, "/*"); ok {
		topic, wider = rest+"/#", true
	}
	if strings.Contains(topic, "*") {
		return "", "a * that is not at the end after a / has no counterpart", false
	}
	if problem := topicProblem(strings.ReplaceAll(topic, hole, "x")); problem != "" {
		return "", problem, false
	}
	return topic, "", wider
}

// meet returns the filter for what two filters both match. ok is false when that is
// nothing. sure is false when a placeholder meets a word: whether they are the same
// depends on who it is.
func meet(a, b string) (both string, ok, sure bool) {
	switch {
	case a == every && b == every:
		return "#", true, true
	case a == every:
		return b, true, true
	case b == every:
		return a, true, true
	}
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	var out []string
	for i := 0; ; i++ {
		endA, endB := i == len(as), i == len(bs)
		switch {
		case endA && endB:
			return joined(out, a, b)
		case !endA && as[i] == "#":
			return joined(append(out, bs[i:]...), a, b)
		case !endB && bs[i] == "#":
			return joined(append(out, as[i:]...), a, b)
		case endA || endB:
			return "", false, true
		}
		x, y := as[i], bs[i]
		switch {
		case x == y, y == "+":
			out = append(out, x)
		case x == "+":
			out = append(out, y)
		case x == "${from}" && y == "${to}":
			return "", false, true // what a device sends to itself
		case strings.Contains(x, "${") || strings.Contains(y, "${"):
			return "", false, false
		default:
			return "", false, true
		}
	}
}

// joined is the end of meet. A wildcard in front matches no topic that begins with $
// [MQTT-4.7.2-1].
func joined(levels []string, a, b string) (both string, ok, sure bool) {
	both = strings.Join(levels, "/")
	wild := func(f string) bool { return f[0] == '#' || f[0] == '+' }
	if both == "" || strings.HasPrefix(both, "$") && !strings.HasPrefix(both, "${") && (wild(a) || wild(b)) {
		return "", false, true
	}
	return both, true, true
}
