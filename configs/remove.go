package configs

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"greengate/core/message"
	"greengate/subscriptions"
)

// RowRef is an entry of the file that names a device.
type RowRef struct {
	Line int
	Text string // in one line, as the file writes it
}

// InUse is the error of RemoveDevice when entries name the device that may not
// be taken out.
type InUse struct {
	Thing string
	Rows  []RowRef
	Pins  []RowRef // bound to its shadow; they are changed by hand
}

// Error lists the entries.
func (e *InUse) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "remove %q: these entries name it:", e.Thing)
	for _, r := range slices.Concat(e.Rows, e.Pins) {
		fmt.Fprintf(&b, "\n  line %d: %s", r.Line, r.Text)
	}
	return b.String()
}

// RemoveDevice returns the group file data without the device. While rows of
// the table name the thing it refuses with *InUse, unless withRows: then they
// go, too, and are returned; from a list that names others only the name goes.
// Pins that are bound to the thing's shadow are never touched, and so refuse always.
func RemoveDevice(data []byte, thing string, withRows bool) ([]byte, []RowRef, error) {
	r, c, err := parse("", data)
	if err != nil {
		return nil, nil, err
	}
	at := findDevice(c, thing)
	if at < 0 {
		var known []string
		for _, d := range c.Devices {
			known = append(known, d.Thing)
		}
		return nil, nil, fmt.Errorf("remove %q: %w%s", thing, ErrNoDevice, parenthesis(DidYouMean(thing, known, "")))
	}
	var rows, pins []RowRef
	for _, row := range c.Subscriptions {
		if names(row, thing) {
			rows = append(rows, RowRef{row.Line, row.Text})
		}
	}
	if c.GPIO != nil {
		for _, use := range c.GPIO.Things() {
			if n, _ := r.locate(parsePath(use.Path)); use.Thing == thing && n != nil {
				pins = append(pins, RowRef{n.Line, flow(n)})
			}
		}
	}
	switch {
	case len(pins) > 0 && withRows:
		return nil, nil, &InUse{Thing: thing, Pins: pins}
	case len(rows)+len(pins) > 0 && !withRows:
		return nil, nil, &InUse{thing, rows, pins}
	}
	s := newSource(data, r.root)
	_, list := entryOf(r.root, "devices")
	ok := s.cutItems(list, func(i int) bool { return i == at })
	if _, table := entryOf(r.root, "subscriptions"); len(rows) > 0 {
		ok = ok && s.cutRows(table, c.Subscriptions, thing)
	}
	if !ok {
		return nil, nil, fmt.Errorf("remove %q: %w", thing, ErrByHand)
	}
	c.Devices = slices.Delete(c.Devices, at, at+1)
	c.Subscriptions = without(c.Subscriptions, thing)
	out, err := s.finish("remove", thing, c)
	if err != nil {
		return nil, nil, err
	}
	return out, rows, nil
}

// cutRows takes the thing out of the table.
func (s *source) cutRows(table *yaml.Node, rows []subscriptions.Row, thing string) bool {
	ok := s.cutItems(table, func(i int) bool { return len(without(rows[i:i+1], thing)) == 0 })
	for i, row := range rows {
		if !names(row, thing) || len(without(rows[i:i+1], thing)) == 0 {
			continue
		}
		for key, ends := range map[string]subscriptions.Ends{"from": row.From, "to": row.To} {
			if n := child(table.Content[i], key); n != nil && len(ends) > len(otherEnds(ends, thing)) {
				ok = ok && s.cutItems(n, func(j int) bool { return isEnd(ends[j], thing) })
			}
		}
	}
	return ok
}

// isEnd tells whether an end of a row is that device.
func isEnd(end, thing string) bool {
	e, err := message.ParseEndpoint(end)
	return err == nil && e == message.DeviceEndpoint(thing)
}

func otherEnds(ends subscriptions.Ends, thing string) subscriptions.Ends {
	return slices.DeleteFunc(slices.Clone(ends), func(e string) bool { return isEnd(e, thing) })
}

// names tells whether a row names the thing.
func names(row subscriptions.Row, thing string) bool {
	return row.Shadow == thing || len(otherEnds(row.From, thing)) < len(row.From) || len(otherEnds(row.To, thing)) < len(row.To)
}

// without returns the rows as they are when the thing is gone: a row goes when
// one of its sides named nothing else.
func without(rows []subscriptions.Row, thing string) []subscriptions.Row {
	var rest []subscriptions.Row
	for _, row := range rows {
		if names(row, thing) {
			from, to := otherEnds(row.From, thing), otherEnds(row.To, thing)
			if row.Shadow == thing || len(from) == 0 || len(to) == 0 && len(row.To) > 0 {
				continue
			}
			row.From, row.To = from, to
		}
		rest = append(rest, row)
	}
	return rest
}

func parenthesis(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}
