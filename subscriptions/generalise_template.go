package subscriptions

import (
	"slices"
	"strings"

	"greengate/core/message"
)

// maxWild bounds in how many levels, from the first, a + is tried.
const maxWild = 6

// leastWords is how many different words must have been seen in a level, in all,
// for a + to stand there; leastOwn how many of one source and receiver.
const (
	leastWords = 3
	leastOwn   = 2
)

// variant is a topic filter that matches the topic of a flow, and the values
// that stand where it has a +.
type variant struct {
	filter string
	wild   []string
	named  bool // ${to} stands in it, so it matches for one receiver only
}

// holes returns the topics with the names of the ends as placeholders, the topic
// itself first. A name counts where it is a level, or a part of one between
// other characters than letters and digits.
func holes(topic string, from, to message.Endpoint) []variant {
	all := []variant{{filter: topic}}
	add := func(filter string) {
		v := variant{filter: filter, named: strings.Contains(filter, toHole)}
		if !slices.ContainsFunc(all, func(o variant) bool { return o.filter == filter }) {
			all = append(all, v)
		}
	}
	isFrom, isTo := from.Kind == message.Device, to.Kind == message.Device
	if isFrom {
		add(punch(topic, from.Name, fromHole))
	}
	if isTo {
		add(punch(topic, to.Name, toHole))
	}
	if isFrom && isTo {
		add(punch(punch(topic, from.Name, fromHole), to.Name, toHole))
		add(punch(punch(topic, to.Name, toHole), from.Name, fromHole))
	}
	return all
}

// punch puts hole in place of name where it stands as a word of its own.
func punch(topic, name, hole string) string {
	var b strings.Builder
	for rest, before := topic, byte('/'); ; {
		i := strings.Index(rest, name)
		if i < 0 {
			b.WriteString(rest)
			return b.String()
		}
		end := i + len(name)
		if i > 0 {
			before = rest[i-1]
		}
		switch {
		case inWord(before), end < len(rest) && inWord(rest[end]), inHole(topic[:len(topic)-len(rest)+i]):
			b.WriteString(rest[:end])
		default:
			b.WriteString(rest[:i] + hole)
		}
		before, rest = rest[end-1], rest[end:]
	}
}

func inWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// inHole tells whether the text ends within a placeholder: a device may be
// called from.
func inHole(before string) bool {
	return strings.LastIndex(before, "${") > strings.LastIndex(before, "}")
}

// widen returns v with a + in one level, and in two. One level at least stays.
func (v variant) widen() (wider []variant) {
	levels := strings.Split(v.filter, "/")
	free := make([]int, 0, len(levels))
	for i, l := range levels[:min(len(levels), maxWild)] {
		if !strings.Contains(l, "${") && !(i == 0 && strings.HasPrefix(l, "$")) {
			free = append(free, i)
		}
	}
	with := func(at ...int) {
		l := slices.Clone(levels)
		w := variant{named: v.named}
		for _, i := range at {
			w.wild = append(w.wild, l[i])
			l[i] = "+"
		}
		w.filter = strings.Join(l, "/")
		wider = append(wider, w)
	}
	for k, i := range free {
		if len(levels) > 1 {
			with(i)
		}
		for _, j := range free[k+1:] {
			if len(levels) > 2 {
				with(i, j)
			}
		}
	}
	return wider
}
