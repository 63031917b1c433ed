package shadows

import (
	"encoding/binary"
	"strconv"
)

// The times of the leaves are those of the cloud's metadata. They are shown. Which is
// the later decides nothing; that there is another one does, see bases.restored.

// at returns the value with the time of an empty object; other objects have none.
func (n *node) at(time int64) *node {
	if n.time == time || n.kind == object && len(n.members) > 0 {
		return n
	}
	c := *n
	c.time = time
	return &c
}

// stamped returns the value with the times of its metadata, a tree that mirrors
// it. What has no time there, has none.
func (n *node) stamped(meta *node) *node {
	switch {
	case n == nil || n.kind == null:
		return n
	case n.kind != object || len(n.members) == 0:
		return n.at(firstTime(meta))
	}
	c := &node{kind: object, members: make([]member, len(n.members))}
	for i, m := range n.members {
		c.members[i] = member{m.key, m.value.stamped(meta.get(m.key, i))}
	}
	return c
}

// firstTime returns the first timestamp in the metadata of a leaf: that of an
// array has one for each element.
func firstTime(meta *node) int64 {
	if meta == nil {
		return 0
	}
	if t := meta.get("timestamp", 0); t != nil && t.kind == number {
		n, _ := strconv.ParseInt(t.text, 10, 64) // 0 for what is no time
		return n
	}
	for _, item := range meta.items {
		if t := firstTime(item); t != 0 {
			return t
		}
	}
	for _, m := range meta.members {
		if t := firstTime(m.value); t != 0 {
			return t
		}
	}
	return 0
}

// packTimes writes the times of a document, in the order of its text, as runs: how
// many leaves, and the difference to the time before.
func packTimes(d document) []byte {
	var b []byte
	var count uint64
	var time, last int64
	flush := func() {
		if count > 0 {
			b = binary.AppendVarint(binary.AppendUvarint(b, count), time-last)
			count, last = 0, time
		}
	}
	leaf := func(n *node) *node {
		if n.time != time {
			flush()
			time = n.time
		}
		count++
		return n
	}
	d.desired.leaves(leaf)
	d.reported.leaves(leaf)
	flush()
	if last == 0 && len(b) <= 4 {
		return nil // no leaf has a time
	}
	return b
}

// unpackTimes returns the document with the times that packTimes wrote. Where
// they do not fit, leaves have none.
func unpackTimes(d document, b []byte) document {
	var left uint64
	var time int64
	leaf := func(n *node) *node {
		for left == 0 && len(b) > 0 {
			count, k := binary.Uvarint(b)
			diff, l := binary.Varint(b[max(k, 0):])
			if k <= 0 || l <= 0 {
				b, time = nil, 0
				return n
			}
			b, left, time = b[k+l:], count, time+diff
		}
		if left == 0 {
			return n
		}
		left--
		return n.at(time)
	}
	if len(b) == 0 {
		return d
	}
	return document{d.desired.leaves(leaf), d.reported.leaves(leaf)}
}

// leaves returns the value with f of each leaf in its place.
func (n *node) leaves(f func(*node) *node) *node {
	switch {
	case n == nil:
		return nil
	case n.kind != object || len(n.members) == 0:
		return f(n)
	}
	c := &node{kind: object, members: make([]member, len(n.members))}
	for i, m := range n.members {
		c.members[i] = member{m.key, m.value.leaves(f)}
	}
	return c
}
