package greengrassv1

import (
	"fmt"
	"strconv"
	"strings"

	"greengate/configs"
)

// kind is what a node is.
type kind uint8

const (
	null kind = iota
	object
	list
	text
	number
	boolean
)

func (k kind) String() string {
	return [...]string{"nothing", "an object", "a list", "text", "a number", "true or false"}[k]
}

// node is a value of a JSON or YAML document that knows where it stands.
type node struct {
	kind   kind
	text   string   // of a scalar
	keys   []string // of an object, beside values
	values []*node
	up     *node
	step   string // key or [index] under up
	file   string
	line   int // from 1
}

// maxDepth bounds how deep values may lie in one another.
const maxDepth = 100

// get returns the value of a key, the last one as JSON readers do; nil when n is no
// object or has no such key. The value null counts as none.
func (n *node) get(key string) *node {
	if n == nil || n.kind != object {
		return nil
	}
	for i := len(n.keys) - 1; i >= 0; i-- {
		if n.keys[i] == key {
			if n.values[i].kind == null {
				return nil
			}
			return n.values[i]
		}
	}
	return nil
}

// find is get along several keys.
func (n *node) find(keys ...string) *node {
	for _, k := range keys {
		n = n.get(k)
	}
	return n
}

// list returns the entries of the list under a key; none when there is none.
func (n *node) list(key string) []*node {
	if v := n.get(key); v != nil && v.kind == list {
		return v.values
	}
	return nil
}

// scalar returns the text of the scalar under a key; empty for none.
func (n *node) scalar(key string) string {
	if v := n.get(key); v != nil && v.kind >= text {
		return v.text
	}
	return ""
}

// add appends a child.
func (n *node) add(key string, v *node) {
	v.up, v.step = n, key
	if n.kind == list {
		v.step = "[" + strconv.Itoa(len(n.values)) + "]"
	} else {
		n.keys = append(n.keys, key)
	}
	n.values = append(n.values, v)
}

// path is the way to n from the top of its document: Definition.Devices[2].ThingArn.
func (n *node) path() string {
	var steps []string
	for v := n; v != nil && v.up != nil; v = v.up {
		steps = append(steps, v.step)
	}
	var b strings.Builder
	for i := len(steps) - 1; i >= 0; i-- {
		s := clip(steps[i])
		switch {
		case strings.HasPrefix(s, "["):
			b.WriteString(s)
		case strings.ContainsAny(s, ". []"):
			b.WriteString("[" + strconv.Quote(s) + "]")
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s)
		}
	}
	return b.String()
}

// place is where n stands, for people: FILE:LINE path.
func (n *node) place() string {
	if n == nil {
		return ""
	}
	return strings.TrimSuffix(fmt.Sprintf("%s:%d %s", n.file, n.line, n.path()), " ")
}

// fault says what is wrong with n.
func (n *node) fault(hint, problem string, args ...any) configs.Fault {
	f := configs.Fault{File: n.file, Line: n.line, Column: 1, Path: n.path(), Problem: fmt.Sprintf(problem, args...), Hint: hint}
	if n.kind >= text {
		f.Value = clip(n.text)
	}
	return f
}

// clip shortens what stands in a file to what a message can hold.
func clip(s string) string {
	const limit = 120
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
