package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// onTerminal tells whether w is the screen of a person.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isTerminal(f)
}

// screenSize returns the columns and rows of the terminal w; those of a VT100
// when it does not say.
func screenSize(w io.Writer) (columns, rows int) {
	if f, ok := w.(*os.File); ok {
		if s, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && s.Col > 0 && s.Row > 0 {
			return int(s.Col), int(s.Row)
		}
	}
	return 80, 24
}

// colours tells whether w takes colours: a terminal that is not dumb, and nobody
// has said NO_COLOR (no-color.org).
func colours(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && onTerminal(w)
}

// The control sequences that every terminal since the VT100 knows.
const (
	red       = "\x1b[31m"
	green     = "\x1b[32m"
	yellow    = "\x1b[33m"
	plain     = "\x1b[0m"
	clearLine = "\x1b[K"
	clearRest = "\x1b[J"
	cursorTop = "\x1b[H"
	hide      = "\x1b[?25l"
	unhide    = "\x1b[?25h"
	otherPage = "\x1b[?1049h" // what was on the screen comes back with firstPage
	firstPage = "\x1b[?1049l"
)
