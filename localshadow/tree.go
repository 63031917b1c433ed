package localshadow

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

// node is one value of a tree. Its children are a list in the order of the text.
type node struct {
	key   string // JSON text of the member's name in canonical form; "" in an array
	text  string // JSON text of a value that is no array and no object
	time  int64  // when the value was set, in Unix seconds; not of an object
	first int32  // child; 0 when there is none
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
	// index finds the members of large objects. Linear search is always right
	// too, but a document may have a thousand members and a request more.
	index map[member]int32
	// stamp is the metadata of a leaf with the time stamped: most have the same.
	stamp   []byte
	stamped int64
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

// kept is how many nodes (64 bytes each) a tree keeps for the next operation; a
// legal document has at most half of them.
const kept = 1 << 14

func (t *tree) reset() {
	if cap(t.nodes) > kept {
		*t = tree{}
	}
	t.nodes = append(t.nodes[:0], node{})
	if len(t.index) > 0 {
		clear(t.index)
	}
}

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
		t.index[member{p.list, t.nodes[child].key}] = child
		return
	}
	if t.index == nil {
		t.index = make(map[member]int32)
	}
	for i := p.first; i != 0; i = t.nodes[i].next {
		if n := &t.nodes[i]; n.kind != gone {
			t.index[member{p.list, n.key}] = i
		}
	}
}

// find returns the member of an object with that key, or 0.
func (t *tree) find(parent int32, key string) int32 {
	p := &t.nodes[parent]
	if p.size > scanned {
		i := t.index[member{p.list, key}]
		if t.nodes[i].kind == gone {
			return 0
		}
		return i
	}
	for i := p.first; i != 0; i = t.nodes[i].next {
		if n := &t.nodes[i]; n.key == key && n.kind != gone {
			return i
		}
	}
	return 0
}

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

// equal compares two values: objects in any order, numbers by value.
func (t *tree) equal(a, b int32) bool {
	x, y := &t.nodes[a], &t.nodes[b]
	if x.kind != y.kind || x.size != y.size {
		return false
	}
	switch x.kind {
	case number:
		return x.text == y.text || sameNumber(x.text, y.text)
	case array:
		for i, j := x.first, y.first; i != 0; i, j = t.nodes[i].next, t.nodes[j].next {
			if !t.equal(i, j) {
				return false
			}
		}
		return true
	case object:
		for i := t.live(x.first); i != 0; i = t.live(t.nodes[i].next) {
			if j := t.find(b, t.nodes[i].key); j == 0 || !t.equal(i, j) {
				return false
			}
		}
		return true
	}
	return x.text == y.text
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
func (t *tree) append(b []byte, id int32) []byte {
	n := &t.nodes[id]
	switch n.kind {
	case object:
		b = append(b, '{')
		for i := t.live(n.first); i != 0; i = t.live(t.nodes[i].next) {
			b = append(append(b, t.nodes[i].key...), ':')
			b = append(t.append(b, i), ',')
		}
		return end(b, '}')
	case array:
		b = append(b, '[')
		for i := n.first; i != 0; i = t.nodes[i].next {
			b = append(t.append(b, i), ',')
		}
		return end(b, ']')
	}
	return append(b, n.text...)
}

// end closes a list that has a comma behind each element.
func end(b []byte, shut byte) []byte {
	if b[len(b)-1] == ',' {
		b[len(b)-1] = shut
		return b
	}
	return append(b, shut)
}
