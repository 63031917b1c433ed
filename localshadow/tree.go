package localshadow

import "bytes"

// kind is the type of a JSON value; gone is a member that was removed.
type kind uint8

const (
	gone kind = iota
	null
	boolean
	number
	text
	array
	object
)

// spot is a part of one of the buffers of a tree. None is empty.
type spot struct{ from, to int32 }

// node is one value of a tree. Its children are a list in the order of the text. It
// holds no pointer, so that the garbage collector has nothing to do with nodes.
type node struct {
	key spot // of the member's name in src: JSON text in canonical form; none in an array
	// text is the compact JSON text of the value in src; none of an object or array
	// that has changed since it was read, or was not written so.
	text  spot
	time  int64 // when the value was set, in Unix seconds; not of an object
	first int32 // child; 0 when there is none
	last  int32
	next  int32 // sibling
	size  int32 // children that are not gone
	list  int32 // names the list of children in the index
	kind  kind
	diff  diff
}

// tree holds the values of one operation. Nodes are named by their place in the
// slice, which is used again for the next operation: so a merge costs hardly an
// allocation. Place 0 is no node.
type tree struct {
	nodes []node
	src   []byte // the texts that were read, and that have come of them
	base  int32  // in src, of the text that was read last
	// index finds the members of large objects. Linear search is always right
	// too, but a document may have a thousand members and a request more.
	index map[member]int32
	// stamps are the metadata of a leaf with the times that came last: most have
	// one of two.
	stamps [2]stamp
	// log is what a merge has changed, and trail where it is, see changes.go.
	log, trail []byte
}

// member names a member of a large object.
type member struct {
	list int32
	key  string
}

// scanned is the largest object whose members are found by looking at each.
const scanned = 32

// kept is how many nodes (48 bytes each) a tree keeps for the next operation; a
// legal document has at most half of them.
const kept = 1 << 14

func (t *tree) reset() {
	if cap(t.nodes) > kept || cap(t.src) > keptBytes {
		*t = tree{}
	}
	t.nodes, t.src = append(t.nodes[:0], node{}), t.src[:0]
	if len(t.index) > 0 {
		clear(t.index)
	}
}

// at is the text at a spot.
func (t *tree) at(s spot) []byte { return t.src[s.from:s.to:s.to] }

// store keeps a text.
func (t *tree) store(s string) spot {
	from := int32(len(t.src))
	t.src = append(t.src, s...)
	return spot{from, int32(len(t.src))}
}

// key is the name of a member.
func (t *tree) key(id int32) []byte { return t.at(t.nodes[id].key) }

func (t *tree) new(n node) int32 {
	n.list = int32(len(t.nodes))
	t.nodes = append(t.nodes, n)
	return n.list
}

// add makes child the last child of parent.
func (t *tree) add(parent, child int32) {
	p := &t.nodes[parent]
	t.nodes[child].next = 0
	if p.first == 0 {
		p.first = child
	} else {
		t.nodes[p.last].next = child
	}
	p.last = child
	p.size++
	if p.kind == object && p.size > scanned {
		t.enter(p, child)
	}
}

// enter puts the child that was added to a large object into the index, and all
// its siblings when it is the one that makes the object large.
func (t *tree) enter(p *node, child int32) {
	if p.size > scanned+1 {
		t.index[member{p.list, string(t.key(child))}] = child
		return
	}
	if t.index == nil {
		t.index = make(map[member]int32)
	}
	for i := p.first; i != 0; i = t.nodes[i].next {
		if n := &t.nodes[i]; n.kind != gone {
			t.index[member{p.list, string(t.key(i))}] = i
		}
	}
}

// find returns the member of an object with that key, or 0.
func (t *tree) find(parent int32, key []byte) int32 {
	p := &t.nodes[parent]
	if p.size > scanned {
		i := t.index[member{p.list, string(key)}]
		if t.nodes[i].kind == gone {
			return 0
		}
		return i
	}
	for i := p.first; i != 0; i = t.nodes[i].next {
		if n := &t.nodes[i]; string(t.src[n.key.from:n.key.to]) == string(key) && n.kind != gone {
			return i
		}
	}
	return 0
}

// touch says that a value is about to change: its text does not hold any longer.
func (t *tree) touch(id int32) { t.nodes[id].text = spot{} }

// remove takes a member out of its parent.
func (t *tree) remove(parent, child int32) {
	t.nodes[child].kind = gone
	t.nodes[parent].size--
}

// live returns the first of i and its later siblings that is not gone, or 0.
func (t *tree) live(i int32) int32 {
	for i != 0 && t.nodes[i].kind == gone {
		i = t.nodes[i].next
	}
	return i
}

// equalText tells whether two values are written in the same way, if that is known: most
// that are equal are.
func (t *tree) equalText(a, b int32) bool {
	x := t.nodes[a].text
	return x.to > 0 && bytes.Equal(t.at(x), t.at(t.nodes[b].text))
}

// equal compares two values: objects in any order, numbers by value.
func (t *tree) equal(a, b int32) bool {
	x, y := &t.nodes[a], &t.nodes[b]
	if x.kind != y.kind || x.size != y.size {
		return false
	}
	if t.equalText(a, b) {
		return true
	}
	switch x.kind {
	case number:
		return sameNumber(string(t.at(x.text)), string(t.at(y.text)))
	case array:
		for i, j := x.first, y.first; i != 0; i, j = t.nodes[i].next, t.nodes[j].next {
			if !t.equal(i, j) {
				return false
			}
		}
		return true
	case object:
		for i := t.live(x.first); i != 0; i = t.live(t.nodes[i].next) {
			if j := t.find(b, t.key(i)); j == 0 || !t.equal(i, j) {
				return false
			}
		}
		return true
	}
	return false
}

// holdsNull tells whether an array, or an array in a value, has a null element.
func (t *tree) holdsNull(id int32) bool {
	inArray := t.nodes[id].kind == array
	for i := t.nodes[id].first; i != 0; i = t.nodes[i].next {
		if n := &t.nodes[i]; inArray && n.kind == null || n.first != 0 && t.holdsNull(i) {
			return true
		}
	}
	return false
}

// append writes a value as compact JSON.
func (t *tree) append(b []byte, id int32) []byte { return append(b, t.at(t.settle(id))...) }

// settle returns where the text of a value is. One that has changed is written down
// again, behind all other texts.
func (t *tree) settle(id int32) spot {
	n := &t.nodes[id]
	if n.text.to > 0 {
		return n.text
	}
	from := int32(len(t.src))
	shut := byte(']')
	if n.kind == object {
		t.src, shut = append(t.src, '{'), '}'
	} else {
		t.src = append(t.src, '[')
	}
	for i := t.live(n.first); i != 0; i = t.live(t.nodes[i].next) {
		if n.kind == object {
			t.src = append(append(t.src, t.key(i)...), ':')
		}
		if s := t.nodes[i].text; s.to > 0 {
			t.src = append(t.src, t.at(s)...)
		} else {
			t.settle(i)
		}
		t.src = append(t.src, ',')
	}
	t.src = end(t.src, shut)
	n.text = spot{from, int32(len(t.src))}
	return n.text
}

// end closes a list that has a comma behind each element.
func end(b []byte, shut byte) []byte {
	if b[len(b)-1] == ',' {
		b[len(b)-1] = shut
		return b
	}
	return append(b, shut)
}
