package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// MaxSize is the largest group file in bytes. One of 10,000 rows has about 1 MiB.
const MaxSize = 16 << 20

// parse reads the one YAML document of a file into r.root. What is no YAML goes
// into the report with its place.
func (r *report) parse(data []byte) {
	if len(data) > MaxSize {
		r.add(Fault{File: r.file, Problem: fmt.Sprintf("the file has %d bytes, more than %d", len(data), MaxSize)})
		return
	}
	if at, problem := findBadText(data); at >= 0 {
		line, column := position(data, at)
		r.add(Fault{File: r.file, Line: line, Column: column, Problem: problem, Hint: "write it anew in an editor, as UTF-8"})
		return
	}
	docs, err := parseYAML(data)
	if err != nil {
		r.syntax(data, err)
		return
	}
	if len(docs) == 0 || len(docs[0].Content) == 0 || isNull(docs[0].Content[0]) {
		r.add(Fault{File: r.file, Line: 1, Column: 1, Problem: "the file is empty", Hint: "`greengate init` makes a complete one"})
		return
	}
	if len(docs) > 1 {
		second := docs[1]
		r.add(Fault{File: r.file, Line: second.Line, Column: second.Column, Problem: "a second document begins here", Hint: "a group file is one document: take the line --- out"})
		return
	}
	top := docs[0].Content[0]
	if top.Kind != yaml.MappingNode {
		r.add(Fault{File: r.file, Line: top.Line, Column: top.Column, Problem: "the file must be a mapping, not " + kindName(top), Hint: "begin with `version: 1`"})
		return
	}
	r.root = top
}

// parseLifted is parse that leaves what can be lifted out of the tree. It tells
// whether the file could be read that way; what is wrong with it, it does not tell.
func (r *report) parseLifted(data []byte) bool {
	if len(data) > MaxSize {
		return false
	}
	if at, _ := findBadText(data); at >= 0 {
		return false
	}
	rest, all := lift(data)
	if len(all) == 0 {
		return false
	}
	r.parse(rest)
	return r.root != nil && r.attach(all)
}

// parseYAML returns the first document, and the second when there is one.
func parseYAML(data []byte) (docs []*yaml.Node, err error) {
	// yaml.v3 panics on some input that it has no event for.
	defer func() {
		if p := recover(); p != nil {
			docs, err = nil, fmt.Errorf("this is no YAML: %v", p)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for range 2 {
		var doc yaml.Node
		switch err := dec.Decode(&doc); {
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			return nil, err
		}
		docs = append(docs, &doc)
	}
	return docs, nil
}

// findBadText returns the offset of the first byte that no YAML file may hold,
// or -1.
func findBadText(data []byte) (at int, problem string) {
	for i := 0; i < len(data); {
		if c := data[i]; c < utf8.RuneSelf {
			if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7F {
				return i, fmt.Sprintf("the control character %U is not allowed", c)
			}
			i++
			continue
		}
		c, size := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && size == 1 {
			return i, "the file is not UTF-8"
		}
		i += size
	}
	return -1, ""
}

var yamlPrefix = regexp.MustCompile(`^yaml: (?:line \d+: )?`)

// maxSearched is the longest file in which the place of a syntax error is
// searched for: each of some 20 tries costs a parse. In a longer one the
// parser's own word has to do.
const maxSearched = 256 << 10

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// syntax records a syntax error. yaml.v3 tells a line, often the next or the
// one where the list began, and no column. So the place is searched for: the
// shortest beginning of the file that fails with the same message ends where
// the trouble is.
func (r *report) syntax(data []byte, err error) {
	message := err.Error()
	low, high := 0, len(data) // data[:high] fails so, data[:low] does not
	if len(data) > maxSearched {
		low = high
	}
	for low+1 < high {
		middle := (low + high) / 2
		if _, err := parseYAML(data[:middle]); err != nil && err.Error() == message {
			high = middle
		} else {
			low = middle
		}
	}
	at := max(high-1, 0)
	for at > 0 && strings.IndexByte(" \r\n", data[at]) >= 0 { // the end of what stands there
		at--
	}
	line, column := position(data, at)
	if m := yamlLine.FindStringSubmatch(message); low == high && m != nil {
		line, _ = strconv.Atoi(m[1])
		column = 1
	}
	problem := yamlPrefix.ReplaceAllString(message, "")
	hint := syntaxHint(problem)
	switch data[at] {
	case '}', ']':
		hint = fmt.Sprintf("is one %q too many, or of the wrong kind?", data[at])
	case '\t':
		hint = "indent with spaces"
	}
	r.add(Fault{File: r.file, Line: line, Column: column, Problem: "this is no YAML: " + problem, Hint: hint})
}

// syntaxHint says what usually is behind a message of the YAML parser.
func syntaxHint(problem string) string {
	for _, h := range [...]struct{ words, hint string }{
		{"cannot start any token", "indent with spaces; put text that begins with @, ` or % in quotes"},
		{"mapping values are not allowed", "put a value that holds a colon and a space in quotes; check the indentation"},
		{"did not find expected ',' or", "close the bracket, or put a comma between the entries"},
		{"did not find expected key", "entries of one section begin in the same column"},
		{"did not find expected '-' indicator", "entries of one list begin in the same column"},
		{"could not find expected ':'", "a key needs a colon and a space after it"},
		{"unexpected end of stream", "close the quote"},
		{"unknown anchor", "an alias needs its anchor before it"},
		{"unknown escape character", `write \\ for a backslash, or use single quotes`},
	} {
		if strings.Contains(problem, h.words) {
			return h.hint
		}
	}
	return ""
}

// position returns line and column of an offset, both from 1, the column in
// characters.
func position(data []byte, at int) (line, column int) {
	before := data[:at]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte{'\n'}) + 1, utf8.RuneCount(before[start:]) + 1
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}

// kindName says in a person's words what n is.
func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return kindName(n.Alias)
	}
	switch n.ShortTag() {
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	case "!!null":
		return "nothing"
	}
	return "text"
}
