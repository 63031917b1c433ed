package shadows

import (
	"fmt"

	"greengate/localshadow"
)

// The sections of a document.
const (
	desired  = "desired"
	reported = "reported"
)

// document is the state of a shadow. A section that is empty is none (AWS:
// device-shadow-document, "Empty sections"), and is nil here.
type document struct{ desired, reported *node }

func (d document) equal(e document) bool {
	return equal(d.desired, e.desired) && equal(d.reported, e.reported)
}

// section makes what is no object, and an empty one, a section that is not there.
func section(n *node) *node {
	if !n.isObject() || len(n.members) == 0 {
		return nil
	}
	return n
}

// newDocument takes the sections out of a state.
func newDocument(state *node) document {
	return document{section(state.get(desired, 0)), section(state.get(reported, 1))}
}

// parseDocument reads sections as they are stored: "" is one that is not there.
func parseDocument(desired, reported string) (d document, err error) {
	read := func(s string) (n *node, err error) {
		if s == "" {
			return nil, nil
		}
		if n, err = parse(s); err == nil && !n.isObject() {
			err = errJSON
		}
		return section(n), err
	}
	if d.desired, err = read(desired); err == nil {
		d.reported, err = read(reported)
	}
	if err != nil {
		return document{}, fmt.Errorf("read a stored document: %w", err)
	}
	return d, nil
}

// state returns the document as the value of `state`.
func (d document) state() *node {
	n := &node{kind: object}
	if d.desired != nil {
		n.members = append(n.members, member{desired, d.desired})
	}
	if d.reported != nil {
		n.members = append(n.members, member{reported, d.reported})
	}
	return n
}

// local is a shadow of this gateway.
type local struct {
	exists  bool
	deleted bool // the deletion was seen: it did not just get lost
	damaged bool // it cannot be read
	version int64
	document
}

func newLocal(d *localshadow.Document) (l local, err error) {
	l = local{exists: d.Exists(), deleted: d.Deleted, version: d.Version}
	if l.exists {
		l.document, err = parseDocument(d.Desired, d.Reported)
	}
	return l, err
}

// mark names what is here: its version, of a deletion with a minus before it, since
// that keeps the version that it deleted.
func (l *local) mark() int64 {
	if l.exists {
		return l.version
	}
	return -l.version
}

// difference returns the value of `state` in a request that makes to out of from,
// or nil when they are equal. Nulls are explicit, {} is a value, arrays are whole.
func difference(from, to document) *node {
	n := &node{kind: object}
	put := func(key string, from, to *node) {
		if p := patch(from, to); p != nil {
			n.members = append(n.members, member{key, p})
		}
	}
	put(desired, from.desired, to.desired)
	put(reported, from.reported, to.reported)
	if len(n.members) == 0 {
		return nil
	}
	return n
}

// patch returns what makes to out of from, or nil when they are equal.
func patch(from, to *node) *node {
	switch {
	case equal(from, to):
		return nil
	case to == nil:
		return nullNode
	case !from.isObject() || !to.isObject():
		return to
	}
	n := &node{kind: object}
	for i, m := range to.members {
		if p := patch(from.get(m.key, i), m.value); p != nil {
			n.members = append(n.members, member{m.key, p})
		}
	}
	for i, m := range from.members {
		if to.get(m.key, i) == nil {
			n.members = append(n.members, member{m.key, nullNode})
		}
	}
	return n
}

// patched lays the state of a request over a document. It reports false when the
// documentation does not say what comes of it, so that only the cloud knows.
func patched(d document, state *node) (document, bool) {
	if state == nil || state.kind == null {
		return document{}, true
	}
	certain := true
	lay := func(old *node, key string) *node {
		p := state.get(key, 0)
		switch {
		case p == nil:
			return old
		case p.kind == null:
			return nil
		case old == nil:
			old = emptyObject
		}
		n, ok := overlay(old, p)
		certain = certain && ok
		return section(n)
	}
	return document{lay(d.desired, desired), lay(d.reported, reported)}, certain
}

// overlay merges a patch into an object (AWS: device-shadow-document, "Updates").
func overlay(old, patch *node) (n *node, certain bool) {
	certain = true
	changes := make(map[string]*node, len(patch.members))
	for i, m := range patch.members {
		value := m.value
		if value.isObject() {
			target := old.get(m.key, i)
			fresh := !target.isObject()
			if fresh {
				target = emptyObject
			}
			var ok bool
			value, ok = overlay(target, value)
			value = value.at(m.value.time)
			// Whether an object of nothing but nulls makes an object is not said.
			certain = certain && ok && !(fresh && len(value.members) == 0 && len(m.value.members) > 0)
		}
		changes[m.key] = value
	}
	n = &node{kind: object, members: make([]member, 0, len(old.members)+len(patch.members)), time: old.time}
	for _, m := range old.members {
		if c, ok := changes[m.key]; ok {
			delete(changes, m.key)
			m.value = c
		}
		if m.value.kind != null {
			n.members = append(n.members, m)
		}
	}
	for _, m := range patch.members {
		if c, ok := changes[m.key]; ok && c.kind != null {
			n.members = append(n.members, member{m.key, c})
		}
	}
	return n, certain
}
