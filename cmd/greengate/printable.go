package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// printable takes out of what a device wrote all that could command a terminal, or end a
// line: whoever reads it shall not take the device's words for the gateway's.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if commands(r) {
			return '?'
		}
		return r
	}, s)
}

// printableLines does so with a text of several lines, all but the first indented.
func printableLines(s, indent string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n"+indent)
}

// commands tells whether r does anything but stand there.
func commands(r rune) bool {
	const lineSeparator, paragraphSeparator = 0x2028, 0x2029
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == lineSeparator || r == paragraphSeparator
}

// safeJSON writes JSON with all such characters escaped. encoding/json leaves some as they
// are, and a document of a device has them as the device wrote them.
type safeJSON struct{ out io.Writer }

func (s safeJSON) Write(p []byte) (int, error) {
	safe := p
	if bytes.ContainsFunc(p, mustEscape) {
		safe = nil
		for _, r := range string(p) {
			if mustEscape(r) {
				safe = fmt.Appendf(safe, `\u%04x`, r)
			} else {
				safe = append(safe, string(r)...)
			}
		}
	}
	if _, err := s.out.Write(safe); err != nil {
		return 0, err
	}
	return len(p), nil
}

// mustEscape: JSON itself has its layout in line feeds, and those below are always escaped.
func mustEscape(r rune) bool { return r >= 0x7f && commands(r) }
