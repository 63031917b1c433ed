package localshadow

import "errors"

var (
	errSyntax = errors.New("invalid JSON")
	errDepth  = errors.New("too many levels of nesting")
)

// parser reads one JSON text (RFC 8259) into a tree. It is strict: nothing but
// space after the value, no duplicate keys, nothing beyond the grammar. Every
// method leaves behind the space that follows what it read.
type parser struct {
	*tree
	s     string
	i     int
	depth int // levels of nesting that are still allowed
	now   int64
	// times gives the leaves of a stored section their times; nil: they have
	// now. A stored section was checked when it came, so its keys are not
	// compared again.
	times *times
}

// parse reads a whole text, which must be valid UTF-8, and gives its values the
// time now.
func (t *tree) parse(s string, depth int, now int64) (int32, error) {
	p := parser{tree: t, s: s, depth: depth, now: now}
	return p.whole()
}

// parseStored reads a section as the store has it.
func (t *tree) parseStored(s string, times *times) (int32, error) {
	p := parser{tree: t, s: s, depth: 1 << 10, times: times}
	return p.whole()
}

func (p *parser) whole() (int32, error) {
	p.space()
	id, err := p.value("")
	if err == nil && p.i < len(p.s) {
		err = errSyntax
	}
	return id, err
}

func (p *parser) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

// take moves over c, if it comes next.
func (p *parser) take(c byte) bool {
	if p.i >= len(p.s) || p.s[p.i] != c {
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

func (p *parser) value(key string) (int32, error) {
	switch c := p.peek(); c {
	case '{':
		return p.object(key)
	case '[':
		return p.array(key)
	case '"':
		s, err := p.string()
		return p.leaf(key, text, s, err)
	case 't':
		return p.word(key, boolean, "true")
	case 'f':
		return p.word(key, boolean, "false")
	case 'n':
		return p.word(key, null, "null")
	default:
		s, err := p.number()
		return p.leaf(key, number, s, err)
	}
}

func (p *parser) word(key string, k kind, w string) (int32, error) {
	if len(p.s)-p.i < len(w) || p.s[p.i:p.i+len(w)] != w {
		return 0, errSyntax
	}
	p.i += len(w)
	p.space()
	return p.leaf(key, k, w, nil)
}

func (p *parser) leaf(key string, k kind, s string, err error) (int32, error) {
	if err != nil {
		return 0, err
	}
	return p.new(node{key: key, kind: k, text: s, time: p.time()}), nil
}

func (p *parser) time() int64 {
	if p.times != nil {
		return p.times.next()
	}
	return p.now
}

func (p *parser) object(key string) (int32, error) {
	if p.depth == 0 {
		return 0, errDepth
	}
	p.depth--
	id := p.new(node{key: key, kind: object})
	p.take('{')
	for first := true; !p.take('}'); first = false {
		if !first && !p.take(',') {
			return 0, errSyntax
		}
		name, err := p.string()
		if err != nil {
			return 0, err
		}
		if !p.take(':') || p.times == nil && p.find(id, name) != 0 {
			return 0, errSyntax
		}
		child, err := p.value(name)
		if err != nil {
			return 0, err
		}
		p.add(id, child)
	}
	p.depth++
	return id, nil
}

func (p *parser) array(key string) (int32, error) {
	if p.depth == 0 {
		return 0, errDepth
	}
	p.depth--
	// An array is one leaf: all that is in it has its time.
	stored, now := p.times, p.now
	p.now, p.times = p.time(), nil
	id := p.new(node{key: key, kind: array, time: p.now})
	p.take('[')
	for first := true; !p.take(']'); first = false {
		if !first && !p.take(',') {
			return 0, errSyntax
		}
		child, err := p.value("")
		if err != nil {
			return 0, err
		}
		p.add(id, child)
	}
	p.times, p.now = stored, now
	p.depth++
	return id, nil
}

// number reads a number and returns it as it is written.
func (p *parser) number() (string, error) {
	start := p.i
	if p.peek() == '-' {
		p.i++
	}
	whole := p.i
	digits := p.digits()
	if digits == 0 || digits > 1 && p.s[whole] == '0' {
		return "", errSyntax
	}
	if p.peek() == '.' {
		p.i++
		if p.digits() == 0 {
			return "", errSyntax
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.i++
		if c := p.peek(); c == '+' || c == '-' {
			p.i++
		}
		if p.digits() == 0 {
			return "", errSyntax
		}
	}
	s := p.s[start:p.i]
	p.space()
	return s, nil
}

func (p *parser) digits() (n int) {
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.i++
		n++
	}
	return n
}

// string reads a string and returns its JSON text in canonical form, so that
// two strings are equal when their texts are.
func (p *parser) string() (string, error) {
	if p.peek() != '"' {
		return "", errSyntax
	}
	start, escaped := p.i, false
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			s := p.s[start:p.i]
			p.space()
			if escaped {
				return canonical(s)
			}
			return s, nil
		case c == '\\':
			escaped = true
			p.i++ // whatever comes next, it does not end the string
		case c < ' ':
			return "", errSyntax
		}
	}
	return "", errSyntax
}
