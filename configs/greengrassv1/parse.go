package greengrassv1

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"greengate/configs"
)

// parseFile returns the documents of a file, JSON (also several, one after the other)
// or YAML. The error is a configs.Fault.
func parseFile(f *File) ([]*node, error) {
	data := plainText(f.Data)
	if at := bytes.IndexFunc(data, badRune); at >= 0 {
		return nil, configs.Fault{File: f.Name, Line: lineAt(data, at), Column: 1, Problem: "this is no text in UTF-8"}
	}
	if looksLikeJSON(data) {
		return parseJSON(f.Name, data)
	}
	return parseYAML(f.Name, data)
}

// badRune tells what no text holds. A NUL would be taken for the mark of a missing
// parameter.
func badRune(r rune) bool {
	return r == utf8.RuneError || r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f'
}

func looksLikeJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && (data[0] == '{' || data[0] == '[')
}

// plainText returns the text without a byte order mark, and in UTF-8: the redirection
// of PowerShell writes UTF-16.
func plainText(data []byte) []byte {
	little, big := bytes.HasPrefix(data, []byte{0xFF, 0xFE}), bytes.HasPrefix(data, []byte{0xFE, 0xFF})
	if !little && !big {
		return bytes.TrimPrefix(data, []byte("\uFEFF"))
	}
	data = data[2:]
	units := make([]uint16, len(data)/2)
	for i := range units {
		low, high := data[2*i], data[2*i+1]
		if big {
			low, high = high, low
		}
		units[i] = uint16(high)<<8 | uint16(low)
	}
	return []byte(string(utf16.Decode(units)))
}

func lineAt(data []byte, at int) int { return bytes.Count(data[:at], []byte{'\n'}) + 1 }

// jsonReader builds nodes of JSON tokens.
type jsonReader struct {
	name string
	data []byte
	dec  *json.Decoder
	at   int // up to where line was counted
	line int
}

func parseJSON(name string, data []byte) (docs []*node, err error) {
	r := jsonReader{name: name, data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1}
	r.dec.UseNumber()
	for {
		doc, err := r.value(0)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, r.fault(err)
		}
		docs = append(docs, doc)
	}
	if len(docs) == 1 && docs[0].kind == list { // as jq -s writes several
		docs = docs[0].values
		for _, d := range docs {
			d.up = nil
		}
	}
	return docs, nil
}

func (r *jsonReader) fault(err error) error {
	at := int(r.dec.InputOffset())
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at = int(syntax.Offset)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err, at = errors.New("it ends in the middle"), len(r.data)
	}
	at = max(0, min(at, len(r.data)))
	column := at - bytes.LastIndexByte(r.data[:at], '\n')
	return configs.Fault{File: r.name, Line: lineAt(r.data, at), Column: max(1, column-1), Problem: "this is no JSON: " + err.Error(), Hint: "save the answer of the AWS command line whole"}
}

// value reads one value; io.EOF when there is none more.
func (r *jsonReader) value(depth int) (*node, error) {
	token, err := r.dec.Token()
	if err != nil {
		if depth > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("its values lie more than %d deep", maxDepth)
	}
	at := int(r.dec.InputOffset())
	r.line += bytes.Count(r.data[r.at:at], []byte{'\n'})
	r.at = at
	n := &node{file: r.name, line: r.line}
	switch token := token.(type) {
	case json.Delim:
		return n, r.children(n, token, depth)
	case string:
		if strings.ContainsFunc(token, func(c rune) bool { return c == 0 }) {
			return nil, errors.New("a text holds the character NUL")
		}
		n.kind, n.text = text, token
	case json.Number:
		n.kind, n.text = number, token.String()
	case bool:
		n.kind, n.text = boolean, strconv.FormatBool(token)
	}
	return n, nil
}

func (r *jsonReader) children(n *node, open json.Delim, depth int) error {
	n.kind = list
	if open == '{' {
		n.kind = object
	}
	for r.dec.More() {
		key := ""
		if n.kind == object {
			token, err := r.dec.Token()
			if err != nil {
				return err
			}
			key, _ = token.(string)
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.add(key, v)
	}
	if _, err := r.dec.Token(); errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	} else if err != nil {
		return err
	}
	return nil
}

// maxAliased bounds the values that the aliases of one YAML file may stand for.
const maxAliased = 100_000

// yamlReader turns YAML nodes into ours.
type yamlReader struct {
	name    string
	aliases int
	aliased int
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func parseYAML(name string, data []byte) (docs []*node, err error) {
	// yaml.v3 panics on some input that it has no event for.
	defer func() {
		if p := recover(); p != nil {
			docs, err = nil, configs.Fault{File: name, Line: 1, Column: 1, Problem: fmt.Sprintf("this is no YAML: %v", p)}
		}
	}()
	r := yamlReader{name: name}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			line := 1
			if m := yamlLine.FindStringSubmatch(err.Error()); m != nil && m[1] != "" {
				line, _ = strconv.Atoi(m[1])
			}
			return nil, configs.Fault{File: name, Line: line, Column: 1, Problem: "this is no YAML: " + yamlLine.ReplaceAllString(err.Error(), "")}
		}
		for _, top := range doc.Content {
			n, err := r.value(top, 0)
			if err != nil {
				return nil, configs.Fault{File: name, Line: top.Line, Column: 1, Problem: err.Error()}
			}
			docs = append(docs, n)
		}
	}
}

func (r *yamlReader) value(y *yaml.Node, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("its values lie more than %d deep", maxDepth)
	}
	if y.Kind == yaml.AliasNode {
		r.aliases++
		defer func() { r.aliases-- }()
		return r.value(y.Alias, depth+1)
	}
	if r.aliases > 0 {
		if r.aliased++; r.aliased > maxAliased {
			return nil, fmt.Errorf("its aliases stand for more than %d values", maxAliased)
		}
	}
	n := &node{file: r.name, line: y.Line}
	switch y.Kind {
	case yaml.MappingNode:
		n.kind = object
		for i := 0; i+1 < len(y.Content); i += 2 {
			v, err := r.value(y.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			n.add(y.Content[i].Value, v)
		}
	case yaml.SequenceNode:
		n.kind = list
		for _, item := range y.Content {
			v, err := r.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.add("", v)
		}
	default:
		n.text = y.Value
		n.kind = map[string]kind{"!!null": null, "!!bool": boolean, "!!int": number, "!!float": number}[y.ShortTag()]
		if y.ShortTag() != "!!null" && n.kind == null {
			n.kind = text
		}
	}
	return intrinsic(n, y.Tag), nil
}

// intrinsic writes the short form of a CloudFormation function (!Sub x) as the long
// one ({"Fn::Sub": x}).
func intrinsic(n *node, tag string) *node {
	if !strings.HasPrefix(tag, "!") || strings.HasPrefix(tag, "!!") || len(tag) == 1 {
		return n
	}
	if n.kind == null {
		n.kind = text
	}
	name := strings.TrimPrefix(tag, "!")
	if name != "Ref" && name != "Condition" {
		name = "Fn::" + name
	}
	f := &node{kind: object, file: n.file, line: n.line}
	f.add(name, n)
	return f
}
