package greengrassv1

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"greengate/core/message"
	"greengate/subscriptions"
)

// fold writes the rows that say one thing many times as one: with lists, labels,
// ${from} and ${to}. It takes the result only when both tables, compiled, are
// proved to be the same. What is left out stays as it is, at the end.
func (s *site) fold() error {
	before := s.rows
	var rows, left []siteRow
	for _, r := range before {
		if r.left == "" {
			rows = append(rows, r)
		} else {
			left = append(left, r)
		}
	}
	devices := slices.Clone(s.devices)
	f := newFolder(devices, rows)
	folded := f.rows()
	plainTable, err := compile(s.devices, rows)
	if err != nil {
		return fmt.Errorf("compile the rows: %w", err)
	}
	foldedTable, err := compile(f.devices, folded)
	if err != nil {
		return fmt.Errorf("compile the folded rows: %w", err)
	}
	if d := difference(plainTable, foldedTable, proofOf(s.devices, rows, f.devices, folded)); d != "" {
		s.report.lacks(nil, "--fold", "the folded rows are not the same table, so the rows stand as they were: %s", d)
		return nil
	}
	s.devices, s.rows = f.devices, append(folded, left...)
	s.report.Counts.Labels = len(f.labels)
	s.report.translated(nil, fmt.Sprintf("%d rows", len(rows)), "folded to %d with %d labels: both tables, compiled, let pass the same to the same on every topic", len(folded), len(f.labels))
	return nil
}

// compile makes the table of rows.
func compile(devices []siteDevice, rows []siteRow) (*subscriptions.Table, error) {
	site := subscriptions.Site{}
	for _, d := range devices {
		site.Devices = append(site.Devices, subscriptions.Device{Thing: d.thing, Labels: d.labels})
	}
	list := make([]subscriptions.Row, len(rows))
	for i, r := range rows {
		list[i] = subscriptions.Row{From: r.from, Topic: r.topic, To: r.to}
	}
	return subscriptions.Compile(list, site)
}

// pair is a row with one end on each side, by the numbers of the ends.
type pair struct{ from, to int }

// folder finds few rows for many.
type folder struct {
	devices []siteDevice
	ends    []string // devices first, in the order of the file
	thing   []string // by end: the name of a device, empty for others
	number  map[string]int
	pairs   []folding
	labels  map[string]string // by the key of a set
	taken   map[string]bool   // names of labels
}

// folding is a row of the input on its way into a folded one.
type folding struct {
	row    *siteRow
	pair   pair
	topics []string // the filters that say it: its own, and with placeholders
	done   bool
}

func newFolder(devices []siteDevice, rows []siteRow) *folder {
	f := &folder{devices: devices, number: map[string]int{}, labels: map[string]string{}, taken: map[string]bool{}}
	for _, d := range devices {
		f.end(message.DeviceEndpoint(d.thing).String(), d.thing)
		for _, l := range d.labels {
			f.taken[l] = true
		}
	}
	for i := range rows {
		r := &rows[i]
		p := pair{f.end(r.from[0], ""), f.end(r.to[0], "")}
		f.pairs = append(f.pairs, folding{row: r, pair: p, topics: templates(r.topic, f.thing[p.from], f.thing[p.to])})
	}
	return f
}

// end returns the number of an end.
func (f *folder) end(word, thing string) int {
	n, ok := f.number[word]
	if !ok {
		n = len(f.ends)
		f.number[word] = n
		f.ends = append(f.ends, word)
		f.thing = append(f.thing, thing)
	}
	return n
}

// leastName is the shortest name that is looked for within a level: a shorter one is in
// many words by chance.
const leastName = 3

// templates returns the filters that may stand for a topic in a row from and to these
// things: with the name of an end replaced wherever it is a whole level, and wherever it
// stands at all. The topic itself comes last.
func templates(topic, from, to string) (all []string) {
	whole := func(topic, name, hole string) string {
		levels := strings.Split(topic, "/")
		for i, l := range levels {
			if l == name {
				levels[i] = hole
			}
		}
		return strings.Join(levels, "/")
	}
	within := func(topic, name, hole string) string {
		if len(name) < leastName {
			return topic
		}
		return strings.ReplaceAll(topic, name, hole)
	}
	add := func(t string) {
		if t != topic && !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	for _, replace := range []func(topic, name, hole string) string{whole, within} {
		one := func(name, hole string) string {
			if name == "" {
				return topic
			}
			return replace(topic, name, hole)
		}
		add(one(from, "${from}"))
		add(one(to, "${to}"))
		if from != "" && to != "" && from != to {
			// The longer name first: the other one may be a part of it.
			if len(from) >= len(to) {
				add(replace(replace(topic, from, "${from}"), to, "${to}"))
			} else {
				add(replace(replace(topic, to, "${to}"), from, "${from}"))
			}
		}
	}
	return append(all, topic)
}

// block is a row that may be made: every one of from with every one of to.
type block struct {
	topic    string
	from, to []int
	members  []int // in pairs
}

// rows returns the folded rows, in the order of the first row that each stands for.
func (f *folder) rows() []siteRow {
	var blocks []block
	for {
		best := f.best()
		if best == nil {
			break
		}
		for _, b := range best {
			for _, m := range b.members {
				f.pairs[m].done = true
			}
		}
		blocks = append(blocks, best...)
	}
	slices.SortStableFunc(blocks, func(a, b block) int { return cmp.Compare(a.members[0], b.members[0]) })
	f.name(blocks)
	rows := make([]siteRow, 0, len(blocks))
	for _, b := range blocks {
		rows = append(rows, f.row(&b))
	}
	return rows
}

// best returns the blocks of the filter that spares most rows; nil when all are done.
func (f *folder) best() []block {
	by := map[string][]int{}
	var order []string
	for i := range f.pairs {
		if f.pairs[i].done {
			continue
		}
		for _, t := range f.pairs[i].topics {
			if by[t] == nil {
				order = append(order, t)
			}
			by[t] = append(by[t], i)
		}
	}
	var best []block
	spared := -1
	for _, t := range order {
		if n := len(by[t]); n-1 <= spared {
			continue // even as one row it would spare no more
		}
		blocks := f.blocks(t, by[t])
		if n := len(by[t]) - len(blocks); n > spared {
			best, spared = blocks, n
		}
	}
	return best
}

// blocks puts the rows of a filter together: ends with the same other side.
func (f *folder) blocks(topic string, members []int) []block {
	byFrom := f.gather(topic, members, func(p pair) (int, int) { return p.from, p.to }, false)
	byTo := f.gather(topic, members, func(p pair) (int, int) { return p.to, p.from }, true)
	if len(byTo) < len(byFrom) {
		return byTo
	}
	return byFrom
}

func (f *folder) gather(topic string, members []int, sides func(pair) (one, other int), swapped bool) []block {
	others := map[int][]int{}
	rows := map[int][]int{}
	var ones []int
	for _, m := range members {
		one, other := sides(f.pairs[m].pair)
		if others[one] == nil {
			ones = append(ones, one)
		}
		others[one] = append(others[one], other)
		rows[one] = append(rows[one], m)
	}
	at := map[string]int{}
	var blocks []block
	for _, one := range ones {
		slices.Sort(others[one])
		set := slices.Compact(others[one])
		key := fmt.Sprint(set)
		i, ok := at[key]
		if !ok {
			i = len(blocks)
			at[key] = i
			b := block{topic: topic, to: set}
			if swapped {
				b.from, b.to = set, nil
			}
			blocks = append(blocks, b)
		}
		b := &blocks[i]
		if swapped {
			b.to = append(b.to, one)
		} else {
			b.from = append(b.from, one)
		}
		b.members = append(b.members, rows[one]...)
	}
	for i := range blocks {
		b := &blocks[i]
		slices.Sort(b.from)
		slices.Sort(b.to)
		slices.Sort(b.members)
	}
	return blocks
}

// row writes a block. A placeholder for a single name is that name.
func (f *folder) row(b *block) siteRow {
	if len(b.members) == 1 {
		r := *f.pairs[b.members[0]].row
		return r
	}
	topic := b.topic
	if len(b.from) == 1 && f.thing[b.from[0]] != "" {
		topic = strings.ReplaceAll(topic, "${from}", f.thing[b.from[0]])
	}
	if len(b.to) == 1 && f.thing[b.to[0]] != "" {
		topic = strings.ReplaceAll(topic, "${to}", f.thing[b.to[0]])
	}
	return siteRow{from: f.words(b.from), to: f.words(b.to), topic: topic, rows: len(b.members)}
}
