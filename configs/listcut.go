package configs

import (
	"bytes"
	"strings"

	"gopkg.in/yaml.v3"
)

// cutItems takes entries out of a list. It tells whether it knows how to.
func (s *source) cutItems(list *yaml.Node, cut func(i int) bool) bool {
	if list.Kind != yaml.SequenceNode {
		return false
	}
	if list.Style&yaml.FlowStyle != 0 {
		return s.cutFlow(list, cut)
	}
	for i, item := range list.Content {
		if !cut(i) {
			continue
		}
		first, last, ok := s.blockItem(item)
		if !ok {
			return false
		}
		s.replace(s.lineStart(first), s.lineStart(last+1), "")
	}
	return true
}

// cutFlow takes entries out of a list in brackets. As in a list with dashes, the
// comments in the lines of an entry go with it, and those above it stay.
func (s *source) cutFlow(list *yaml.Node, cut func(i int) bool) bool {
	open := s.offset(list)
	items, closing, ok := s.flowItems(open)
	if !ok || len(items) != len(list.Content) {
		return false
	}
	for i := 0; i < len(items); i++ {
		if !cut(i) {
			continue
		}
		first := i
		for i+1 < len(items) && cut(i+1) {
			i++
		}
		s.cutRun(items, first, i, open, closing)
	}
	return true
}

// cutRun takes out neighbours; the entries before first and behind last stay.
func (s *source) cutRun(items []flowItem, first, last, open, closing int) {
	begin, end := open+1, closing // what stands between those that stay
	if first > 0 {
		begin = items[first-1].end
	}
	if last+1 < len(items) {
		end = items[last+1].start
	}
	run := items[first : last+1]
	comments, inLines, at := false, true, begin
	for _, it := range run {
		comments = comments || s.hasComment(at, it.start)
		inLines = inLines && s.ownsLines(it)
		at = it.end
	}
	comments = comments || s.hasComment(at, end)
	switch {
	case !comments && first == 0 && end == closing:
		s.replace(begin, end, "")
	case !comments && !inLines && end < closing: // with the comma behind
		s.replace(run[0].start, end, "")
	case !comments && !inLines: // with the comma before
		s.replace(begin, at, "")
	default:
		for _, it := range run {
			s.cutItem(it)
		}
		if first > 0 && end == closing && items[last].comma < 0 {
			comma := items[first-1].comma
			s.replace(comma, comma+1, "") // JSON has none behind the last
		}
	}
}

// hasComment tells whether there is a comment between two entries.
func (s *source) hasComment(start, end int) bool {
	return bytes.IndexByte(s.data[start:end], '#') >= 0
}

// ownsLines tells whether in the lines of an entry there is nothing but itself, its
// comma, and comments.
func (s *source) ownsLines(it flowItem) bool {
	behind := strings.TrimSpace(string(s.data[it.next():s.lineStart(s.lineOf(it.next()-1)+1)]))
	return s.startsLine(it.start) && (behind == "" || behind[0] == '#')
}

// cutItem takes out one entry with its comma.
func (s *source) cutItem(it flowItem) {
	start, end := it.start, it.next()
	switch {
	case s.ownsLines(it):
		start, end = s.lineStart(s.lineOf(start)), s.lineStart(s.lineOf(end-1)+1)
	case s.startsLine(start):
		end += len(s.data[end:]) - len(bytes.TrimLeft(s.data[end:], " \t"))
	default:
		start = len(bytes.TrimRight(s.data[:start], " \t"))
	}
	s.replace(start, end, "")
}
