package localshadow

import (
	"encoding/binary"
	"strconv"
)

// The times of a stored document are those of its leaves (values that are no
// object, an array being one), in the order of the text, desired before
// reported. Runs of the same time are kept as a count and the difference to the
// run before: a few bytes where the metadata of AWS takes twice the document.
type times struct {
	data string
	left uint64 // leaves of this run
	time int64
	bad  bool // there were more leaves than times
}

// next returns the time of the next leaf.
func (t *times) next() int64 {
	if t.left == 0 {
		count, n := uvarint(t.data)
		diff, m := uvarint(t.data[n:])
		if n == 0 || m == 0 || count == 0 {
			t.bad = true
			return 0
		}
		t.data, t.left = t.data[n+m:], count
		t.time += int64(diff>>1) ^ -int64(diff&1)
	}
	t.left--
	return t.time
}

// done tells whether there was a time for each leaf and none is left.
func (t *times) done() bool { return !t.bad && t.left == 0 && t.data == "" }

// uvarint is binary.Uvarint of a string; n is 0 when there is none.
func uvarint(s string) (v uint64, n int) {
	for shift := uint(0); n < len(s) && n < binary.MaxVarintLen64; shift += 7 {
		c := s[n]
		n++
		if v |= uint64(c&0x7f) << shift; c < 0x80 {
			return v, n
		}
	}
	return 0, 0
}

// runs writes what times reads.
type runs struct {
	b          []byte
	count      uint64
	time, last int64
}

func (r *runs) leaf(time int64) {
	if time != r.time || r.count == 0 {
		r.flush()
		r.time = time
	}
	r.count++
}

func (r *runs) flush() {
	if r.count > 0 {
		r.b = binary.AppendUvarint(r.b, r.count)
		r.b = binary.AppendVarint(r.b, r.time-r.last)
		r.last, r.count = r.time, 0
	}
}

// leaves gives r the times of a section.
func (t *tree) leaves(r *runs, id int32) {
	n := &t.nodes[id]
	if n.kind != object {
		r.leaf(n.time)
		return
	}
	for i := t.live(n.first); i != 0; i = t.live(t.nodes[i].next) {
		t.leaves(r, i)
	}
}

// appendTimes writes the metadata of a value: its mirror, with a time in place
// of each leaf and one for each element of an array (AWS: device-shadow-document,
// "Document properties").
func (t *tree) appendTimes(b []byte, id int32) []byte {
	n := &t.nodes[id]
	if n.kind != object {
		return t.appendTime(b, id, n.time)
	}
	b = append(b, '{')
	for i := t.live(n.first); i != 0; i = t.live(t.nodes[i].next) {
		b = append(append(b, t.nodes[i].key...), ':')
		b = append(t.appendTimes(b, i), ',')
	}
	return end(b, '}')
}

// appendTime writes the metadata of a value that was set as a whole.
func (t *tree) appendTime(b []byte, id int32, time int64) []byte {
	n := &t.nodes[id]
	if n.kind != object && n.kind != array {
		if time != t.stamped || len(t.stamp) == 0 {
			t.stamp = append(t.stamp[:0], `{"timestamp":`...)
			t.stamp = append(strconv.AppendInt(t.stamp, time, 10), '}')
			t.stamped = time
		}
		return append(b, t.stamp...)
	}
	shut := byte(']')
	if n.kind == object {
		b, shut = append(b, '{'), '}'
	} else {
		b = append(b, '[')
	}
	for i := n.first; i != 0; i = t.nodes[i].next {
		if n.kind == object {
			b = append(append(b, t.nodes[i].key...), ':')
		}
		b = append(t.appendTime(b, i, time), ',')
	}
	return end(b, shut)
}
