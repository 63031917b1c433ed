package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"greengate/configs"
)

// cutSecrets takes the environment of functions out of the text of a group file, and what
// stands under keys that no group file has: one of them may have been meant for it. The file
// may have any fault but to be no YAML. What is left stays in its line, for faults name
// lines. The plain values that went are returned too.
func cutSecrets(text string) (cut string, words []string, err error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if !utf8.ValidString(text) || strings.ContainsAny(text, "\r\u0085\u2028\u2029\ufeff") {
		return "", nil, errors.New("it has characters that may be ends of lines")
	}
	defer func() { // the parser panics on some texts
		if p := recover(); p != nil {
			cut, words, err = "", nil, fmt.Errorf("it is no YAML: %v", p)
		}
	}()
	c := &cutter{known: knownKeys()}
	if err := c.read(text); err != nil {
		return "", nil, fmt.Errorf("it is no YAML: %w", err)
	}
	return c.apply(text), c.words, nil
}

// cutter finds in a tree of YAML what has to go. yaml.v3 tells where a node begins and not
// where it ends: what goes ends where the next node begins.
type cutter struct {
	known map[string]bool
	cuts  []cutting
	open  bool // the last one has no end yet
	words []string
}

// cutting is a key whose value goes.
type cutting struct {
	key  string
	from spot
	to   spot // zero: the end of the text
}

// spot is where a node begins: line and column, from 1, in characters.
type spot struct{ line, column int }

// read finds what goes.
func (c *cutter) read(text string) error {
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var document yaml.Node
		if err := d.Decode(&document); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		c.visit(&document)
	}
}

func (c *cutter) visit(n *yaml.Node) {
	if n.Kind != yaml.DocumentNode {
		c.meet(n)
	}
	if n.Kind != yaml.MappingNode {
		for _, child := range n.Content {
			c.visit(child)
		}
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.Value != "environment" && c.known[key.Value] {
			c.visit(key)
			c.visit(value)
			continue
		}
		c.meet(key)
		c.cuts = append(c.cuts, cutting{key: key.Value, from: spot{key.Line, key.Column}})
		c.open = true
		c.gather(value)
	}
}

// meet notes that another node begins, which stays.
func (c *cutter) meet(n *yaml.Node) {
	if c.open {
		c.cuts[len(c.cuts)-1].to, c.open = spot{n.Line, n.Column}, false
	}
}

// gather takes the plain values of what goes.
func (c *cutter) gather(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		c.words = append(c.words, n.Value)
	}
	for _, child := range n.Content {
		c.gather(child)
	}
}

func (c *cutter) apply(text string) string {
	lines := strings.SplitAfter(text, "\n")
	starts := make([]int, len(lines))
	for i := 1; i < len(lines); i++ {
		starts[i] = starts[i-1] + len(lines[i-1])
	}
	offset := func(p spot) int {
		line, at := lines[p.line-1], 0
		for range p.column - 1 {
			_, size := utf8.DecodeRuneInString(line[at:])
			at += size
		}
		return starts[p.line-1] + at
	}
	var out strings.Builder
	done := 0
	for _, one := range c.cuts {
		from, to, tail := offset(one.from), len(text), ""
		if one.to != (spot{}) {
			// Before the next node stand blanks and dashes of its own line, or, between
			// braces, the end of what goes.
			to = offset(one.to)
			if before := text[starts[one.to.line-1]:to]; one.to.line > one.from.line && strings.Trim(before, " -") == "" {
				to -= len(before)
			} else {
				tail = ", "
			}
		}
		fmt.Fprintf(&out, "%s%s: %s%s%s", text[done:from], strings.Join(strings.Fields(one.key), " "), removed, tail, strings.Repeat("\n", strings.Count(text[from:to], "\n")))
		done = to
	}
	return out.String() + text[done:]
}

// knownKeys are all keys that stand anywhere in a group file, by its schema.
var knownKeys = sync.OnceValue(func() map[string]bool {
	known := map[string]bool{}
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, one := range v {
				look(one)
			}
		case map[string]any:
			if properties, ok := v["properties"].(map[string]any); ok {
				for key := range properties {
					known[key] = true
				}
			}
			for _, one := range v {
				look(one)
			}
		}
	}
	var schema any
	_ = json.NewDecoder(bytes.NewReader(configs.Schema())).Decode(&schema) // nothing known, and all goes, if it were broken
	look(schema)
	return known
})
