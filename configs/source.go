package configs

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// source is the text of a group file with what it takes to edit it by the
// positions of its YAML nodes. Lines count from 1, as yaml.v3 does.
type source struct {
	data  []byte
	lines []int // offset of each line's first byte
	eol   string
	json  bool // the file is JSON, and has to stay it
	edits []edit
}

// edit replaces data[start:end].
type edit struct {
	start, end int
	text       string
}

func newSource(data []byte, root *yaml.Node) *source {
	s := &source{data: data, lines: []int{0}, eol: "\n", json: isJSON(root)}
	if i := bytes.IndexByte(data, '\n'); i > 0 && data[i-1] == '\r' {
		s.eol = "\r\n"
	}
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		i += size
		switch c {
		case '\r':
			if i < len(data) && data[i] == '\n' {
				continue
			}
		case '\n', '\u0085', '\u2028', '\u2029': // the line breaks of YAML 1.1
		default:
			continue
		}
		s.lines = append(s.lines, i)
	}
	return s
}

// word writes for the file what needs quotes in JSON only, such as a key.
func (s *source) word(word string) string {
	if s.json {
		return quoted(word)
	}
	return word
}

// quote writes any text for the file.
func (s *source) quote(text string) string {
	if s.json {
		return quoted(text)
	}
	return quoteScalar(text)
}

// offset returns where a node begins, after its anchor and its tag.
func (s *source) offset(n *yaml.Node) int {
	at := s.lineStart(n.Line)
	if at == 0 {
		at = len(s.data) - len(bytes.TrimPrefix(s.data, []byte("\uFEFF")))
	}
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(s.data[at:])
		at += size
	}
	for at < len(s.data) && (s.data[at] == '&' || s.data[at] == '!') {
		for at < len(s.data) && !isBlank(s.data[at]) {
			at++
		}
		for at < len(s.data) && isBlank(s.data[at]) {
			at++
		}
	}
	return at
}

// lineStart returns the offset of a line; past the last one, that of the end.
func (s *source) lineStart(line int) int {
	if line > len(s.lines) {
		return len(s.data)
	}
	return s.lines[line-1]
}

// lineOf returns the line of an offset.
func (s *source) lineOf(at int) int {
	line, found := slices.BinarySearch(s.lines, at)
	if found {
		line++
	}
	return line
}

// line returns the text of a line without its break.
func (s *source) line(n int) string {
	return strings.TrimRight(string(s.data[s.lineStart(n):s.lineStart(n+1)]), "\r\n\u0085\u2028\u2029")
}

// indent returns how many blanks a line begins with, and whether there is
// anything but a comment behind them.
func (s *source) indent(line int) (n int, kind lineKind) {
	text := s.line(line)
	rest := strings.TrimLeft(text, " \t")
	switch {
	case rest == "":
		kind = blankLine
	case rest[0] == '#':
		kind = commentLine
	default:
		kind = contentLine
	}
	return len(text) - len(rest), kind
}

type lineKind int

const (
	blankLine lineKind = iota
	commentLine
	contentLine
)

func (s *source) replace(start, end int, text string) {
	s.edits = append(s.edits, edit{start, end, text})
}

// insertLine puts a line of text after the given one, which may be the last and
// lack its line break.
func (s *source) insertLine(after int, text string) {
	at := s.lineStart(after + 1)
	if at == len(s.data) && at > 0 && s.data[at-1] != '\n' {
		s.replace(at, at, s.eol+text)
		return
	}
	s.replace(at, at, text+s.eol)
}

// apply returns the text with all edits made. It tells when two of them touch
// the same text.
func (s *source) apply() (data []byte, ok bool) {
	slices.SortStableFunc(s.edits, func(a, b edit) int { return a.start - b.start })
	at := 0
	for _, e := range s.edits {
		if e.start < at {
			return nil, false
		}
		data = append(data, s.data[at:e.start]...)
		data = append(data, e.text...)
		at = e.end
	}
	return append(data, s.data[at:]...), true
}

// flowItem is an entry of a flow collection: data[start:end].
type flowItem struct {
	start, end int
	comma      int // offset of the one behind it; -1: there is none
}

// next is the offset behind the entry and its comma.
func (i flowItem) next() int { return max(i.end, i.comma+1) }

// flowItems returns the entries of the flow collection whose bracket stands at
// open, without the blanks and comments around them, and the offset of the
// closing bracket. It knows just enough of YAML for text that has been parsed.
func (s *source) flowItems(open int) (items []flowItem, closing int, ok bool) {
	if open >= len(s.data) || s.data[open] != '[' && s.data[open] != '{' {
		return nil, 0, false
	}
	item, depth := flowItem{-1, -1, -1}, 0
	fresh := true // a quote here opens a quoted scalar
	for i := open + 1; i < len(s.data); {
		c, end := s.data[i], i+1
		switch {
		case isBlank(c):
			i = end
			continue
		case c == '#' && isBlank(s.data[i-1]):
			i = s.lineStart(s.lineOf(i) + 1)
			continue
		case fresh && (c == '"' || c == '\''):
			end = s.quoteEnd(i)
		case depth == 0 && (c == ',' || c == ']' || c == '}'):
			if c == ',' {
				item.comma = i
			}
			if item.start >= 0 {
				items = append(items, item)
			}
			if c != ',' {
				return items, i, true
			}
			item = flowItem{-1, -1, -1}
			fresh, i = true, end
			continue
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		}
		fresh = strings.IndexByte("[{,:", c) >= 0
		if item.start < 0 {
			item.start = i
		}
		item.end, i = end, end
	}
	return nil, 0, false
}

// quoteEnd returns the offset behind the quoted scalar that begins at at.
func (s *source) quoteEnd(at int) int {
	quote := s.data[at]
	for i := at + 1; i < len(s.data); i++ {
		switch {
		case quote == '"' && s.data[i] == '\\':
			i++
		case s.data[i] != quote:
		case quote == '\'' && i+1 < len(s.data) && s.data[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return len(s.data)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
