package subscriptions

import (
	"slices"

	"greengate/core/message"
)

// Query asks what becomes of a message of From on Topic, and with HasTo whether
// To may receive it.
type Query struct {
	From, To message.Endpoint
	HasTo    bool
	Topic    string
}

// Explanation answers a Query. Its JSON form is that of `explain --json`.
type Explanation struct {
	From    string `json:"from"`
	Topic   string `json:"topic"`
	Allowed bool   `json:"allowed"`
	// Rows are those that allow it, in the order of the file.
	Rows []ExplainedRow `json:"rows"`
	// Receivers are all endpoints that may receive, sorted; of a query with
	// To, that one.
	Receivers []string `json:"receivers"`
	// Reason says why nothing allows it, and Suggest is a row to paste that
	// would; both are empty when it is allowed. Suggest is empty too when no
	// row could help, and names RECEIVER when the query does not tell who that
	// is.
	Reason  string `json:"reason"`
	Suggest string `json:"suggest"`
}

// ExplainedRow is one row of the file that allows what was asked.
type ExplainedRow struct {
	Line int    `json:"line"` // from 1; 0: it is a default that nobody wrote
	Text string `json:"text"`
	// To is who the row leads to, as the file writes it.
	To []string `json:"to"`
}

// Explain answers a query by the Lookup that routes messages. The names are those
// that rows of this group may hold.
func (t *Table) Explain(q Query, names Names) Explanation {
	x := Explanation{From: q.From.String(), Topic: q.Topic, Rows: []ExplainedRow{}, Receivers: []string{}}
	if err := message.CheckTopic(q.Topic); err != nil {
		x.Reason = err.Error() + "; explain asks about one topic that a message is published to"
		return x
	}
	m := t.Lookup(q.From, q.Topic)
	if m != nil {
		m.explain(q, &x)
	}
	x.Allowed = len(x.Rows) > 0
	if x.Allowed {
		return x
	}
	if x.Reason = names.stranger(q); x.Reason == "" {
		x.Reason, x.Suggest = t.refusal(q, m)
	}
	return x
}

// explain fills in the rows and the receivers.
func (m *Match) explain(q Query, x *Explanation) {
	var to end
	if q.HasTo {
		var ok bool
		if to, ok = m.t.endOf(q.To); !ok {
			return
		}
	}
	for _, h := range m.hits {
		if !q.HasTo || m.t.covers(h.to, to) {
			x.Rows = append(x.Rows, m.t.explainRow(h, q))
		}
	}
	add := func(to message.Endpoint, _ int) {
		if !q.HasTo || to == q.To {
			x.Receivers = append(x.Receivers, to.String())
		}
	}
	m.Services(add)
	m.Devices(add)
	slices.Sort(x.Receivers)
}

func (t *Table) explainRow(h hit, q Query) ExplainedRow {
	r := &t.rows[h.row]
	x := ExplainedRow{Line: int(r.line), Text: t.rowText(r), To: t.endTexts(nil, r.to)}
	reply := q.From.Kind == message.Shadow
	switch {
	case r.from == ownEnd && reply: // the hit is bound to the thing of the topic
		x.Line, x.To = int(t.devices[h.to].line), t.endTexts(nil, h.to)
	case r.from == ownEnd:
		if n, ok := t.device(q.From.Name); ok {
			x.Line = int(t.devices[n].line)
		}
	case r.may != 0 && reply: // a shadow row leads both ways
		x.To = t.endTexts(nil, r.from)
	}
	return x
}
