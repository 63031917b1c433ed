package subscriptions

import "greengate/core/message"

// CanFeed tells whether any row could ever send `to` a message on a topic that
// the filter matches. It looks at each row, so its time grows with the table.
// Where a row is for many sources it takes ${from} for any name.
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
	if t.nobody(r.from) {
		return false
	}
	if r.may == 0 {
		return t.covers(r.to, x) && meet(t.texts.word(r.topic), filter, t.soleDevice(r.from), to)
	}
	for _, reply := range []bool{false, true} {
		thing := t.texts.word(r.topic)
		receivers := shadowService
		if reply {
			receivers = r.from
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
			if meet(f, filter, "", "") {
				return true
			}
		}
	}
	return false
}

// soleDevice returns the name of the only device that e covers, if it names it.
func (t *Table) soleDevice(e end) string {
	if e&sortMask != deviceEnd {
		return ""
	}
	return t.devices[e&numberMask].name
}
