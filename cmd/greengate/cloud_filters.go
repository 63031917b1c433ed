package main

import (
	"slices"
	"strings"

	"greengate/configs"
	"greengate/sync/cloud"
	"greengate/sync/shadows"
)

// cloudFilters are the topic filters that the rows from `cloud` and the sync of the
// shadows need, without those that others cover. ${to} may be any device's name.
func cloudFilters(c *configs.Config) []cloud.Subscription {
	filters := shadows.Filters()
	for i := range c.Subscriptions {
		r := &c.Subscriptions[i]
		if r.Topic == "" || !slices.Contains(r.From, "cloud") {
			continue
		}
		if !strings.Contains(r.Topic, "${to}") {
			filters = append(filters, r.Topic)
			continue
		}
		levels := strings.Split(r.Topic, "/")
		for i, level := range levels {
			if strings.Contains(level, "${to}") {
				levels[i] = "+"
			}
		}
		filters = append(filters, strings.Join(levels, "/"))
	}
	slices.Sort(filters)
	filters = slices.Compact(filters)
	all := newFilterTree(filters)
	var subs []cloud.Subscription
	for _, f := range filters {
		if !all.coversOther(0, f, false) {
			subs = append(subs, cloud.Subscription{Filter: f, QoS: 1})
		}
	}
	return subs
}

// filterTree has topic filters by their levels, so that what covers one is found without
// asking all others: a table may have thousands of rows from the cloud.
type filterTree struct {
	nodes map[filterStep]int // nodes[x] is what x leads to; 0 is where all begin
	ends  map[int]bool       // a filter ends there
}

type filterStep struct {
	from  int
	level string
}

func newFilterTree(filters []string) *filterTree {
	t := &filterTree{nodes: map[filterStep]int{}, ends: map[int]bool{}}
	for _, f := range filters {
		at := 0
		for level := range strings.SplitSeq(f, "/") {
			next, ok := t.nodes[filterStep{at, level}]
			if !ok {
				next = len(t.nodes) + 1
				t.nodes[filterStep{at, level}] = next
			}
			at = next
		}
		t.ends[at] = true
	}
	return t
}

// coversOther tells whether a filter of the tree, beneath the node at, covers what is left
// of a filter and is another one. other says that it differs from it already.
func (t *filterTree) coversOther(at int, filter string, other bool) bool {
	level, rest, more := strings.Cut(filter, "/")
	// A wildcard at the beginning matches nothing that begins with $ [MQTT-4.7.2-1].
	reserved := at == 0 && strings.HasPrefix(filter, "$")
	if next, ok := t.nodes[filterStep{at, "#"}]; ok && !reserved && t.ends[next] && (other || filter != "#") {
		return true
	}
	steps := []string{level, "+"}
	if level == "+" || level == "#" || reserved {
		steps = steps[:1] // + is the level itself, covers less, or nothing of it
	}
	for _, step := range steps {
		next, ok := t.nodes[filterStep{at, step}]
		if !ok {
			continue
		}
		differs := other || step != level
		switch {
		case more && t.coversOther(next, rest, differs):
			return true
		case more:
		case differs && t.ends[next]:
			return true
		case t.ends[t.nodes[filterStep{next, "#"}]] && level != "#": // a/# matches a
			return true
		}
	}
	return false
}
