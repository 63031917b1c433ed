package subscriptions

import (
	"slices"
	"strings"
)

// maxWider bounds how many pairs of rows are compared.
const maxWider = 20_000_000

// lintWay is one direction of a row with all its ends.
type lintWay struct {
	from, to end
	filter   string
}

// lintRow is a row as needless compares it.
type lintRow struct {
	ways  []lintWay
	first string // the first level of its topic; "" when it may be several
}

// needless warns of rows that another row makes needless: it allows all that
// they allow, and it comes first or says the same of what waits for the cloud.
func (l *linter) needless() {
	all := make([]lintRow, len(l.t.rows))
	byFirst := map[string][]int{}
	for i := range l.t.rows {
		all[i] = l.lintRow(i)
		byFirst[all[i].first] = append(byFirst[all[i].first], i)
	}
	for first, some := range byFirst {
		if first != "" {
			some = slices.Concat(some, byFirst[""])
			slices.Sort(some)
			byFirst[first] = some
		}
	}
	budget := maxWider
	dead := map[int]bool{}
	for _, f := range l.faults {
		dead[f.Row] = true
	}
	for b := range l.rows {
		if dead[b] {
			continue // one thing at a time
		}
		for _, a := range byFirst[all[b].first] {
			if budget--; budget < 0 {
				l.index = b
				l.warn("", "", "split the site, or use labels and placeholders", "this row and those after it were not compared with others: the table is too large for that")
				return
			}
			if a != b && l.makesNeedless(a, b, all) {
				l.index = b
				l.warn("", l.rows[b].Text, "take one of the two out", "the row is needless: %s allows all that it allows", l.named(a))
				break
			}
		}
	}
}

func (l *linter) named(row int) string {
	if name := l.t.rowName(row); name != ownText {
		return name
	}
	return "`" + ownText + "`"
}

func (l *linter) lintRow(i int) (x lintRow) {
	r := &l.t.rows[i]
	topic := l.t.texts.word(r.topic)
	switch {
	case r.from == ownEnd:
		for _, f := range shadowFilters(fromHole, allOps, false) {
			x.ways = append(x.ways, lintWay{ownEnd, shadowService, f})
		}
		for _, f := range shadowFilters(toHole, allOps, true) {
			x.ways = append(x.ways, lintWay{shadowService, ownEnd, f})
		}
	case r.may != 0:
		for _, f := range shadowFilters(topic, r.may, false) {
			x.ways = append(x.ways, lintWay{r.from, shadowService, f})
		}
		for _, f := range shadowFilters(topic, r.may, true) {
			x.ways = append(x.ways, lintWay{shadowService, r.from, f})
		}
	default:
		x.ways = []lintWay{{r.from, r.to, topic}}
	}
	if first, _, _ := strings.Cut(x.ways[0].filter, "/"); !strings.ContainsAny(first, "+#") && !strings.Contains(first, "${") {
		x.first = first
	}
	return x
}

func (l *linter) makesNeedless(a, b int, all []lintRow) bool {
	switch {
	case !l.rowCovers(&all[a], &all[b]):
		return false
	case l.t.Key(a) == l.t.Key(b):
		return false // Check has said so
	case a < b:
		return true
	}
	// Of two rows for the same the later one is needless; and where b comes first,
	// how its messages wait for the cloud is its own.
	return !l.rowCovers(&all[b], &all[a]) && (l.t.rows[a].terms == l.t.rows[b].terms || !l.t.hasService(l.t.rows[b].to))
}

func (l *linter) rowCovers(a, b *lintRow) bool {
	for _, w := range b.ways {
		if !slices.ContainsFunc(a.ways, func(v lintWay) bool { return l.wayCovers(v, w) }) {
			return false
		}
	}
	return true
}

// wayCovers tells whether a allows all that b allows.
func (l *linter) wayCovers(a, b lintWay) bool {
	if !l.endCovers(a.from, b.from) || !l.endCovers(a.to, b.to) {
		return false
	}
	if filterCovers(a.filter, b.filter) {
		return true
	}
	// With names in place of placeholders it may, if b is for few.
	from, fromOK := l.few(b.from, a.filter+b.filter, fromHole)
	to, toOK := l.few(b.to, a.filter+b.filter, toHole)
	if !fromOK || !toOK || len(from) == 0 || len(to) == 0 {
		return false
	}
	for _, f := range from {
		for _, t := range to {
			names := strings.NewReplacer(fromHole, f, toHole, t)
			if !filterCovers(names.Replace(a.filter), names.Replace(b.filter)) {
				return false
			}
		}
	}
	return true
}

// maxFew bounds for how many devices a placeholder is written out.
const maxFew = 32

// few returns the names of the devices of e, or one empty name when no
// placeholder needs them.
func (l *linter) few(e end, filters, hole string) (names []string, ok bool) {
	if !strings.Contains(filters, hole) {
		return []string{""}, true
	}
	if l.t.hasService(e) {
		return nil, false // it has no thing name
	}
	for d := range l.t.devices {
		if l.t.covers(e, end(d)) {
			if names = append(names, l.t.devices[d].name); len(names) > maxFew {
				return nil, false
			}
		}
	}
	return names, true
}

// endCovers tells whether a has all endpoints of b.
func (l *linter) endCovers(a, b end) bool {
	switch {
	case a&^spelled == b&^spelled:
		return true
	case b&sortMask == listEnd:
		return !slices.ContainsFunc(l.t.lists[b&numberMask], func(m end) bool { return !l.endCovers(a, m) })
	case b&sortMask == serviceEnd, b&sortMask == deviceEnd:
		return l.t.covers(a, b&^spelled)
	}
	for d := range l.t.devices {
		if l.t.covers(b, end(d)) && !l.t.covers(a, end(d)) {
			return false
		}
	}
	return true
}

// filterCovers tells whether a matches all that b matches, level by level. A
// placeholder is covered by itself and by a +.
func filterCovers(a, b string) bool {
	if wild(a) && (strings.HasPrefix(b, "$") && !strings.HasPrefix(b, "${")) {
		return false // [MQTT-4.7.2-1]
	}
	for {
		x, aRest, aMore := strings.Cut(a, "/")
		y, bRest, bMore := strings.Cut(b, "/")
		switch {
		case x == "#":
			return true
		case y == "#", x != "+" && x != y:
			return false
		case !bMore:
			return !aMore || aRest == "#"
		case !aMore:
			return false
		}
		a, b = aRest, bRest
	}
}
