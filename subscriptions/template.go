package subscriptions

import (
	"fmt"
	"strings"
)

// The placeholders of a topic: the thing names of the two ends of a row.
const (
	fromHole = "${from}"
	toHole   = "${to}"
)

// template is a level that holds a placeholder beside other text or another
// placeholder, as in dev-${from}: texts[0] holes[0] texts[1] ... texts[n].
type template struct {
	texts []string
	holes []string // fromHole or toHole
	fixed int      // bytes in texts
}

// parseTemplate reads one level. It has no holes when the level is plain text.
func parseTemplate(level string) template {
	var t template
	for {
		f, o := strings.Index(level, fromHole), strings.Index(level, toHole)
		if f < 0 && o < 0 {
			break
		}
		hole, at := fromHole, f
		if f < 0 || o >= 0 && o < f {
			hole, at = toHole, o
		}
		t.texts = append(t.texts, level[:at])
		t.holes = append(t.holes, hole)
		level = level[at+len(hole):]
	}
	t.texts = append(t.texts, level)
	for _, s := range t.texts {
		t.fixed += len(s)
	}
	return t
}

// bind tells whether the level is the template with from in place of ${from},
// and the name in place of ${to}: to when that is known already, else
// whatever stands there. The name is empty when the template has no ${to}.
func (t *template) bind(level, from, to string) (bound string, ok bool) {
	size := len(level) - t.fixed
	unbound := 0
	for _, h := range t.holes {
		switch {
		case h == fromHole:
			size -= len(from)
		case to != "":
			size -= len(to)
		default:
			unbound++
		}
	}
	switch {
	case unbound == 0 && size != 0, unbound > 0 && (size <= 0 || size%unbound != 0):
		return "", false
	case unbound > 0:
		size /= unbound
	}
	for i, h := range t.holes {
		if level, ok = strings.CutPrefix(level, t.texts[i]); !ok {
			return "", false
		}
		value := from
		if h == toHole {
			if to == "" {
				if len(level) < size {
					return "", false
				}
				to = level[:size]
			}
			value = to
		}
		if level, ok = strings.CutPrefix(level, value); !ok {
			return "", false
		}
	}
	return to, level == t.texts[len(t.holes)]
}

// checkHoles returns an error for a placeholder that is none of ours.
func checkHoles(topic string) error {
	for rest := topic; ; {
		_, after, found := strings.Cut(rest, "${")
		if !found {
			return nil
		}
		name, tail, closed := strings.Cut(after, "}")
		switch {
		case !closed:
			return fmt.Errorf("a placeholder is not closed")
		case name != "from" && name != "to":
			return fmt.Errorf("${%s} is no placeholder", name)
		}
		rest = tail
	}
}

// meet tells whether some topic matches both the topic of a row and a filter
// (or is the filter, when that is a topic). from and to are the thing names of
// the ends; empty: any.
func meet(row, filter, from, to string) bool {
	// A placeholder begins with $ too, but never stands for such a text.
	if wild(filter) && strings.HasPrefix(row, "$") && !strings.HasPrefix(row, "${") ||
		wild(row) && strings.HasPrefix(filter, "$") {
		return false // [MQTT-4.7.2-1]
	}
	for {
		r, rowRest, rowMore := strings.Cut(row, "/")
		f, filterRest, filterMore := strings.Cut(filter, "/")
		switch {
		case r == "#" || f == "#":
			return true
		case r != "+" && f != "+" && !levelMeets(r, f, from, to):
			return false
		case !rowMore && !filterMore:
			return true
		case !rowMore:
			return filterRest == "#"
		case !filterMore:
			return rowRest == "#"
		}
		row, filter = rowRest, filterRest
	}
}

func wild(filter string) bool {
	return strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#")
}

// levelMeets tells whether a level of a row may be that text. Of a name that
// is not known it asks only that there is room for one.
func levelMeets(row, text, from, to string) bool {
	if !strings.Contains(row, "${") {
		return row == text
	}
	if from != "" {
		row = strings.ReplaceAll(row, fromHole, from)
	}
	if to != "" {
		row = strings.ReplaceAll(row, toHole, to)
	}
	t := parseTemplate(row)
	if len(t.holes) == 0 {
		return row == text
	}
	return len(text) >= t.fixed+len(t.holes) &&
		strings.HasPrefix(text, t.texts[0]) && strings.HasSuffix(text, t.texts[len(t.holes)])
}
