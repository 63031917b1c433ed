package subscriptions

import (
	"strings"

	"greengate/core/message"
)

// CanFeed tells whether any row could ever send `to` a message on a topic that
// the filter matches. It looks at each row, so its time grows with the table,
// and not with the devices.
func (t *Table) CanFeed(to message.Endpoint, filter string) bool {
	x, ok := t.endOf(to)
	if !ok {
		return false
	}
	for i := range t.rows {
		if t.rowFeeds(&t.rows[i], x, to.Name, filter) {
			return true
		}
	}
	return false
}

func (t *Table) rowFeeds(r *row, x end, to, filter string) bool {
	if r.may == 0 {
		return t.covers(r.to, x) && t.sends(r.from, t.texts.word(r.topic), filter, to)
	}
	for _, reply := range []bool{false, true} {
		thing := t.texts.word(r.topic)
		senders, receivers := r.from, shadowService
		if reply {
			senders, receivers = receivers, senders
		}
		if !t.covers(receivers, x) {
			continue
		}
		if r.from == ownEnd { // any device's requests, the receiver's own answers
			thing = fromHole
			if reply {
				thing = to
			}
		}
		for _, f := range shadowFilters(thing, r.may, reply) {
			if t.sends(senders, f, filter, to) {
				return true
			}
		}
	}
	return false
}

// sends tells whether some endpoint of e may send `to` what the filter matches, by
// a row with that topic.
func (t *Table) sends(e end, topic, filter, to string) bool {
	if t.nobody(e) {
		return false
	}
	from, ok := boundSender(topic, filter, to)
	if !ok || from == "" {
		return ok && meet(topic, filter, "", to)
	}
	n, ok := t.device(from)
	return ok && t.covers(e, deviceEnd|end(n)) && meet(topic, filter, from, to)
}

// boundSender returns the name that must stand for ${from} in the topic of a row so
// that the filter matches: a level of the filter that is no wildcard tells it. The
// name is empty when any will do, and ok is false when none will.
func boundSender(topic, filter, to string) (from string, ok bool) {
	for more := strings.Contains(topic, fromHole); more; {
		var level, wanted string
		level, topic, more = strings.Cut(topic, "/")
		wanted, filter, _ = strings.Cut(filter, "/")
		switch {
		case wanted == "#":
			return "", true
		case wanted != "+" && strings.Contains(level, fromHole):
			// bind finds what stands for ${to}, and `to` is known.
			t := parseTemplate(strings.ReplaceAll(strings.ReplaceAll(level, toHole, to), fromHole, toHole))
			return t.bind(wanted, "", "")
		}
	}
	return "", true
}
