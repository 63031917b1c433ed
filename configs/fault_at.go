package configs

import (
	"os"
	"strconv"
	"strings"
)

// FaultAt makes a fault of the value at a path such as gpio.leds[0].pin, for
// what only the start of a part can find wrong. Its position is that of the
// file as it is now; a path that the file does not have gets the deepest value
// on the way to it.
func (c *Config) FaultAt(at, problem, hint string) Fault {
	f := Fault{File: c.given, Path: at, Problem: problem, Hint: hint}
	data, err := os.ReadFile(c.File)
	if err != nil {
		return f
	}
	r := newReport(c.given)
	r.parse(data)
	if n, _ := r.locate(parsePath(at)); n != nil {
		f.Line, f.Column = n.Line, n.Column
	}
	return f
}

// Place makes the positions of faults from FaultAt those of the text of another file, which is to
// take the place of the one that they were found in.
func (fs Faults) Place(file string, text []byte) {
	r := newReport(file)
	r.parse(text)
	for i := range fs {
		f := &fs[i]
		f.File, f.Line, f.Column = file, 0, 0
		if n, _ := r.locate(parsePath(f.Path)); n != nil {
			f.Line, f.Column = n.Line, n.Column
		}
	}
	fs.sort()
}

// parsePath reads what path.String writes, as far as keys without quotes go.
func parsePath(s string) (p path) {
	for step := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		if i, err := strconv.Atoi(step); err == nil {
			p = append(p, i)
		} else {
			p = append(p, step)
		}
	}
	return p
}
