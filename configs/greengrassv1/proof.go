package greengrassv1

import (
	"fmt"
	"slices"
	"strings"

	"greengate/core/message"
	"greengate/subscriptions"
)

// Two tables are the same when every source may send to the same receivers on every
// topic. There are endless topics, but finitely many that differ: rows only compare
// levels with words that stand in them, with names of devices, or with nothing at all
// (+, #). Take a topic t that a row lets pass, by the filter f that the row is for this
// source and receiver. Make t' of it: in each level where f has a +, and in all levels
// that its # takes, write a word that no row and no device has. Whatever row of the
// other table lets t' pass has a + or # there, too, since nothing else matches that
// word, and so it lets t pass as well. The # makes topics of any length, but all rows
// treat those that are longer than the longest filter alike. So it is enough to ask both
// tables about the topics t' of all filters of both: not a sample, but all there is.

// proof is what has to be asked.
type proof struct {
	sources []message.Endpoint
	topics  []string
}

// proofOf finds all sources and all topics that differ for two tables.
func proofOf(devicesA []siteDevice, a []siteRow, devicesB []siteDevice, b []siteRow) *proof {
	filters := map[string]bool{}
	sources := map[message.Endpoint]bool{}
	expand(devicesA, a, filters, sources)
	expand(devicesB, b, filters, sources)
	p := &proof{}
	for s := range sources {
		p.sources = append(p.sources, s)
	}
	for _, d := range devicesA { // a source without a row may send nothing
		if e := message.DeviceEndpoint(d.thing); !sources[e] {
			p.sources = append(p.sources, e)
		}
	}
	deepest, word := 0, "other"
	for f := range filters {
		deepest = max(deepest, strings.Count(f, "/")+1)
		for strings.Contains(f, word) || slices.ContainsFunc(devicesA, func(d siteDevice) bool { return strings.Contains(d.thing, word) }) {
			word += "x"
		}
	}
	topics := map[string]bool{}
	for _, r := range append(slices.Clone(a), b...) { // a word that is no device, in place of one
		if strings.Contains(r.topic, "${") {
			generic(strings.NewReplacer("${from}", word, "${to}", word).Replace(r.topic), word, deepest+1, topics)
		}
	}
	for f := range filters {
		generic(f, word, deepest+1, topics)
	}
	for t := range topics {
		p.topics = append(p.topics, t)
	}
	slices.Sort(p.topics)
	return p
}

// expand adds the filters that rows are for their sources and receivers.
func expand(devices []siteDevice, rows []siteRow, filters map[string]bool, sources map[message.Endpoint]bool) {
	for i := range rows {
		r := &rows[i]
		froms, tos := members(devices, r.from), members(devices, r.to)
		for _, f := range froms {
			sources[f] = true
		}
		if !strings.Contains(r.topic, "${") {
			filters[r.topic] = true
			continue
		}
		for _, f := range froms {
			topic := strings.ReplaceAll(r.topic, "${from}", f.Name)
			if !strings.Contains(topic, "${to}") {
				filters[topic] = true
				continue
			}
			for _, t := range tos {
				filters[strings.ReplaceAll(topic, "${to}", t.Name)] = true
			}
		}
	}
}

// members are the single ends of one side of a row.
func members(devices []siteDevice, words []string) (all []message.Endpoint) {
	for _, w := range words {
		label, isLabel := strings.CutPrefix(w, "label:")
		if w != "device:*" && !isLabel {
			if e, err := message.ParseEndpoint(w); err == nil {
				all = append(all, e)
			}
			continue
		}
		for _, d := range devices {
			if !isLabel || slices.Contains(d.labels, label) {
				all = append(all, message.DeviceEndpoint(d.thing))
			}
		}
	}
	return all
}

// generic adds the topics that stand for all that a filter matches.
func generic(filter, word string, deepest int, topics map[string]bool) {
	levels := strings.Split(filter, "/")
	for i, l := range levels {
		if l == "+" {
			levels[i] = word
		}
	}
	if last := len(levels) - 1; levels[last] == "#" {
		levels = levels[:last]
		for n := last; n <= deepest; n++ {
			if len(levels) > 0 {
				topics[strings.Join(levels, "/")] = true
			}
			levels = append(levels, word)
		}
		return
	}
	topics[strings.Join(levels, "/")] = true
}

// difference asks two tables about everything. Empty: they are the same.
func difference(a, b *subscriptions.Table, p *proof) string {
	for _, s := range p.sources {
		for _, t := range p.topics {
			if got, want := receivers(b, s, t), receivers(a, s, t); !slices.Equal(got, want) {
				return fmt.Sprintf("%v on %s reaches %v, and not %v", s, t, got, want)
			}
		}
	}
	return ""
}

// receivers are all to whom a table lets a message go, in a fixed order.
func receivers(t *subscriptions.Table, from message.Endpoint, topic string) []message.Endpoint {
	m := t.Lookup(from, topic)
	if m == nil {
		return nil
	}
	var all []message.Endpoint
	add := func(to message.Endpoint, _ int) { all = append(all, to) }
	m.Devices(add)
	m.Services(add)
	slices.SortFunc(all, func(a, b message.Endpoint) int { return strings.Compare(a.String(), b.String()) })
	return all
}
