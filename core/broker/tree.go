package broker

import "strings"

// tree keeps values under topics or topic filters, level by level. It is not
// safe for concurrent use.
type tree[V any] struct {
	root  node[V]
	count int // values
	bytes int // that the tree takes, near enough for a bound, without what its values hold
}

// What parts of a tree take in memory, in bytes, as measured: most levels have one child,
// and most ends one value, in a map of its own each.
const (
	levelCost = 272 // and the text of the level
	endCost   = 400
)

type node[V any] struct {
	children map[string]*node[V]
	values   map[string]V // by owner; the owner of a retained message is ""
}

// put stores v for an owner under path and tells whether there was one.
func (t *tree[V]) put(path, owner string, v V) (existed bool) {
	n := &t.root
	for rest, more := path, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		child := n.children[level]
		if child == nil {
			child = &node[V]{}
			if n.children == nil {
				n.children = map[string]*node[V]{}
			}
			n.children[strings.Clone(level)] = child
			t.bytes += levelCost + len(level)
		}
		n = child
	}
	if n.values == nil {
		n.values = make(map[string]V, 1)
		t.bytes += endCost
	}
	_, existed = n.values[owner]
	n.values[owner] = v
	if !existed {
		t.count++
	}
	return existed
}

// get returns what an owner has under path.
func (t *tree[V]) get(path, owner string) (v V, ok bool) {
	n := &t.root
	for rest, more := path, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		if n = n.children[level]; n == nil {
			return v, false
		}
	}
	v, ok = n.values[owner]
	return v, ok
}

// remove takes out what an owner has under path, and the branches that it
// leaves bare.
func (t *tree[V]) remove(path, owner string) (existed bool) {
	existed, freed := t.root.remove(path, true, owner)
	if existed {
		t.count--
		t.bytes -= freed
	}
	return existed
}

func (n *node[V]) remove(path string, more bool, owner string) (existed bool, freed int) {
	if !more {
		_, existed = n.values[owner]
		delete(n.values, owner)
		if existed && len(n.values) == 0 {
			n.values, freed = nil, endCost
		}
		return existed, freed
	}
	level, rest, more := strings.Cut(path, "/")
	child := n.children[level]
	if child == nil {
		return false, 0
	}
	existed, freed = child.remove(rest, more, owner)
	if len(child.values) == 0 && len(child.children) == 0 {
		if delete(n.children, level); len(n.children) == 0 {
			n.children = nil
		}
		freed += levelCost + len(level)
	}
	return existed, freed
}

// match yields what lies under every filter that matches the topic. A wildcard
// at the first level matches no topic that begins with $ [MQTT-4.7.2-1].
func (t *tree[V]) match(topic string, yield func(owner string, v V)) {
	t.root.match(topic, true, !strings.HasPrefix(topic, "$"), yield)
}

func (n *node[V]) match(topic string, more, wild bool, yield func(string, V)) {
	if wild {
		n.children["#"].all(yield) // `a/#` matches `a` too
	}
	if !more {
		n.all(yield)
		return
	}
	level, rest, more := strings.Cut(topic, "/")
	if child := n.children[level]; child != nil {
		child.match(rest, more, true, yield)
	}
	if child := n.children["+"]; wild && child != nil {
		child.match(rest, more, true, yield)
	}
}

// matching yields what lies under every topic that the filter matches.
func (t *tree[V]) matching(filter string, yield func(v V)) {
	t.root.matching(filter, true, true, func(_ string, v V) { yield(v) })
}

func (n *node[V]) matching(filter string, more, first bool, yield func(string, V)) {
	if !more {
		n.all(yield)
		return
	}
	level, rest, more := strings.Cut(filter, "/")
	switch level {
	case "#":
		if !first {
			n.all(yield)
		}
		n.below(first, yield)
	case "+":
		for name, child := range n.children {
			if !(first && strings.HasPrefix(name, "$")) {
				child.matching(rest, more, false, yield)
			}
		}
	default:
		child := n.children[level]
		if child == nil {
			return
		}
		child.matching(rest, more, false, yield)
	}
}

func (n *node[V]) below(first bool, yield func(string, V)) {
	for name, child := range n.children {
		if first && strings.HasPrefix(name, "$") {
			continue
		}
		child.all(yield)
		child.below(false, yield)
	}
}

func (n *node[V]) all(yield func(string, V)) {
	if n == nil {
		return
	}
	for owner, v := range n.values {
		yield(owner, v)
	}
}
