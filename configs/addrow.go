package configs

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// AddRow returns the group file data with a row more at the end of `subscriptions`, and
// the line in which it stands. The row is as the file would have it, in one line:
// {from: A, topic: t, to: B}, with or without the dash before it. Every other byte stays,
// as with AddDevice; the errors are Faults and ErrByHand.
func AddRow(data []byte, row string) (text []byte, line int, err error) {
	row = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(row), "- "))
	node, err := rowNode(row)
	if err != nil {
		return nil, 0, fmt.Errorf("add the row %s: %w", row, err)
	}
	r, c, err := parse("", data)
	if err != nil {
		return nil, 0, err
	}
	s := newSource(data, r.root)
	if s.json {
		quoteJSON(node)
	}
	keys := rowKeys(node)
	inLine := func(lead string, keys []string, _ string) string { return lead + flowEntry(keys) }
	if !s.addEntry(r.root, "subscriptions", keys, inLine) {
		return nil, 0, fmt.Errorf("add the row %s: %w", row, ErrByHand)
	}
	_, got, err := s.result("add the row", row)
	if err != nil {
		return nil, 0, err
	}
	last := len(got.Subscriptions) - 1
	if last != len(c.Subscriptions) || got.Subscriptions[last].Text != flowEntry(keys) {
		return nil, 0, fmt.Errorf("add the row %s: %w", row, ErrByHand)
	}
	added := got.Subscriptions[last]
	c.Subscriptions = append(c.Subscriptions, added)
	text, err = s.finish("add the row", row, c)
	return text, added.Line, err
}

// rowNode reads the text of a row.
func rowNode(row string) (*yaml.Node, error) {
	var doc yaml.Node
	text := yaml.NewDecoder(strings.NewReader(row))
	err := text.Decode(&doc)
	if err != nil || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode || text.Decode(new(yaml.Node)) != io.EOF {
		return nil, errors.Join(errors.New("this is not one row"), err)
	}
	return doc.Content[0], nil
}

// rowKeys are the keys of a row with their values.
func rowKeys(row *yaml.Node) []string {
	var keys []string
	pairs := row.Content
	for i := 0; i+1 < len(pairs); i += 2 {
		keys = append(keys, flow(pairs[i])+": "+flow(pairs[i+1]))
	}
	return keys
}
