package subscriptions

import (
	"fmt"
	"strings"
	"time"

	"greengate/core/message"
)

// Use is what a running gateway knows of how its rows were used.
type Use struct {
	// Since is for how long the gateway has had these rows; Counted tells of a row, by its
	// text, whether a message came by it.
	Since   time.Duration
	Counted map[string]bool
	// Recorded is how long flows were recorded, and Flows are those that rows
	// allowed, all of them. 0: none were.
	Recorded time.Duration
	Flows    []RecordedFlow
}

// LintUse returns warnings of rows that allow more than was ever used: rows that
// no message came by, and rows of which some sources, or all but one topic, were
// never seen. least is how long the gateway must have looked on.
func LintUse(rows []Row, site Site, use Use, least time.Duration) ([]Fault, error) {
	t, err := Compile(rows, site)
	if err != nil {
		return nil, fmt.Errorf("lint the use of the rows: %w", err)
	}
	l := linter{rows: rows, site: LintSite{Site: site}, t: t}
	seen := t.used(use.Flows)
	for i := range rows {
		l.index = i
		switch {
		case use.Since >= least && use.Since > 0 && !use.Counted[rows[i].Text] && seen[i] == nil:
			l.warn("", rows[i].Text, "take it out if nobody needs it",
				"nothing went by this row in the %s since the gateway has had these rows", roundTime(use.Since))
		case use.Recorded >= least && use.Recorded > 0 && seen[i] != nil:
			l.narrower(seen[i], use.Recorded)
		}
	}
	return l.faults, nil
}

// rowUse is what was seen of a row.
type rowUse struct {
	from   set
	topics map[string]bool
}

// used finds, with the Lookup that routes, the rows of the flows.
func (t *Table) used(flows []RecordedFlow) map[int]*rowUse {
	seen := map[int]*rowUse{}
	for _, f := range flows {
		m := t.Lookup(f.From, f.Topic)
		from, ok := t.endOf(f.From)
		if m == nil || !ok {
			continue
		}
		for _, to := range f.Allowed {
			row, ok := m.Allows(to)
			if !ok {
				continue
			}
			u := seen[row]
			if u == nil {
				u = &rowUse{topics: map[string]bool{}}
				seen[row] = u
			}
			if f.From.Kind == message.Device {
				u.from.add(int(from & numberMask))
			}
			u.topics[f.Topic] = true
		}
	}
	return seen
}

// narrower warns of a row that allows more than was seen.
func (l *linter) narrower(u *rowUse, looked time.Duration) {
	r := &l.rows[l.index]
	var may, unused []string
	for d := range l.t.devices {
		if l.t.covers(l.t.rows[l.index].from, end(d)) {
			may = append(may, l.t.devices[d].name)
			if !u.from.has(d) {
				unused = append(unused, l.t.devices[d].name)
			}
		}
	}
	if n := len(unused); n > 0 && n < len(may) && r.Shadow == "" {
		if n > 4 {
			unused = append(unused[:4], fmt.Sprintf("%d more", n-4))
		}
		l.warn("from", strings.Join(r.From, ", "), "name those that do, or give them a label of their own",
			"it lets devices publish that never did in the %s of the recording: %s", roundTime(looked), andList(unused))
	}
	if strings.ContainsAny(r.Topic, "+#") && len(u.topics) == 1 && len(may) <= 1 {
		for topic := range u.topics {
			l.warn("topic", r.Topic, "write topic: "+topic, "it is for many topics, and only %s was used in the %s of the recording", topic, roundTime(looked))
		}
	}
}

// roundTime writes a time as people say it.
func roundTime(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return fmt.Sprintf("%d seconds", d/time.Second)
}
