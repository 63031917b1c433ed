package configs

import (
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Rows and devices are lifted out of the text before yaml.v3 reads it: it takes
// ten times as long for them, and 1.6 KB of nodes each while a file is read.
//
// What is lifted are the entries with which a section of the file begins, as long
// as each is a flow mapping in a line of its own, with plain or quoted words that
// hold no escape. yaml.v3 reads the rest, in which empty lines keep the place of
// what was lifted. It scans from left to right, so it is in the same state at the
// key of the section in both texts; attach sees to it that it was the key of a
// block mapping at the top, and that what follows the entries would follow them
// in the whole text too. Nodes are those that yaml.v3 makes, down to line, column,
// style and tag (FuzzLift). A file with a fault is read again without this.

// liftable are the sections that may be long.
var liftable = []string{"devices", "subscriptions"}

// lifted are the entries that were lifted from one section.
type lifted struct {
	section    string
	text       string // of the file
	line       int    // of the key, from 1
	begin, end int    // between which offsets the entries stand
	indent     int    // blanks before the dash of each
	entries    []liftedLine
	reader     lineReader
}

// liftedLine is the line of an entry without what follows its closing brace.
type liftedLine struct {
	at, end int // in the text
	line    int // from 1
}

// lift returns the text without what can be lifted from it.
func lift(data []byte) (rest []byte, all []*lifted) {
	text := string(data) // what the configuration keeps of it are parts of this
	for _, section := range liftable {
		if l := liftSection(text, section); l != nil {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b *lifted) int { return a.begin - b.begin })
	at := 0
	for _, l := range all {
		rest = append(rest, text[at:l.begin]...)
		for range strings.Count(text[l.begin:l.end], "\n") {
			rest = append(rest, '\n')
		}
		at = l.end
	}
	return append(rest, text[at:]...), all
}

// liftSection finds what can be lifted from a section; nil: nothing.
func liftSection(text, section string) *lifted {
	key := section + ":"
	at := 0
	if !strings.HasPrefix(text, key) {
		if at = strings.Index(text, "\n"+key) + 1; at == 0 {
			return nil
		}
	}
	l := &lifted{section: section, text: text, line: strings.Count(text[:at], "\n") + 1, begin: lineEnd(text, at)}
	if !endsWell(text[at+len(key) : l.begin]) {
		return nil
	}
	if l.scan(); len(l.entries) == 0 {
		return nil
	}
	return l
}

// lineEnd returns the offset behind the line break of the line in which at is.
func lineEnd(text string, at int) int {
	if n := strings.IndexByte(text[at:], '\n'); n >= 0 {
		return at + n + 1
	}
	return len(text)
}

// scan finds the entries.
func (l *lifted) scan() {
	l.entries = make([]liftedLine, 0, strings.Count(l.text[l.begin:], "\n")+1)
	line := l.line
	for at := l.begin; at < len(l.text); {
		line++
		next := lineEnd(l.text, at)
		text := l.text[at:next]
		if blanks := len(text) - len(strings.TrimLeft(text, " ")); blanks < len(text) && text[blanks] == '-' {
			if len(l.entries) > 0 && blanks != l.indent {
				return
			}
			node, size := l.reader.entry(text, blanks, line)
			if node == nil || !endsWell(text[size:]) {
				return
			}
			l.indent = blanks
			l.entries = append(l.entries, liftedLine{at, at + size, line})
			l.end = next
		} else if blanks < len(text) && !endsWell(" "+text[blanks:]) {
			return
		}
		at = next
	}
}

// endsWell tells whether a text holds nothing but blanks, a comment after them, and
// the line break.
func endsWell(text string) bool {
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	rest := strings.TrimLeft(text, " ")
	return rest == "" || rest[0] == '#' && len(rest) < len(text) && isLine(rest)
}

// isLine tells whether yaml.v3 sees no line break in the text, and no character that
// it refuses.
func isLine(text string) bool {
	for _, c := range text {
		if c < ' ' && c != '\t' || c > '~' && !isLetter(c) {
			return false
		}
	}
	return true
}

// isLetter tells whether a character beyond ASCII may be lifted: all that is neither a
// control character, nor a line break, nor a mark of the encoding.
func isLetter(c rune) bool { return c > 0xA0 && c < 0xD800 && c != '\u2028' && c != '\u2029' }

// entry returns the node of an entry; it holds until the next call.
func (l *lifted) entry(i int) *yaml.Node {
	e := &l.entries[i]
	n, _ := l.reader.entry(l.text[e.at:e.end], l.indent, e.line)
	return n
}

// attach puts what was lifted into the tree of the rest, and tells whether the whole
// text means that.
func (r *report) attach(all []*lifted) bool {
	if r.root.Style != 0 || r.root.Anchor != "" {
		return false
	}
	r.lifts = make(map[*yaml.Node]*lifted, len(all))
	for _, l := range all {
		at := 0
		for at < len(r.root.Content) && r.root.Content[at].Line != l.line {
			at += 2
		}
		if at == len(r.root.Content) {
			return false
		}
		key, value := r.root.Content[at], r.root.Content[at+1]
		if key.Value != l.section || key.Kind != yaml.ScalarNode || key.Column != 1 || key.Style != 0 || key.Anchor != "" {
			return false
		}
		if value.Style != 0 || value.Anchor != "" {
			return false
		}
		switch {
		case value.Kind == yaml.ScalarNode && value.Value == "" && value.Line == l.line: // no entry was left, nor a tag
		case value.Kind == yaml.SequenceNode && value.Column == l.indent+1: // more entries of the same list
		default:
			return false
		}
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: l.entries[0].line, Column: l.indent + 1, Content: value.Content}
		r.root.Content[at+1] = list
		r.lifts[list] = l
	}
	return true
}

// entries is how many a list has; entry is one of them.
func (r *report) entries(list *yaml.Node) int {
	if l := r.lifts[list]; l != nil {
		return len(l.entries) + len(list.Content)
	}
	return len(list.Content)
}

// entry returns the node of one entry of a list. One that was lifted holds until the
// next is asked for.
func (r *report) entry(list *yaml.Node, i int) *yaml.Node {
	if l := r.lifts[list]; l != nil {
		if i < len(l.entries) {
			return l.entry(i)
		}
		i -= len(l.entries)
	}
	return list.Content[i]
}

// source is how the entry that was asked for last stands in the file, as far as it was
// lifted.
func (r *report) source(n *yaml.Node) string {
	for _, l := range r.lifts {
		if n == &l.reader.nodes[0] {
			return l.reader.text[l.reader.begin:]
		}
	}
	return ""
}

// lineReader reads an entry in a line of its own. Each method that returns a node
// returns nil for what is not simple enough.
type lineReader struct {
	text  string
	begin int // of the brace
	at    int // of what comes next
	wide  int // bytes of characters before it that are more than one each
	line  int
	nodes [64]yaml.Node
	used  int
}

// Bounds that keep entries far from where yaml.v3 does something else.
const (
	maxLiftedKey   = 512 // bytes; it takes 1024 characters
	maxLiftedDepth = 4
)

// entry reads the entry whose dash stands behind so many blanks. The node holds until
// the next call; size is where it ends.
func (r *lineReader) entry(text string, blanks, line int) (n *yaml.Node, size int) {
	r.text, r.at, r.wide, r.line, r.used = text, blanks+1, 0, line, 0
	if r.blanks() == 0 || r.next() != '{' {
		return nil, 0
	}
	r.begin = r.at
	return r.mapping(maxLiftedDepth), r.at
}

// next is the byte that comes next; 0 at the end.
func (r *lineReader) next() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

// blanks skips blanks and returns how many.
func (r *lineReader) blanks() int {
	from := r.at
	for r.next() == ' ' {
		r.at++
	}
	return r.at - from
}

// node returns a new node of what comes next.
func (r *lineReader) node(kind yaml.Kind, style yaml.Style, tag string) *yaml.Node {
	if r.used == len(r.nodes) {
		return nil
	}
	n := &r.nodes[r.used]
	r.used++
	*n = yaml.Node{Kind: kind, Style: style, Tag: tag, Content: n.Content[:0], Line: r.line, Column: r.at - r.wide + 1}
	return n
}

func (r *lineReader) mapping(depth int) *yaml.Node {
	n := r.node(yaml.MappingNode, yaml.FlowStyle, "!!map")
	if n == nil || depth == 0 {
		return nil
	}
	for {
		r.at++ // the brace or the comma
		r.blanks()
		begin := r.at
		key := r.scalar()
		if key == nil || r.at-begin > maxLiftedKey || r.next() != ':' {
			return nil
		}
		r.at++
		if r.blanks() == 0 {
			return nil
		}
		value := r.value(depth - 1)
		if value == nil {
			return nil
		}
		n.Content = append(n.Content, key, value)
		r.blanks()
		switch r.next() {
		case ',':
		case '}':
			r.at++
			return n
		default:
			return nil
		}
	}
}

func (r *lineReader) list(depth int) *yaml.Node {
	n := r.node(yaml.SequenceNode, yaml.FlowStyle, "!!seq")
	if n == nil || depth == 0 {
		return nil
	}
	for {
		r.at++ // the bracket or the comma
		r.blanks()
		item := r.value(depth - 1)
		if item == nil {
			return nil
		}
		n.Content = append(n.Content, item)
		r.blanks()
		switch r.next() {
		case ',':
		case ']':
			r.at++
			return n
		default:
			return nil
		}
	}
}

func (r *lineReader) value(depth int) *yaml.Node {
	switch r.next() {
	case '{':
		return r.mapping(depth)
	case '[':
		return r.list(depth)
	}
	return r.scalar()
}

func (r *lineReader) scalar() *yaml.Node {
	switch r.next() {
	case '"':
		return r.quoted(yaml.DoubleQuotedStyle)
	case '\'':
		return r.quoted(yaml.SingleQuotedStyle)
	}
	return r.plain()
}

// plain reads a word without quotes. A colon belongs to it when the word goes on
// behind it, and a digit or a letter begins it, or what no YAML gives a meaning.
func (r *lineReader) plain() *yaml.Node {
	n := r.node(yaml.ScalarNode, 0, "")
	begin := r.at
	for inWord[r.next()] || r.next() == ':' && r.at+1 < len(r.text) && inWord[r.text[r.at+1]] {
		r.at++
	}
	if n == nil || r.at == begin || strings.IndexByte("-#*@%=", r.text[begin]) >= 0 || r.text[begin] == ':' {
		return nil
	}
	n.Value = r.text[begin:r.at]
	if isDigit(n.Value[0]) || slices.Contains(notText, n.Value) {
		n.Tag = n.ShortTag() // what yaml.v3 takes it for
	} else {
		n.Tag = "!!str"
	}
	return n
}

// isDigit tells whether what begins so may be a number or a time.
func isDigit(c byte) bool { return c >= '0' && c <= '9' || c == '+' || c == '.' }

// notText are the words that yaml.v3 takes for something else than text. Those in
// yamlWords are of other YAML readers.
var notText = []string{"true", "True", "TRUE", "false", "False", "FALSE", "null", "Null", "NULL"}

// inWord are the bytes of words that may stand without quotes in any YAML.
var inWord = func() (in [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./+$-#*@%=") {
		in[c] = true
	}
	return in
}()

// quoted reads a text in quotes without escapes.
func (r *lineReader) quoted(style yaml.Style) *yaml.Node {
	n := r.node(yaml.ScalarNode, style, "!!str")
	if n == nil {
		return nil
	}
	quote := r.text[r.at]
	r.at++
	begin := r.at
	for {
		c := r.next()
		switch {
		case c == quote:
			n.Value = r.text[begin:r.at]
			r.at++
			if r.next() == quote { // a quote within
				return nil
			}
			return n
		case c < ' ' || c == '\\' || c == 0x7F:
			return nil
		case c < utf8.RuneSelf:
			r.at++
		default:
			letter, size := utf8.DecodeRuneInString(r.text[r.at:])
			if !isLetter(letter) {
				return nil
			}
			r.at += size
			r.wide += size - 1
		}
	}
}
