package subscriptions

import (
	"strings"

	"greengate/core/message"
)

// Lookup finds the rows that let from publish on the topic, which must be a
// legal topic name; nil when there is none. It costs the same at any number of
// rows, and as a rule one allocation.
func (t *Table) Lookup(from message.Endpoint, topic string) *Match {
	w := walk{t: t, name: from.Name, may: anyOp, reserved: strings.HasPrefix(topic, "$")}
	var roots []uint32
	if from.Kind == message.Device {
		n, ok := t.device(from.Name)
		if !ok {
			return nil
		}
		s := t.sources[n]
		w.root = &t.nodes[s.root]
		roots = t.classes[s.class].roots
	} else {
		w.root = &t.nodes[t.services[from].root]
	}
	var room [16]level
	levels := t.split(room[:0], topic)
	w.start(levels, roots)
	if w.reserved {
		if s, ok := parseShadowTopic(topic); ok && s.reply == (from.Kind == message.Shadow) {
			// Once more: what is matched now is the mark that stands for all
			// shadow topics, and the thing.
			w.may = s.op
			w.start(append(levels[:0], level{number: shadowMark}, t.level(s.thing)), roots)
		}
	}
	if w.match != nil {
		w.match.sort()
	}
	return w.match
}

// level is one level of a topic and its number in the tree; 0: no row holds it
// and no device has that name.
type level struct {
	text   string
	number uint32
}

// split appends the levels of a topic.
func (t *Table) split(levels []level, topic string) []level {
	for more := true; more; {
		var text string
		text, topic, more = strings.Cut(topic, "/")
		levels = append(levels, t.level(text))
	}
	return levels
}

func (t *Table) level(text string) level {
	if n, ok := t.words.find(text); ok {
		return level{text, firstLiteral + n}
	}
	return level{text, 0}
}

// device returns the number of a device: that of its name, since the names of
// the devices are the first words.
func (t *Table) device(thing string) (n uint32, ok bool) {
	n, ok = t.words.find(thing)
	return n, ok && int(n) < len(t.devices)
}

// walk is one lookup on its way through the trees.
type walk struct {
	t        *Table
	name     string // of the source
	root     *node  // of the source's own tree
	reserved bool   // the topic begins with $: no wildcard matches its first level [MQTT-4.7.2-1]
	may      ops    // what the filters must allow
	match    *Match // nil: no row so far
}

// start walks the trees of the source: its own and those of its class.
func (w *walk) start(levels []level, roots []uint32) {
	w.visit(w.root, levels, 0, noEnd)
	for _, r := range roots {
		w.visit(&w.t.nodes[r], levels, 0, noEnd)
	}
}

// visit goes on at n, to which the first levels, i of them, have led. to is
// the device that ${to} stands for; noEnd: not known yet.
func (w *walk) visit(n *node, levels []level, i int, to end) {
	if n.leaf() {
		if i == len(levels) {
			w.take(n, to)
		}
		return
	}
	kids := w.t.kids(n)
	if i == len(levels) {
		for k := 0; k < len(kids) && kids[k].level <= restLevels; k++ { // a/# matches a
			w.take(&kids[k], to)
		}
		return
	}
	for len(kids) > 0 && kids[0].level < firstLiteral {
		w.special(&kids[0], levels, i, to)
		kids = kids[1:]
	}
	if len(w.t.templates) > 0 {
		kids = w.fill(kids, levels, i, to)
	}
	number := levels[i].number
	switch {
	case number < firstLiteral:
	case n.count > maxScan:
		if kid := w.t.wideChild(n, number); kid != nil {
			w.visit(kid, levels, i+1, to)
		}
	default:
		for k := range kids {
			if kids[k].level == number {
				w.visit(&kids[k], levels, i+1, to)
				break
			}
		}
	}
}

func (t *Table) kids(n *node) []node { return t.nodes[n.first : n.first+n.count] }

// special tries a child that is a wildcard, a whole placeholder or the mark.
func (w *walk) special(kid *node, levels []level, i int, to end) {
	level := &levels[i]
	switch kid.level {
	case restLevels:
		if i > 0 || !w.reserved {
			w.take(kid, to)
		}
	case anyLevel:
		if i > 0 || !w.reserved {
			w.visit(kid, levels, i+1, to)
		}
	case fromName:
		if level.text == w.name {
			w.visit(kid, levels, i+1, to)
		}
	case toName:
		// The numbers of the devices' names are those of the devices. Of a
		// level that is no word this makes a number too great for one.
		if d := deviceEnd | end(level.number-firstLiteral); uint64(d) < uint64(len(w.t.devices)) && (to == noEnd || to == d) {
			w.visit(kid, levels, i+1, d)
		}
	case shadowMark:
		if level.number == shadowMark {
			w.visit(kid, levels, i+1, to)
		}
	}
}

// fill tries the children that are templates, the last ones, and returns the
// others.
func (w *walk) fill(kids []node, levels []level, i int, to end) []node {
	for len(kids) > 0 && kids[len(kids)-1].level >= firstTemplate {
		kid := &kids[len(kids)-1]
		kids = kids[:len(kids)-1]
		known := ""
		if to != noEnd {
			known = w.t.devices[to].name
		}
		name, ok := w.t.templates[kid.level-firstTemplate].bind(levels[i].text, w.name, known)
		if !ok {
			continue
		}
		bound := to
		if name != known {
			n, ok := w.t.device(name)
			if !ok {
				continue
			}
			bound = end(n)
		}
		w.visit(kid, levels, i+1, bound)
	}
	return kids
}

// take takes what ends at n, as far as it stands for what is done and for the
// receiver that the topic names.
func (w *walk) take(n *node, to end) {
	if !n.leaf() {
		kids := w.t.kids(n)
		for k := range kids {
			w.take(&kids[k], to)
		}
		return
	}
	switch {
	case n.may()&w.may == 0:
	case to == noEnd:
		w.hit(n.row(), n.to())
	case w.t.covers(n.to(), to):
		w.hit(n.row(), to)
	}
}

func (w *walk) hit(row uint32, to end) {
	if w.match == nil {
		w.match = &Match{t: w.t}
		w.match.hits = w.match.few[:0]
	}
	w.match.hits = append(w.match.hits, hit{row, to})
}
