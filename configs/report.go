package configs

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxFaults bounds what is told of one file: a file of the wrong kind is wrong
// in every line.
const maxFaults = 1000

// report collects the faults of one file. Decoding and validation write into
// the same report, so that what could not be read is not told a second time as
// missing or out of range.
type report struct {
	file     string
	root     *yaml.Node // the top mapping; nil before parsing
	faults   Faults
	warnings Faults
	skipped  int                    // faults beyond maxFaults
	bad      map[*yaml.Node]bool    // the values that have their fault
	lifts    map[*yaml.Node]*lifted // what lists have besides their nodes
	misspelt map[misspelling]bool   // keys that are there under a wrong name
}

type misspelling struct {
	parent *yaml.Node
	key    string
}

func newReport(file string) *report {
	return &report{file: file, bad: map[*yaml.Node]bool{}, misspelt: map[misspelling]bool{}}
}

// path is the way to a value from the top: keys and indices.
type path []any

// String returns the form that people read: devices[2].thing. A key that would
// be misread stands in quotes: environment["A.B"].
func (p path) String() string {
	var b strings.Builder
	for _, step := range p {
		switch step := step.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(step) + "]")
		case string:
			switch {
			case step == "" || strings.ContainsFunc(step, func(r rune) bool { return r <= ' ' || strings.ContainsRune(`.[]"`, r) }):
				b.WriteString("[" + strconv.Quote(clip(step)) + "]")
			case b.Len() > 0:
				b.WriteString("." + clip(step))
			default:
				b.WriteString(clip(step))
			}
		}
	}
	return b.String()
}

// at records a fault of the value n.
func (r *report) at(n *yaml.Node, p path, problem, hint string) {
	r.bad[n] = true
	f := Fault{File: r.file, Line: n.Line, Column: n.Column, Path: p.String(), Problem: problem, Hint: hint}
	if n.Kind == yaml.ScalarNode {
		f.Value = clip(n.Value)
	}
	r.add(f)
}

func (r *report) add(f Fault) {
	if f.Warning {
		if len(r.warnings) < maxFaults {
			r.warnings = append(r.warnings, f)
		}
		return
	}
	if len(r.faults) >= maxFaults {
		r.skipped++
		return
	}
	r.faults = append(r.faults, f)
}

// err returns the faults in the order of the file, or nil.
func (r *report) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	r.faults.sort()
	if r.skipped > 0 {
		r.faults = append(r.faults, Fault{File: r.file, Problem: fmt.Sprintf("%d more faults are not listed", r.skipped)})
	}
	return r.faults
}

// check records a fault of the value at p that was found after decoding. It is
// left out when that value has a fault already, or stands there under a
// misspelt key.
func (r *report) check(p path, problem, hint string) { r.judge(p, problem, hint, false) }

// warn is check for what is legal, but hardly meant.
func (r *report) warn(p path, problem, hint string) { r.judge(p, problem, hint, true) }

// checkSecret is check for a value that may have a password in it: the fault does not
// repeat it.
func (r *report) checkSecret(p path, problem, hint string) {
	before := len(r.faults)
	r.check(p, problem, hint)
	for i := range r.faults[before:] {
		r.faults[before+i].Value = ""
	}
}

func (r *report) judge(p path, problem, hint string, warning bool) {
	n, found := r.locate(p)
	if n == nil || r.bad[n] {
		return
	}
	if key, ok := p[len(p)-1].(string); ok && !found && r.misspelt[misspelling{n, key}] {
		return
	}
	f := Fault{File: r.file, Line: n.Line, Column: n.Column, Path: p.String(), Problem: problem, Hint: hint, Warning: warning}
	if found && n.Kind == yaml.ScalarNode {
		f.Value = clip(n.Value)
	}
	r.add(f)
}

// has tells whether the file has a value at p.
func (r *report) has(p ...any) bool {
	_, found := r.locate(p)
	return found
}

// lineOf returns the line of the value at p; 0: the file has none.
func (r *report) lineOf(p ...any) int {
	n, found := r.locate(p)
	if !found {
		return 0
	}
	return n.Line
}

// locate returns the node of the value at p, or the deepest one on the way to
// it that the file has.
func (r *report) locate(p path) (n *yaml.Node, found bool) {
	n = r.root
	if n == nil {
		return nil, false
	}
	for _, step := range p {
		next := child(n, step)
		if i, ok := step.(int); ok && r.lifts[n] != nil && i < r.entries(n) {
			next = r.entry(n, i)
		}
		if next == nil {
			return n, false
		}
		n = next
	}
	return n, true
}

// child returns the value under a key or an index of n, through an alias; nil
// when n has no such child.
func child(n *yaml.Node, step any) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch step := step.(type) {
	case int:
		if n.Kind == yaml.SequenceNode && step < len(n.Content) {
			return n.Content[step]
		}
	case string:
		_, value := entryOf(n, step)
		return value
	}
	return nil
}

// entryOf returns key and value of a mapping; nil when it has no such key.
func entryOf(n *yaml.Node, key string) (k, v *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key && n.Content[i].Kind == yaml.ScalarNode {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// clip shortens what stands in a file to what a message can hold.
func clip(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && s[cut]&0xC0 == 0x80 { // not inside a character
		cut--
	}
	return s[:cut] + "..."
}
