package subscriptions

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"greengate/core/message"
)

// Flow is a way that messages wanted to go: who published, on which topic, and
// who would have received. A To that is zero is not known: nobody had
// subscribed.
type Flow struct {
	From  message.Endpoint
	Topic string
	To    message.Endpoint
}

// Proposal is the table that would allow flows.
type Proposal struct {
	// Rows allow every flow that is not in Refused.
	Rows []Proposed
	// Open are rows for flows without a receiver. They name RECEIVER, for a
	// person to put in; their flows are in Refused.
	Open []Proposed
	// Refused are the flows that Rows do not allow, each with its reason.
	Refused []StillRefused
}

// Proposed is one row of a Proposal.
type Proposed struct {
	Row   Row
	Text  string // as the file has it, to paste
	Flows int    // of those recorded, how many it allows
	// Besides says what else it allows, a sentence for each; empty: nothing.
	Besides []string
}

// StillRefused is a flow that a Proposal does not allow.
type StillRefused struct {
	Flow
	Reason string
}

// Generalise finds few rows that allow all flows: a row for many devices, by
// ${from} and ${to}, by device:* and a label where these are exactly the devices
// seen, and by + where one source used several words in a level and three were
// seen in all. With exact there is no + and no # : the rows allow the flows, a
// sender's own copy of what it sends to a group that it is in, and what a shadow
// row holds, and nothing else.
//
// The rows are few and none can be left out; that there are no fewer is not
// promised, for to find the fewest takes a time that grows without measure.
func Generalise(flows []Flow, site Site, exact bool) (*Proposal, error) {
	bare, err := Compile(nil, site)
	if err != nil {
		return nil, fmt.Errorf("generalise flows: %w", err)
	}
	g := generaliser{site: site, exact: exact, bare: bare, ends: newEndSet(site)}
	flows = slices.Clone(flows)
	slices.SortFunc(flows, compareFlows)
	var placed, open []Flow
	for _, f := range slices.Compact(flows) {
		switch reason := g.impossible(f); {
		case reason != "":
			g.p.Refused = append(g.p.Refused, StillRefused{f, reason})
		case f.To == (message.Endpoint{}):
			open = append(open, f)
			g.p.Refused = append(g.p.Refused, StillRefused{f, "nobody had subscribed, so its receiver is not known"})
		default:
			placed = append(placed, f)
		}
	}
	placed = g.shadowRows(placed)
	g.p.Rows = append(g.p.Rows, g.cover(placed)...)
	g.p.Open = g.cover(open)
	slices.SortStableFunc(g.p.Rows, func(a, b Proposed) int { return cmp.Compare(b.Flows, a.Flows) })
	return &g.p, nil
}

// Verify returns the flows that a table of the rows of p alone refuses, beside
// those that p says it refuses: none, or p is wrong. It asks the Lookup that
// routes messages.
func (p *Proposal) Verify(flows []Flow, site Site) ([]Flow, error) {
	rows := make([]Row, len(p.Rows))
	for i := range p.Rows {
		rows[i] = p.Rows[i].Row
	}
	t, err := Compile(rows, site)
	if err != nil {
		return nil, fmt.Errorf("compile the proposed rows: %w", err)
	}
	said := make(map[Flow]bool, len(p.Refused))
	for _, r := range p.Refused {
		said[r.Flow] = true
	}
	var wrong []Flow
	for _, f := range flows {
		if !said[f] && !t.allows(f) {
			wrong = append(wrong, f)
		}
	}
	return wrong, nil
}

func (t *Table) allows(f Flow) bool {
	m := t.Lookup(f.From, f.Topic)
	if m == nil {
		return false
	}
	_, ok := m.Allows(f.To)
	return ok
}

type generaliser struct {
	site  Site
	exact bool
	bare  *Table // without rows
	ends  *endSet
	p     Proposal
}

func compareFlows(a, b Flow) int {
	return cmp.Or(compareEnds(a.From, b.From), cmp.Compare(a.Topic, b.Topic), compareEnds(a.To, b.To))
}

func compareEnds(a, b message.Endpoint) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// impossible says why no row should allow f; empty when one may.
func (g *generaliser) impossible(f Flow) string {
	if err := message.CheckTopic(f.Topic); err != nil {
		return err.Error()
	}
	if strings.Contains(f.Topic, "${") {
		return readsAsPlaceholder
	}
	q := Query{From: f.From, To: f.To, HasTo: f.To.Kind != 0, Topic: f.Topic}
	if reason, suggest := g.bare.refusal(q, nil); suggest == "" {
		return reason
	}
	return ""
}

// proposed makes the row and its text.
func proposed(from, to []string, topic string, flows int, besides []string) Proposed {
	y := yamlRow{from: from, topic: topic, to: to}
	return Proposed{
		Row: Row{From: from, Topic: topic, To: to, Text: y.String()}, Text: y.String(), Flows: flows, Besides: besides,
	}
}
