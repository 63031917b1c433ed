package configs

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// appendItem puts an entry at the end of a list: in one line where the list or
// its last entry is in flow style, otherwise a key on each line. It tells
// whether it knows how to.
func (s *source) appendItem(list *yaml.Node, keys []string) bool {
	switch {
	case list.Kind != yaml.SequenceNode:
		return false
	case list.Style&yaml.FlowStyle != 0:
		return s.appendFlow(list, flowEntry(keys))
	case len(list.Content) == 0:
		return false
	}
	last := list.Content[len(list.Content)-1]
	first, end, ok := s.blockItem(last)
	if !ok {
		return false
	}
	// The dash and the blanks around it as the last entry has them.
	text := s.line(first)
	dash := strings.IndexByte(text, '-')
	lead := text[:dash+1+len(text[dash+1:])-len(strings.TrimLeft(text[dash+1:], " "))]
	if lead == text { // the dash stands alone
		lead = text[:dash] + "- "
	}
	if last.Style&yaml.FlowStyle != 0 {
		s.insertLine(end, lead+flowEntry(keys))
	} else {
		s.insertLine(end, blockEntry(lead, keys, s.eol))
	}
	return true
}

func flowEntry(keys []string) string { return "{" + strings.Join(keys, ", ") + "}" }

func blockEntry(lead string, keys []string, eol string) string {
	return lead + strings.Join(keys, eol+strings.Repeat(" ", len(lead)))
}

func (s *source) appendFlow(list *yaml.Node, entry string) bool {
	open := s.offset(list)
	items, closing, ok := s.flowItems(open)
	if !ok || len(items) != len(list.Content) {
		return false
	}
	if len(items) == 0 {
		s.replace(open+1, open+1, entry)
		return true
	}
	last := items[len(items)-1]
	line := s.lineOf(last.start)
	if s.lineOf(last.end-1) == line && s.lineOf(closing) > line && s.startsLine(last.start) {
		indent, _ := s.indent(line)
		if rest := strings.TrimLeft(string(s.data[last.end:closing]), " \t\r\n"); strings.HasPrefix(rest, ",") {
			entry += ","
		} else {
			s.replace(last.end, last.end, ",")
		}
		s.insertLine(line, strings.Repeat(" ", indent)+entry)
		return true
	}
	s.replace(last.end, last.end, ", "+entry)
	return true
}

// startsLine tells whether only blanks stand before at in its line.
func (s *source) startsLine(at int) bool {
	indent, _ := s.indent(s.lineOf(at))
	return s.lineStart(s.lineOf(at))+indent == at
}

// blockItem returns the first and the last line of an entry of a block list:
// from its dash to its last key, with the comments within it and those that
// follow it directly, farther in than the dash.
func (s *source) blockItem(item *yaml.Node) (first, last int, ok bool) {
	dash := 0
	for first = item.Line; ; first-- {
		if first == 0 {
			return 0, 0, false
		}
		text := strings.TrimLeft(s.line(first), " ")
		if text == "-" || strings.HasPrefix(text, "- ") || strings.HasPrefix(text, "-\t") {
			dash, _ = s.indent(first)
			break
		}
	}
	last = s.lastLine(item)
	attached := true // no blank line yet behind what belongs to the entry
	for l := last + 1; l <= len(s.lines); l++ {
		indent, kind := s.indent(l)
		switch {
		case kind == contentLine && indent <= dash:
			return first, last, true
		case kind == contentLine, kind == commentLine && indent > dash && attached:
			last, attached = l, true
		default:
			attached = false
		}
	}
	return first, last, true
}

// lastLine returns the last line of a node, as far as brackets and quotes tell;
// blockItem finds the rest by the indentation.
func (s *source) lastLine(n *yaml.Node) int {
	switch {
	case n.Kind == yaml.ScalarNode && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		return s.lineOf(s.quoteEnd(s.offset(n)) - 1)
	case len(n.Content) == 0 && n.Style&yaml.FlowStyle == 0:
		return n.Line
	case n.Style&yaml.FlowStyle != 0:
		if _, closing, ok := s.flowItems(s.offset(n)); ok {
			return s.lineOf(closing)
		}
		return n.Line
	}
	return s.lastLine(n.Content[len(n.Content)-1])
}
