package shadows

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind is the type of a JSON value.
type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	array
	object
)

// node is a JSON value. Nodes are never changed once they are made, so trees
// share them. A nil *node is a value that is not there.
type node struct {
	kind    kind
	text    string   // JSON text of a value that is no array and no object
	items   []*node  // of an array
	members []member // of an object, in the order of the text
	time    int64    // when the cloud set the leaf, in Unix seconds; 0: not known
}

type member struct {
	key   string // decoded, see unquote
	value *node
}

var (
	nullNode    = &node{kind: null, text: "null"}
	emptyObject = &node{kind: object}
)

func (n *node) isObject() bool { return n != nil && n.kind == object }

// get returns a member of an object, or nil. Members mostly stand at the same
// place on both sides, so hint is where to look first.
func (n *node) get(key string, hint int) *node {
	if !n.isObject() {
		return nil
	}
	if hint < len(n.members) && n.members[hint].key == key {
		return n.members[hint].value
	}
	for i := range n.members {
		if n.members[i].key == key {
			return n.members[i].value
		}
	}
	return nil
}

// equal compares two values or their absence: objects in any order, numbers by
// value.
func equal(a, b *node) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.kind != b.kind {
		return false
	}
	switch a.kind {
	case object:
		if len(a.members) != len(b.members) {
			return false
		}
		for i, m := range a.members {
			if !equal(m.value, b.get(m.key, i)) { // a value is never nil
				return false
			}
		}
		return true
	case array:
		if len(a.items) != len(b.items) {
			return false
		}
		for i := range a.items {
			if !equal(a.items[i], b.items[i]) {
				return false
			}
		}
		return true
	case number:
		return a.text == b.text || sameNumber(a.text, b.text)
	case text:
		return a.text == b.text || unquote(a.text) == unquote(b.text)
	}
	return a.text == b.text
}

// append writes a value as compact JSON.
func (n *node) append(b []byte) []byte {
	switch n.kind {
	case object:
		b = append(b, '{')
		for i, m := range n.members {
			if i > 0 {
				b = append(b, ',')
			}
			b = m.value.append(append(appendString(b, m.key), ':'))
		}
		return append(b, '}')
	case array:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.append(b)
		}
		return append(b, ']')
	}
	return append(b, n.text...)
}

// json returns a value as compact JSON, nil for one that is not there.
func (n *node) json() []byte {
	if n == nil {
		return nil
	}
	return n.append(nil)
}

var errJSON = errors.New("invalid JSON")

// parse reads a JSON text.
func parse(s string) (*node, error) {
	if !json.Valid([]byte(s)) || !utf8.ValidString(s) {
		return nil, errJSON
	}
	p := parser{s: s}
	return p.value(), nil
}

// parser walks a text that is known to be valid.
type parser struct {
	s string
	i int
}

// next moves over white space and returns the byte after it.
func (p *parser) next() byte {
	for {
		switch c := p.s[p.i]; c {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return c
		}
	}
}

func (p *parser) value() *node {
	switch c := p.next(); c {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		return &node{kind: text, text: p.string()}
	case 'n':
		p.i += len("null")
		return nullNode
	case 't', 'f':
		return &node{kind: boolean, text: p.word()}
	default:
		return &node{kind: number, text: p.word()}
	}
}

// word reads a number, true or false.
func (p *parser) word() string {
	start := p.i
	for p.i < len(p.s) && !strings.ContainsRune(" \t\n\r,]}", rune(p.s[p.i])) {
		p.i++
	}
	return p.s[start:p.i]
}

func (p *parser) string() string {
	start := p.i
	for p.i++; p.s[p.i] != '"'; p.i++ {
		if p.s[p.i] == '\\' {
			p.i++
		}
	}
	p.i++
	return p.s[start:p.i]
}

func (p *parser) object() *node {
	n := &node{kind: object}
	for p.i++; p.next() != '}'; {
		key := unquote(p.string())
		p.next()
		p.i++ // the colon
		value := p.value()
		if at := n.index(key); at >= 0 {
			n.members[at].value = value // twice the same key: the last counts, as nearly everywhere
		} else {
			n.members = append(n.members, member{key, value})
		}
		if p.next() == ',' {
			p.i++
			p.next()
		}
	}
	p.i++
	return n
}

func (n *node) index(key string) int {
	for i := range n.members {
		if n.members[i].key == key {
			return i
		}
	}
	return -1
}

func (p *parser) array() *node {
	n := &node{kind: array}
	for p.i++; p.next() != ']'; {
		n.items = append(n.items, p.value())
		if p.next() == ',' {
			p.i++
		}
	}
	p.i++
	return n
}

// sameNumber tells whether two JSON numbers have the same value, exactly.
func sameNumber(a, b string) bool {
	da, pa, oka := decimal(a)
	db, pb, okb := decimal(b)
	return oka && okb && da == db && pa == pb
}

// decimal takes a number apart: a sign and digits without zeros at either end,
// and the power of ten of the last digit. It gives up on a power beyond reason.
func decimal(s string) (digits string, power int64, ok bool) {
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		var err error
		if power, err = strconv.ParseInt(s[i+1:], 10, 48); err != nil {
			return "", 0, false
		}
		s = s[:i]
	}
	s, negative := strings.CutPrefix(s, "-")
	whole, fraction, _ := strings.Cut(s, ".")
	power -= int64(len(fraction))
	digits = strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return "", 0, true // 0 and -0
	}
	trimmed := strings.TrimRight(digits, "0")
	power += int64(len(digits) - len(trimmed))
	if negative {
		trimmed = "-" + trimmed
	}
	return trimmed, power, true
}
