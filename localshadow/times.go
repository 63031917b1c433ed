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
	if t.left == 0 && !t.run() {
		return 0
	}
	t.left--
	return t.time
}

// run begins the next run.
func (t *times) run() bool {
	count, n := uvarint(t.data)
	diff, m := uvarint(t.data[n:])
	if n == 0 || m == 0 || count == 0 {
		t.bad = true
		return false
	}
	t.data, t.left = t.data[n+m:], count
	t.time += int64(diff>>1) ^ -int64(diff&1)
	return true
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
	for i := t.live(t.nodes[id].first); i != 0; i = t.live(t.nodes[i].next) {
		if n := &t.nodes[i]; n.kind != object {
			r.leaf(n.time)
		} else {
			t.leaves(r, i)
		}
	}
}

// appendTimes writes the metadata of a value: its mirror, with a time in place
// of each leaf and one for each element of an array (AWS: device-shadow-document,
// "Document properties").
func (t *tree) appendTimes(b []byte, id int32) []byte {
	n := &t.nodes[id]
	switch n.kind {
	case object:
		b = append(b, '{')
		for i := t.live(n.first); i != 0; i = t.live(t.nodes[i].next) {
			b = append(append(b, t.key(i)...), ':')
			b = append(t.appendTimes(b, i), ',')
		}
		return end(b, '}')
	case array:
		// What is in it was read with its time.
		b = append(b, '[')
		for i := n.first; i != 0; i = t.nodes[i].next {
			b = append(t.appendTimes(b, i), ',')
		}
		return end(b, ']')
	}
	s := t.stamp(n.time)
	return append(b, s.text[:s.n]...)
}

// stamp is the metadata of a leaf.
type stamp struct {
	time int64
	n    int // bytes of text
	text [len(`{"timestamp":-9223372036854775808}`)]byte
}

// stamp returns that of a time, until the next call: most leaves have one of two.
func (t *tree) stamp(time int64) *stamp {
	s := &t.stamps[0]
	if s.time == time && s.n > 0 {
		return s
	}
	*s, t.stamps[1] = t.stamps[1], *s
	if s.time != time || s.n == 0 {
		b := append(strconv.AppendInt(append(s.text[:0], `{"timestamp":`...), time, 10), '}')
		s.time, s.n = time, len(b)
	}
	return s
}
