package configs

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

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
		return strconv.Quote(n.Value)
	case strings.ContainsAny(n.Value, "\n,[]{}"): // plain in a block, but not in a flow
		return strconv.Quote(n.Value)
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
	return strconv.Quote(s)
}
