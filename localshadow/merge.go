package localshadow

import "bytes"

// merge lays a patch over an object (AWS: device-shadow-data-flow, "Updates
// affect only the fields specified in the request"): objects merge, every other
// value replaces what was there, null removes. The patch is used up. What is changed
// is written into the log; the trail leads to dst.
func (t *tree) merge(dst, patch int32) {
	if t.nodes[patch].first != 0 {
		t.touch(dst)
	}
	for p := t.nodes[patch].first; p != 0; {
		next := t.nodes[p].next
		k := t.nodes[p].kind
		d := t.find(dst, t.key(p))
		here := len(t.trail)
		t.step(t.key(p))
		switch {
		case k == null:
			if d != 0 {
				t.note(d, 0)
				t.remove(dst, d)
			}
		case k == object && d != 0 && t.nodes[d].kind == object:
			t.merge(d, p)
		case d != 0:
			t.prune(p)
			t.note(d, p)
			t.replace(d, p)
		case t.prune(p):
			t.note(0, p)
			t.add(dst, p)
		}
		t.trail = t.trail[:here]
		p = next
	}
}

// prune takes the nulls out of a value that is stored as a whole, and tells
// whether anything is left: {} is something, an object of which only nulls were
// sent is not.
func (t *tree) prune(id int32) bool {
	if t.nodes[id].kind != object {
		return true
	}
	nulls := false
	for i := t.nodes[id].first; i != 0; i = t.nodes[i].next {
		switch {
		case t.nodes[i].kind == null || !t.prune(i):
			t.remove(id, i)
			nulls = true
			t.touch(id)
		case t.nodes[i].text.to == 0:
			t.touch(id)
		}
	}
	return t.nodes[id].size > 0 || !nulls
}

// replace puts the value of p in the place of d's.
func (t *tree) replace(d, p int32) {
	x, y := &t.nodes[d], &t.nodes[p]
	x.kind, x.text, x.time = y.kind, y.text, y.time
	x.first, x.last, x.size, x.list = y.first, y.last, y.size, y.list
}

// diff says whether a value of desired is in the delta.
type diff uint8

const (
	same  diff = iota
	part       // an object, some of whose members are
	whole      // as it stands
)

// compare marks what of the object d differs from the object r, or is missing
// there, and tells whether anything does (AWS: device-shadow-document, "delta").
// What only r has does not count. r is 0 when there is no such object.
func (t *tree) compare(d, r int32) (differs bool) {
	at := int32(0) // the member of r that comes next, if both have the same order
	if r != 0 {
		at = t.live(t.nodes[r].first)
	}
	for i := t.live(t.nodes[d].first); i != 0; i = t.live(t.nodes[i].next) {
		n, j := &t.nodes[i], at
		if r != 0 && (j == 0 || !bytes.Equal(t.key(i), t.key(j))) {
			j = t.find(r, t.key(i))
		}
		switch {
		case j == 0:
			n.diff = whole
		case t.equalText(i, j):
			n.diff = same
		case n.kind == object && t.nodes[j].kind == object:
			n.diff = same
			if t.compare(i, j) {
				n.diff = part
			}
		case t.equal(i, j):
			n.diff = same
		default:
			n.diff = whole
		}
		if j != 0 {
			at = t.live(t.nodes[j].next)
		}
		differs = differs || n.diff != same
	}
	return differs
}

// appendDelta writes what compare has marked in an object: the values, or their
// metadata.
func (t *tree) appendDelta(b []byte, id int32, metadata bool) []byte {
	b = append(b, '{')
	for i := t.live(t.nodes[id].first); i != 0; i = t.live(t.nodes[i].next) {
		n := &t.nodes[i]
		if n.diff == same {
			continue
		}
		b = append(append(b, t.key(i)...), ':')
		switch {
		case n.diff == part:
			b = t.appendDelta(b, i, metadata)
		case metadata:
			b = t.appendTimes(b, i)
		default:
			b = t.append(b, i)
		}
		b = append(b, ',')
	}
	return end(b, '}')
}
