package configs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// flow renders n in one line, in flow style, with the quotes that the file has:
// what a person recognises as his own row, whether it stands there in one line
// or in five.
func flow(n *yaml.Node) string {
	var b bytes.Buffer
	writeFlow(&b, n)
	return b.String()
}

func writeFlow(b *bytes.Buffer, n *yaml.Node) {
	switch n.Kind {
	case yaml.AliasNode:
		// As the file writes it: what the anchor holds may be large.
		b.WriteByte('*')
		b.WriteString(n.Value)
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteString(", ")
			}
			writeFlow(b, n.Content[i])
			b.WriteString(": ")
			writeFlow(b, n.Content[i+1])
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteString(", ")
			}
			writeFlow(b, item)
		}
		b.WriteByte(']')
	default:
		b.WriteString(scalarText(n))
	}
}

// scalarText writes a scalar with the quotes that it has, or that it needs in
// one line.
func scalarText(n *yaml.Node) string {
	switch {
	case n.Style&yaml.SingleQuotedStyle != 0 && !strings.Contains(n.Value, "\n"):
		return "'" + strings.ReplaceAll(n.Value, "'", "''") + "'"
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return quoted(n.Value)
	case strings.ContainsAny(n.Value, "\n,[]{}"): // plain in a block, but not in a flow
		return quoted(n.Value)
	}
	return n.Value
}

var plainWord = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)

// yamlWords are read as something other than text by one YAML version or
// another.
var yamlWords = []string{"true", "false", "yes", "no", "on", "off", "y", "n", "null"}

// quoteScalar writes s so that every YAML parser reads it back as this text.
func quoteScalar(s string) string {
	if plainWord.MatchString(s) && !slices.Contains(yamlWords, strings.ToLower(s)) {
		return s
	}
	return quoted(s)
}

// quoted writes s in quotes as JSON has it, which YAML reads, too.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x10000 && !unicode.IsPrint(r): // beyond, JSON has only pairs, which YAML does not know
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// isJSON tells whether a file is meant to be JSON: YAML in braces has no quotes
// around its keys as a rule.
func isJSON(root *yaml.Node) bool {
	return root.Style&yaml.FlowStyle != 0 && len(root.Content) > 0 && root.Content[0].Style&yaml.DoubleQuotedStyle != 0
}

// quoteJSON gives the keys and the texts of n the quotes without which they are no JSON.
func quoteJSON(n *yaml.Node) {
	for i, c := range n.Content {
		isKey := n.Kind == yaml.MappingNode && i%2 == 0
		if c.Kind == yaml.ScalarNode && (isKey || c.Style != 0 || !json.Valid([]byte(c.Value))) {
			c.Style = yaml.DoubleQuotedStyle
		}
		quoteJSON(c)
	}
}
