package configs

import (
	_ "embed"
	"strconv"
	"strings"
)

// SchemaFile is the name of the JSON Schema that the sample names for editors;
// it belongs beside the group file.
const SchemaFile = "group.schema.json"

//go:embed group.yaml.tmpl
var sampleText string

// SampleOptions are what differs from site to site. Empty fields take the
// defaults.
type SampleOptions struct {
	Group, Core string
	Data, PKI   string // folders
	// Broker and Discovery are the addresses to listen on.
	Broker, Discovery []string
	Quiet             bool // no DNS-SD announcement
}

// Sample returns the commented group file of a new site. It teaches every key,
// has no devices and no rows, and is checked: options that make no legal file
// are an error (Faults).
func Sample(o SampleOptions) ([]byte, error) {
	d := Default()
	or := func(s, otherwise string) string {
		if s == "" {
			s = otherwise
		}
		return quoteScalar(s)
	}
	list := func(given, otherwise []string) string {
		if len(given) == 0 {
			given = otherwise
		}
		words := make([]string, len(given))
		for i, s := range given {
			words[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(words, ", ") + "]"
	}
	// No text/template: it calls methods by name, for which the linker would keep
	// every exported method of the program.
	text := []byte(strings.NewReplacer(
		"{{.Group}}", or(o.Group, "home"), "{{.Core}}", or(o.Core, "gateway_Core"),
		"{{.Data}}", or(o.Data, d.Data), "{{.PKI}}", or(o.PKI, d.PKI.Dir),
		"{{.Broker}}", list(o.Broker, d.Broker.Listen), "{{.Discovery}}", list(o.Discovery, d.Discovery.Listen),
		"{{.Announce}}", strconv.FormatBool(!o.Quiet),
	).Replace(sampleText))
	if _, err := Parse("", text); err != nil {
		return nil, err
	}
	return text, nil
}
