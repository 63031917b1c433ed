package subscriptions

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
)

// node is one level of a topic filter, beneath the levels before it: an inner
// node with children, or a leaf, where one filter of one row ends. No level
// leads to a root.
type node struct {
	level uint32 // that leads here; siblings stand in rising order
	first uint32 // where its children begin in nodes; of a leaf the row and its ops
	count uint32 // of its children; of a leaf who may receive, and leafBit
}

const (
	leafBit = 1 << 31
	rowBits = 24 // of a leaf's first; the ops stand above
	maxRows = 1 << rowBits
)

func leaf(level uint32, p *pattern) node {
	return node{level, uint32(p.may)<<rowBits | p.row, leafBit | uint32(p.to)}
}

func (n *node) leaf() bool  { return n.count&leafBit != 0 }
func (n *node) row() uint32 { return n.first & (maxRows - 1) }
func (n *node) may() ops    { return ops(n.first >> rowBits) }
func (n *node) to() end     { return end(n.count &^ leafBit) }

// The numbers of levels. Children stand in this order.
const (
	here          uint32 = iota + 1 // no level more: what ends at the parent, which has other children too
	restLevels                      // #
	anyLevel                        // +
	fromName                        // ${from}
	toName                          // ${to}
	shadowMark                      // no topic has it: stands for all shadow topics
	firstLiteral                    // text: its number in Table.words, from here on
	firstTemplate uint32 = 1 << 31  // text with placeholders: Table.templates
)

// maxScan is how many children a lookup tries one after the other. They fill
// two cache lines, which a processor fetches together.
const maxScan = 8

// finish makes the tree and all that needs every row to be known.
func (c *compiler) finish(devices []Device) {
	t := c.t
	if c.own {
		c.shadowPatterns(ownEnd, fromName, allOps)
		t.rows = append(t.rows, row{from: ownEnd, to: shadowService, topic: t.texts.add(""), may: allOps})
	}
	c.classes(devices)
	// A row whose receivers are nobody lets nothing pass.
	c.patterns = slices.DeleteFunc(c.patterns, func(p pattern) bool { return t.nobody(p.to) })
	c.sort()
	c.link(c.trees())
	t.words = newLexicon(c.words)
	t.texts.freeze()
	// Clone gives back the room that append keeps to grow into.
	t.rows, t.nodes, t.lists = slices.Clone(t.rows), slices.Clone(t.nodes), slices.Clone(t.lists)
	t.index()
}

// sort brings patterns of one source together, in the order of their levels.
func (c *compiler) sort() {
	slices.SortFunc(c.patterns, func(a, b pattern) int {
		return cmp.Or(cmp.Compare(a.from, b.from), slices.Compare(c.path[a.at:a.end], c.path[b.at:b.end]))
	})
}

// trees makes the tree of each source and returns where those of sources that
// are no devices begin. A device has a tree though it has no rows.
func (c *compiler) trees() map[end]uint32 {
	t := c.t
	t.nodes = make([]node, 1)
	rest := c.patterns
	tree := func(from end) (root uint32) {
		root = uint32(len(t.nodes))
		t.nodes = append(t.nodes, node{})
		n := prefix(rest, func(p *pattern) bool { return p.from == from })
		c.grow(root, rest[:n], 0)
		rest = rest[n:]
		return root
	}
	for i := range t.devices {
		t.sources[i].root = tree(deviceEnd | end(i))
	}
	others := make(map[end]uint32)
	for len(rest) > 0 {
		from := rest[0].from
		others[from] = tree(from)
	}
	return others
}

// grow makes the node n and all beneath it of patterns that have their first
// levels, depth of them, in common.
func (c *compiler) grow(n uint32, patterns []pattern, depth uint32) {
	t := c.t
	ends := prefix(patterns, func(p *pattern) bool { return p.end-p.at == depth })
	if ends == 1 && len(patterns) == 1 {
		t.nodes[n] = leaf(t.nodes[n].level, &patterns[0])
		return
	}
	// All children first, so that they stand side by side.
	first := uint32(len(t.nodes))
	t.nodes[n].first = first
	if ends > 0 {
		t.nodes = append(t.nodes, node{level: here})
	}
	var spans []int
	for rest := patterns[ends:]; len(rest) > 0; {
		level := c.path[rest[0].at+depth]
		span := prefix(rest, func(p *pattern) bool { return c.path[p.at+depth] == level })
		t.nodes = append(t.nodes, node{level: level})
		spans = append(spans, span)
		rest = rest[span:]
	}
	t.nodes[n].count = uint32(len(t.nodes)) - first
	if ends > 0 {
		c.here(first, patterns[:ends])
		first++
	}
	patterns = patterns[ends:]
	for i, span := range spans {
		c.grow(first+uint32(i), patterns[:span], depth+1)
		patterns = patterns[span:]
	}
}

// here makes the node n of patterns that end there: a leaf, or the parent of
// leaves.
func (c *compiler) here(n uint32, patterns []pattern) {
	t := c.t
	if len(patterns) == 1 {
		t.nodes[n] = leaf(here, &patterns[0])
		return
	}
	t.nodes[n].first, t.nodes[n].count = uint32(len(t.nodes)), uint32(len(patterns))
	for i := range patterns {
		t.nodes = append(t.nodes, leaf(here, &patterns[i]))
	}
}

// prefix counts the patterns at the beginning of which is holds.
func prefix(patterns []pattern, is func(*pattern) bool) int {
	for i := range patterns {
		if !is(&patterns[i]) {
			return i
		}
	}
	return len(patterns)
}

// classes gives each device its class.
func (c *compiler) classes(devices []Device) {
	t := c.t
	t.sources = make([]source, len(devices))
	t.worn = make([]bool, c.labels.len())
	numbers := make(map[string]uint32)
	for i := range devices {
		k := class{own: t.devices[i].own == ownAllowed}
		for _, l := range devices[i].Labels {
			if n, ok := c.labels.find(l); ok && !slices.Contains(k.labels, n) {
				k.labels = append(k.labels, n)
				t.worn[n] = true
			}
		}
		slices.Sort(k.labels)
		key := k.key()
		n, ok := numbers[key]
		if !ok {
			n = uint32(len(t.classes))
			numbers[key] = n
			t.classes = append(t.classes, k)
		}
		t.sources[i].class = n
	}
}

// key tells classes apart.
func (k *class) key() string { return fmt.Sprint(k.own, k.labels) }

// nobody tells whether e covers no endpoint at all.
func (t *Table) nobody(e end) bool {
	switch e & sortMask {
	case allEnd:
		return len(t.devices) == 0
	case labelEnd:
		return !t.worn[e&numberMask]
	case listEnd:
		return !slices.ContainsFunc(t.lists[e&numberMask], func(m end) bool { return !t.nobody(m) })
	}
	return false
}

// link gives the sources that are no devices their trees.
func (c *compiler) link(roots map[end]uint32) {
	t := c.t
	for e, s := range t.services {
		s.root = roots[s.end]
		t.services[e] = s
	}
	for i := range t.classes {
		k := &t.classes[i]
		ends := []end{allEnd}
		if k.own {
			ends = append(ends, ownEnd)
		}
		for _, l := range k.labels {
			ends = append(ends, labelEnd|end(l))
		}
		for _, e := range ends {
			if r := roots[e]; r != 0 {
				k.roots = append(k.roots, r)
			}
		}
	}
}

// wide tells whether the node has its children in the hash table as well.
func (n *node) wide() bool { return n.count > maxScan && !n.leaf() && n.level != here }

// index makes the hash table of the children of wide nodes.
func (t *Table) index() {
	count := 0
	for i := range t.nodes {
		if n := &t.nodes[i]; n.wide() {
			count += int(n.count)
		}
	}
	size := bits.Len(uint(count + count/2))
	t.wide, t.wideShift = make([]uint32, 1<<size), uint8(64-size)
	for i := range t.nodes {
		n := &t.nodes[i]
		if !n.wide() {
			continue
		}
		for k := n.first; k < n.first+n.count; k++ {
			at := t.place(n.first, t.nodes[k].level)
			for t.wide[at] != 0 {
				at = (at + 1) & uint64(len(t.wide)-1)
			}
			t.wide[at] = k
		}
	}
}

// place is where the search for a child of a wide node begins. The place of
// the first child stands for the parent.
func (t *Table) place(first, level uint32) uint64 {
	return (uint64(first)<<32 | uint64(level)) * 0x9E3779B97F4A7C15 >> t.wideShift
}

// wideChild finds a child of a wide node.
func (t *Table) wideChild(n *node, level uint32) *node {
	for at := t.place(n.first, level); t.wide[at] != 0; at = (at + 1) & uint64(len(t.wide)-1) {
		kid := t.wide[at]
		if t.nodes[kid].level == level && kid-n.first < n.count {
			return &t.nodes[kid]
		}
	}
	return nil
}
