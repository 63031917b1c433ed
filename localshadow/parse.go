package localshadow

import "errors"

var (
	errSyntax = errors.New("invalid JSON")
	errDepth  = errors.New("too many levels of nesting")
)

// parser reads one JSON text (RFC 8259) into a tree. It is strict: nothing but
// space after the value, no duplicate keys, nothing beyond the grammar. Every
// method leaves behind the space that follows what it read; one that returns no
// node, or no text, has set err.
type parser struct {
	*tree
	s     string // as it also stands in src, from base on
	base  int32
	i     int
	err   error
	depth int // levels of nesting that are still allowed
	now   int64
	// times gives the leaves of a stored section their times; nil: they have
	// now. A stored section was checked when it came, so its keys are not
	// compared again.
	times *times
	// loose counts what is not written as the store has it: space, escapes. A value
	// in which there is none is its own compact text.
	loose int
}

// parse reads a whole text, which must be valid UTF-8, and gives its values the
// time now.
func (t *tree) parse(s string, depth int, now int64) (int32, error) {
	t.base = t.store(s).from
	p := parser{tree: t, s: s, depth: depth, now: now, base: t.base}
	return p.whole()
}

// parseStored reads a section as the store has it.
func (t *tree) parseStored(s string, times *times) (int32, error) {
	p := parser{tree: t, s: s, depth: 1 << 10, times: times, base: t.store(s).from}
	return p.whole()
}

func (p *parser) whole() (int32, error) {
	p.space()
	id := p.value(spot{})
	if id != 0 && p.i < len(p.s) {
		return 0, errSyntax
	}
	return id, p.err
}

// read is the spot of what was read from a place on.
func (p *parser) read(from int) spot { return spot{p.base + int32(from), p.base + int32(p.i)} }

// fault ends the reading.
func (p *parser) fault(err error) int32 {
	p.err = err
	return 0
}

// space is small, so that it costs nothing where there is none.
func (p *parser) space() {
	if p.i < len(p.s) && p.s[p.i] <= ' ' {
		p.skip()
	}
}

func (p *parser) skip() {
	for ; p.i < len(p.s); p.i++ {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.loose++
		default:
			return
		}
	}
}

// take moves over c, if it comes next.
func (p *parser) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.i++
	p.space()
	return true
}

// peek returns the next byte, or 0 at the end: no value begins with it.
func (p *parser) peek() byte {
	if p.i >= len(p.s) {
		return 0
	}
	return p.s[p.i]
}

func (p *parser) value(key spot) int32 {
	switch p.peek() {
	case '{':
		return p.object(key)
	case '[':
		return p.array(key)
	case '"':
		return p.leaf(key, text, p.string())
	case 't':
		return p.leaf(key, boolean, p.word("true"))
	case 'f':
		return p.leaf(key, boolean, p.word("false"))
	case 'n':
		return p.leaf(key, null, p.word("null"))
	default:
		return p.leaf(key, number, p.number())
	}
}

func (p *parser) word(w string) spot {
	if len(p.s)-p.i < len(w) || p.s[p.i:p.i+len(w)] != w {
		p.err = errSyntax
		return spot{}
	}
	p.i += len(w)
	s := p.read(p.i - len(w))
	p.space()
	return s
}

// leaf makes the node of a text, unless there is none.
func (p *parser) leaf(key spot, k kind, s spot) int32 {
	if s.to == 0 {
		return 0
	}
	return p.new(node{key: key, kind: k, text: s, time: p.time()})
}

func (p *parser) time() int64 {
	if p.times != nil {
		return p.times.next()
	}
	return p.now
}

func (p *parser) object(key spot) int32 {
	id, from := p.open(key, object, '{')
	for first := id != 0; id != 0 && p.peek() != '}'; first = false {
		if !first && !p.take(',') {
			return p.fault(errSyntax)
		}
		name := p.string()
		if name.to == 0 {
			return 0
		}
		if !p.take(':') || p.times == nil && p.find(id, p.at(name)) != 0 {
			return p.fault(errSyntax)
		}
		child := p.value(name)
		if child == 0 {
			return 0
		}
		p.add(id, child)
	}
	return p.close(id, from)
}

func (p *parser) array(key spot) int32 {
	// An array is one leaf: all that is in it has its time.
	stored, now := p.times, p.now
	p.now, p.times = p.time(), nil
	id, from := p.open(key, array, '[')
	for first := id != 0; id != 0 && p.peek() != ']'; first = false {
		if !first && !p.take(',') {
			return p.fault(errSyntax)
		}
		child := p.value(spot{})
		if child == 0 {
			return 0
		}
		p.add(id, child)
	}
	p.times, p.now = stored, now
	return p.close(id, from)
}

// start is where a value began.
type start struct{ i, loose int }

// open begins an object or array.
func (p *parser) open(key spot, k kind, c byte) (id int32, from start) {
	if p.depth == 0 {
		return p.fault(errDepth), from
	}
	p.depth--
	from = start{p.i, p.loose}
	p.take(c)
	return p.new(node{key: key, kind: k, time: p.now}), from
}

// close ends it: its bracket comes next.
func (p *parser) close(id int32, from start) int32 {
	if id == 0 {
		return 0
	}
	p.depth++
	p.i++
	if p.loose == from.loose {
		p.nodes[id].text = p.read(from.i)
	}
	p.space()
	return id
}

// number reads a number and returns it as it is written.
func (p *parser) number() spot {
	start := p.i
	if p.peek() == '-' {
		p.i++
	}
	whole := p.i
	digits := p.digits()
	ok := digits > 0 && (digits == 1 || p.s[whole] != '0')
	if ok && p.peek() == '.' {
		p.i++
		ok = p.digits() > 0
	}
	if c := p.peek(); ok && (c == 'e' || c == 'E') {
		p.i++
		if c := p.peek(); c == '+' || c == '-' {
			p.i++
		}
		ok = p.digits() > 0
	}
	if !ok {
		p.err = errSyntax
		return spot{}
	}
	s := p.read(start)
	p.space()
	return s
}

func (p *parser) digits() int {
	s, i := p.s, p.i
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	n := i - p.i
	p.i = i
	return n
}

// string reads a string and returns its JSON text in canonical form, so that
// two strings are equal when their texts are.
func (p *parser) string() spot {
	start, escaped := p.i, false
	if p.peek() == '"' {
		all := p.s
		for i := start + 1; i < len(all); i++ {
			switch c := all[i]; {
			case c == '"':
				p.i = i + 1
				s := p.read(start)
				p.space()
				if escaped {
					return p.canonical(s)
				}
				return s
			case c == '\\':
				escaped = true
				i++ // whatever comes next, it does not end the string
			case c < ' ':
				p.err = errSyntax
				return spot{}
			}
		}
	}
	p.err = errSyntax
	return spot{}
}

// canonical is the canonical form of a string that has escapes.
func (p *parser) canonical(s spot) spot {
	is := p.s[s.from-p.base : s.to-p.base]
	c, err := canonical(is)
	switch {
	case err != nil:
		p.err = err
		return spot{}
	case c == is:
		return s
	}
	p.loose++
	return p.store(c)
}
