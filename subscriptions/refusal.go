package subscriptions

import (
	"fmt"
	"slices"
	"strings"

	"greengate/core/message"
)

// readsAsPlaceholder is why no row can name some topics.
const readsAsPlaceholder = "a row would read ${ in the topic as a placeholder"

// refusal says why no row allows what q asks, and which row would. m is what
// the topic is allowed for, nil for nobody.
func (t *Table) refusal(q Query, m *Match) (reason, suggest string) {
	if reason := t.stranger(q.From); reason != "" {
		return reason, ""
	}
	if q.HasTo {
		if reason := t.stranger(q.To); reason != "" {
			return reason, ""
		}
	}
	suggest = t.suggest(q)
	if m != nil {
		return fmt.Sprintf("%s lets %s publish on this topic, but to %s, not to %s",
			t.rowName(m.First()), q.From, andList(t.explainRow(m.hits[0], q).To), q.To), suggest
	}
	if reason := t.shadowRefusal(q); reason != "" {
		return reason, suggest
	}
	if suggest == "" && strings.Contains(q.Topic, "${") {
		return readsAsPlaceholder, ""
	}
	return t.nearMiss(q), suggest
}

// stranger says why e cannot be an end of any row; empty when it can.
func (t *Table) stranger(e message.Endpoint) string {
	if e.Kind != message.Device {
		return "" // see Names.stranger: the table knows of functions and pins by its rows only
	}
	if _, ok := t.device(e.Name); ok {
		return ""
	}
	if e.Name == t.core {
		return fmt.Sprintf("%s is the gateway itself, not a device", e)
	}
	names := make([]string, len(t.devices))
	for i, d := range t.devices {
		names[i] = d.name
	}
	return noneOf(e, names)
}

// stranger says that an end of q is a function or a pin that the group does not have;
// empty when none is.
func (n Names) stranger(q Query) string {
	lists := map[message.Kind][]string{message.Function: n.Functions, message.GPIO: n.Pins}
	for _, e := range []message.Endpoint{q.From, q.To} {
		if list, named := lists[e.Kind]; named && !slices.Contains(list, e.Name) {
			return noneOf(e, list)
		}
	}
	return ""
}

// noneOf says that e is none of its kind, whose names are given.
func noneOf(e message.Endpoint, names []string) string {
	text := fmt.Sprintf("%s is no %s of this group", e, kindWord(e.Kind))
	if n := nearest(e.Name, names); n != "" {
		text += fmt.Sprintf("; did you mean %s?", message.Endpoint{Kind: e.Kind, Name: n})
	}
	return text
}

// shadowRefusal explains what is particular to shadow topics; empty when that
// is not the reason.
func (t *Table) shadowRefusal(q Query) string {
	s, ok := parseShadowTopic(q.Topic)
	if !ok {
		return ""
	}
	switch {
	case s.reply && q.From.Kind != message.Shadow:
		return "only the shadow service publishes on this topic"
	case !s.reply && q.From.Kind == message.Shadow:
		return "this topic is for requests to the shadow service, which sends none"
	}
	n, ok := t.device(s.thing)
	if !ok {
		return ""
	}
	d := &t.devices[n]
	switch user := message.DeviceEndpoint(s.thing); {
	case d.own == ownNone:
		return fmt.Sprintf("%s has no shadow: it has shadow: none%s", s.thing, inLine(d.line))
	case d.own == ownByRow && (q.From == user || q.HasTo && q.To == user):
		return fmt.Sprintf("%s may use its own shadow by rows only: own_shadows is false%s", s.thing, inLine(d.line))
	}
	return ""
}

// inLine says where something stands in the file, if that is known.
func inLine(line uint32) string {
	if line == 0 {
		return ""
	}
	return fmt.Sprintf(" in line %d", line)
}

// rowName names a row for people.
func (t *Table) rowName(row int) string {
	if t.rows[row].from == ownEnd {
		return ownText
	}
	return rowName(t.Line(row), row)
}

// andList writes texts as "a, b and c".
func andList(texts []string) string {
	if len(texts) < 2 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:len(texts)-1], ", ") + " and " + texts[len(texts)-1]
}
