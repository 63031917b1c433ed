package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a group file, and where.
type Fault struct {
	File   string
	Line   int // from 1; 0: the file as a whole
	Column int // from 1, in characters
	// Path is the key's, as in devices[2].thing; empty for the file itself.
	Path string
	// Problem says what is wrong; Value is what stands in the file, when it is
	// a plain value.
	Problem, Value string
	// Hint says what to write instead.
	Hint string
	// Warning marks what is legal, but hardly meant.
	Warning bool
}

// Error returns `FILE:LINE:COL: path: what is wrong (what to write instead)`.
func (f Fault) Error() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File + ":")
	}
	if f.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", f.Line, f.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if f.Warning {
		b.WriteString("warning: ")
	}
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Problem)
	if f.Hint != "" {
		b.WriteString(" (" + f.Hint + ")")
	}
	return b.String()
}

// Faults are all that is wrong with a file, in the order of the file. It is the
// error of Load and Parse.
type Faults []Fault

// Error has one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// With returns fs and more, without those of more at whose path fs has one already, in
// the order of the file.
func (fs Faults) With(more ...Fault) Faults {
	all := slices.Clone(fs)
	for _, f := range more {
		if !fs.Has(f.Path) {
			all = append(all, f)
		}
	}
	all.sort()
	return all
}

// Has tells whether one of fs is at that path.
func (fs Faults) Has(path string) bool {
	return slices.ContainsFunc(fs, func(f Fault) bool { return f.Path == path })
}

// sort puts what has no line last.
func (fs Faults) sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(uint(a.Line)-1, uint(b.Line)-1), cmp.Compare(a.Column, b.Column))
	})
}
