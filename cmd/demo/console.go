package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// console is the terminal that several processes share: it writes whole lines,
// each with the name of the process that wrote it. Its writers are safe for
// concurrent use.
type console struct {
	mu     sync.Mutex // protects out
	out    io.Writer
	colour bool
}

// newConsole uses colours only on a terminal, and not when the person asked
// for none (https://no-color.org).
func newConsole(f *os.File) *console {
	info, err := f.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &console{out: f, colour: terminal && os.Getenv("NO_COLOR") == ""}
}

// ANSI colours, one for each process; bold for what the demo itself says.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	blue   = "34"
	purple = "35"
	cyan   = "36"
)

// paint colours s if there are colours.
func (c *console) paint(colour, s string) string {
	if !c.colour {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// print writes one line under name.
func (c *console) print(name, colour, line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.out, "%s %s\n", c.paint(colour, fmt.Sprintf("%-8s |", name)), line)
}

// verdicts are the words of which a reader wants to see the difference: those
// of the gate, and the lamps that are lit.
var verdicts = []struct{ word, colour string }{
	{"delivered", green}, {"queued", green}, {"refused", red}, {"dropped", red},
	{"● red", red}, {"● yellow", yellow}, {"● green", green},
}

// lines is the output of one process on its way to the console. It belongs to
// the goroutine that copies that output.
type lines struct {
	to           *console
	name, colour string
	skip         func(line string) bool // nil: none
	rest         []byte                 // the line that has not ended yet
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		l.emit(string(line))
		l.rest = rest
	}
}

// end writes what stands behind the last line break.
func (l *lines) end() {
	if len(l.rest) > 0 {
		l.emit(string(l.rest))
		l.rest = nil
	}
}

func (l *lines) emit(line string) {
	if l.skip != nil && l.skip(line) {
		return
	}
	for _, v := range verdicts {
		line = strings.ReplaceAll(line, v.word, l.to.paint(v.colour, v.word))
	}
	l.to.print(l.name, l.colour, line)
}
