package shadows

import "slices"

// conflict is a leaf, or a whole document, that both sides have changed.
type conflict struct {
	section string   // desired or reported; "" for a whole document
	path    []string // of the leaf in its section
	base    *node    // what both had; nil: neither had the leaf
	local   *node    // nil: it was removed there
	cloud   *node
	winner  winner
}

type winner uint8

const (
	localWins winner = iota
	cloudWins
)

// bases are what a leaf may have been when both sides had it last.
type bases struct {
	// last is what both had.
	last *node
	// sent are values that left for the cloud and may have arrived. A cloud that
	// has one of them was changed by nobody else.
	sent []*node
}

func (b bases) get(key string, hint int) bases {
	c := bases{last: b.last.get(key, hint)}
	if len(b.sent) > 0 {
		c.sent = make([]*node, len(b.sent))
		for i, s := range b.sent {
			c.sent[i] = s.get(key, hint)
		}
	}
	return c
}

// has tells whether the value of the cloud is one that it got from here or that
// both had.
func (b bases) has(cloud *node) bool {
	if equal(cloud, b.last) {
		return !b.restored(cloud)
	}
	return slices.ContainsFunc(b.sent, func(s *node) bool { return equal(cloud, s) })
}

// restored tells whether somebody has put a leaf back to what both had, after another
// value had arrived from here: the cloud has set it anew. The time of the leaf, which
// is compared with no clock but only with the one it had, tells that.
func (b bases) restored(cloud *node) bool {
	if !slices.ContainsFunc(b.sent, func(s *node) bool { return !equal(s, b.last) }) {
		return false
	}
	if cloud.isObject() && len(cloud.members) > 0 {
		for i, m := range cloud.members {
			if b.get(m.key, i).restored(m.value) {
				return true
			}
		}
		return false
	}
	anew := cloud != nil && cloud.time != 0 && b.last.time != 0 && cloud.time != b.last.time
	return anew && !slices.ContainsFunc(b.sent, func(s *node) bool { return equal(s, cloud) && s.time == cloud.time })
}

// merger merges one section by the rules of the package comment.
type merger struct {
	direction Direction
	section   string
	path      []string
	conflicts []conflict
}

// mergeDocuments merges what the two sides have. sent may be empty.
func mergeDocuments(dir Direction, last document, sent []document, l, c document) (document, []conflict) {
	d, r := bases{last: last.desired}, bases{last: last.reported}
	for _, s := range sent {
		d.sent, r.sent = append(d.sent, s.desired), append(r.sent, s.reported)
	}
	var out document
	m := merger{direction: dir, section: desired}
	out.desired = m.root(d, l.desired, c.desired)
	m.section = reported
	out.reported = m.root(r, l.reported, c.reported)
	return out, m.conflicts
}

// root merges a section, which is an object even when it is not there.
func (m *merger) root(b bases, l, c *node) *node {
	is := func(n *node) *node {
		if n == nil {
			return emptyObject
		}
		return n
	}
	b.last = is(b.last)
	for i := range b.sent {
		b.sent[i] = is(b.sent[i])
	}
	return section(m.value(b, is(l), is(c)))
}

// value merges one value; each of the three may be absent.
func (m *merger) value(b bases, l, c *node) *node {
	switch {
	case equal(l, c):
		return l
	// The cloud before the gateway: when the gateway has gone back to what both
	// had while its change was under way, that is a change too.
	// What is reported here stays here when nothing goes up: the device would report it
	// again at once.
	case (m.direction != Down || m.section == reported) && b.has(c):
		return l
	case m.direction != Up && equal(l, b.last):
		return c
	case l.isObject() && c.isObject():
		return m.members(b, l, c)
	// Removed as a whole here, changed in part there: the parts decide, if there are
	// any left.
	case b.last.isObject() && (l == nil && c.isObject() || c == nil && l.isObject()) && parts(l, c) > 0:
		return m.members(b, l, c)
	}
	return m.clash(b.last, l, c)
}

// members merges two objects, one of which may have been removed: it is not there
// again unless it has members.
func (m *merger) members(b bases, l, c *node) *node {
	out := &node{kind: object}
	same := l != nil
	put := func(key string, i int, lv, cv *node) {
		m.path = append(m.path, key)
		v := m.value(b.get(key, i), lv, cv)
		m.path = m.path[:len(m.path)-1]
		same = same && v == lv
		if v != nil {
			out.members = append(out.members, member{key, v})
		}
	}
	if l != nil {
		for i, x := range l.members {
			put(x.key, i, x.value, c.get(x.key, i))
		}
	}
	if c != nil {
		for i, x := range c.members {
			if l.get(x.key, i) == nil {
				put(x.key, i, nil, x.value)
			}
		}
	}
	switch {
	case same:
		return l
	case len(out.members) == 0 && (l == nil || c == nil):
		return nil
	}
	return out
}

// parts is how many members the two have.
func parts(l, c *node) (n int) {
	for _, x := range []*node{l, c} {
		if x != nil {
			n += len(x.members)
		}
	}
	return n
}

// clash notes a conflict and returns the value of the winner.
func (m *merger) clash(base, l, c *node) *node {
	w := localWins
	if m.direction == Down || m.direction == Both && m.section == desired {
		w = cloudWins
	}
	m.conflicts = append(m.conflicts, conflict{m.section, slices.Clone(m.path), base, l, c, w})
	if w == cloudWins {
		return c
	}
	return l
}
