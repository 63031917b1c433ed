package subscriptions

import (
	"strings"

	"greengate/core/message"
)

// unknownReceiver stands in a suggested row for what the query does not tell.
// A row that is pasted as it is gives a fault, rather than a way to somebody
// whom nobody named.
const unknownReceiver = "RECEIVER"

// suggest returns the row that would allow q, to paste under `subscriptions`;
// empty when no row should.
func (t *Table) suggest(q Query) string {
	if strings.Contains(q.Topic, "${") {
		return "" // a row would read it as a placeholder
	}
	to := unknownReceiver
	if q.HasTo {
		to = q.To.String()
	}
	row := yamlRow{from: []string{q.From.String()}, topic: q.Topic, to: []string{to}}
	if s, ok := parseShadowTopic(q.Topic); ok && message.CheckThing(s.thing) == nil {
		n, ok := t.device(s.thing)
		switch {
		case ok && t.devices[n].own == ownNone, // no row gives it a shadow
			s.reply != (q.From.Kind == message.Shadow), // nobody should pose as the shadow service
			s.reply && q.To.Kind == message.Shadow:     // which does not answer itself
			return ""
		case s.reply:
			row = yamlRow{from: row.to, shadow: s.thing, may: s.op}
		case !q.HasTo || q.To.Kind == message.Shadow:
			row = yamlRow{from: row.from, shadow: s.thing, may: s.op}
		}
	}
	return "- " + row.String()
}
