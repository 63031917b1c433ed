package subscriptions

import (
	"fmt"
	"slices"
	"strings"

	"greengate/core/message"
)

// LintSite is what Lint has to know beside the rows and the devices.
type LintSite struct {
	Site
	// Publishes has, for each pin, the topics on which it publishes; Outputs are
	// the pins that take messages.
	Publishes map[string][]string
	Outputs   map[string]bool
	Cloud     bool // there is a cloud section
}

// Lint returns warnings of rows in which Check finds no error: rows that nothing
// can ever match, and rows that another one makes needless. Rows that only
// several others together make needless are not found.
func Lint(rows []Row, site LintSite) ([]Fault, error) {
	t, err := Compile(rows, site.Site)
	if err != nil {
		return nil, fmt.Errorf("lint the rows: %w", err)
	}
	l := linter{rows: rows, site: site, t: t}
	for i := range rows {
		l.index = i
		l.never()
	}
	l.needless()
	slices.SortStableFunc(l.faults, func(a, b Fault) int { return a.Row - b.Row })
	return l.faults, nil
}

type linter struct {
	rows   []Row
	site   LintSite
	t      *Table
	index  int
	faults []Fault
}

func (l *linter) warn(key, value, hint, problem string, args ...any) {
	l.faults = append(l.faults, Fault{Row: l.index, Key: key, Value: value, Problem: fmt.Sprintf(problem, args...), Hint: hint, Warning: true})
}

// The topics of the shadow service, of all things.
var (
	shadowRequests = shadowFilters("+", allOps, false)
	shadowReplies  = shadowFilters("+", allOps, true)
)

// never warns of ends between which the row can carry nothing.
func (l *linter) never() {
	r := &l.rows[l.index]
	from, to := l.specs(r.From), l.specs(r.To)
	for i, s := range from {
		l.neverFrom(keyOf("from", i, len(from)), r, s)
	}
	for i, s := range to {
		l.neverTo(keyOf("to", i, len(to)), r, s)
	}
	if r.Shadow == "" && len(l.site.Devices) > 0 {
		l.neverNamed(r, from, to)
	}
}

func (l *linter) specs(ends Ends) []endSpec {
	specs := make([]endSpec, 0, len(ends))
	for _, text := range ends {
		if s, err := parseEnd(text); err == nil { // Compile has read it already
			specs = append(specs, s)
		}
	}
	return specs
}

func keyOf(side string, i, of int) string {
	if of > 1 {
		return fmt.Sprintf("%s[%d]", side, i)
	}
	return side
}

func (l *linter) neverFrom(key string, r *Row, s endSpec) {
	switch {
	case s.sort == allEnd && len(l.site.Devices) == 0:
		l.warn(key, s.String(), "add one with `greengate device add`", "the row never matches: the group has no device")
	case s.sort != serviceEnd:
	case s.kind == message.Cloud && !l.site.Cloud:
		l.warn(key, "cloud", "write a cloud section, or take the row out", "the row never matches: there is no cloud section")
	case r.Shadow != "":
		if s.kind == message.GPIO && !slices.ContainsFunc(l.site.Publishes[s.name], func(t string) bool { return l.asks(r, t) }) {
			l.warn(key, s.String(), "bind it to the shadow by its thing and key, which needs no row", "the row never matches: %s does not publish to this shadow", s)
		}
	case s.kind == message.Shadow && !meetsAny(r.Topic, shadowReplies):
		l.warn("topic", r.Topic, "it publishes $aws/things/THING/shadow/... with accepted, rejected, delta or documents at the end",
			"the row never matches: the shadow service does not publish on this topic")
	case s.kind == message.GPIO:
		if topics := l.site.Publishes[s.name]; len(topics) == 0 {
			l.warn(key, s.String(), "give it a topic in its section, or take the row out", "the row never matches: %s publishes nothing", s)
		} else if !meetsAny(r.Topic, topics) {
			l.warn("topic", r.Topic, "write topic: "+topics[0], "the row never matches: %s publishes on %s only", s, andList(topics))
		}
	}
}

// asks tells whether a publish on topic is a request that the shadow row allows.
func (l *linter) asks(r *Row, topic string) bool {
	s, ok := parseShadowTopic(topic)
	return ok && !s.reply && s.thing == r.Shadow && parseOps(r.May)&s.op != 0
}

func (l *linter) neverTo(key string, r *Row, s endSpec) {
	switch {
	case s.sort == allEnd && len(l.site.Devices) == 0:
		l.warn(key, s.String(), "add one with `greengate device add`", "the row never delivers: the group has no device")
	case s.sort != serviceEnd:
	case s.kind == message.Cloud && !l.site.Cloud:
		l.warn(key, "cloud", "write a cloud section", "nothing comes of it: there is no cloud section, so messages are refused (no-cloud)")
	case s.kind == message.Shadow && !meetsAny(r.Topic, shadowRequests):
		l.warn("topic", r.Topic, "it takes $aws/things/THING/shadow/get, update and delete; a shadow row writes shorter: shadow: THING",
			"nothing comes of it: the shadow service takes no such topic")
	case s.kind == message.GPIO && !l.site.Outputs[s.name]:
		l.warn(key, s.String(), "name an output, or take it out", "nothing comes of it: %s is an input and takes no messages", s)
	}
}

// neverNamed warns of a ${from} or ${to} that stands where no device of that
// side has a fitting name.
func (l *linter) neverNamed(r *Row, from, to []endSpec) {
	for _, side := range []struct {
		hole  string
		specs []endSpec
	}{{fromHole, from}, {toHole, to}} {
		if !strings.Contains(r.Topic, side.hole) || !strings.HasPrefix(r.Topic, shadowPrefix+side.hole+"/shadow/") {
			continue
		}
		if l.noneHasShadow(side.specs) {
			l.warn("topic", r.Topic, "such devices have shadow: none", "the row never matches: no device of that side has a shadow")
		}
	}
}

func (l *linter) noneHasShadow(specs []endSpec) bool {
	any := false
	for _, d := range l.site.Devices {
		for _, s := range specs {
			if s.sort == allEnd || s.sort == deviceEnd && s.name == d.Thing || s.sort == labelEnd && slices.Contains(d.Labels, s.name) {
				if any = true; !d.NoShadow {
					return false
				}
			}
		}
	}
	return any
}

func meetsAny(topic string, filters []string) bool {
	return slices.ContainsFunc(filters, func(f string) bool { return meet(topic, f, "", "") })
}
