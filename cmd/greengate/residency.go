package main

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// dropFilePages unmaps the pages of the program and its libraries, as if the process had
// just begun. They stay in the page cache, and what is touched again is mapped again, 64
// KiB for a microsecond or two. The start touches all 20 MB of the program once, a quiet
// gateway a quarter of that: without this the rest would count as its memory until the
// kernel runs short.
//
// Only mappings that were never written are touched: others would lose what was written.
// smaps is /proc/self/smaps; without it nothing happens.
func dropFilePages(smaps string) {
	f, err := os.Open(smaps)
	if err != nil {
		return
	}
	defer f.Close()
	var m mapping
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Bytes()
		if len(line) == 0 || line[0] < 'A' || line[0] > 'Z' { // the names of figures begin with a capital
			m = mappingOf(line)
		} else if m.program && bytes.HasPrefix(line, []byte("Anonymous:")) && string(bytes.Fields(line)[1]) == "0" {
			m.split()
			m.advise(m.start, m.end, syscall.MADV_DONTNEED)
		}
	}
}

// mapping is an entry of smaps: addresses, and whether it is of a file, private, and
// cannot be written.
type mapping struct {
	start, end uintptr
	program    bool
}

// mappingOf reads the line of smaps that begins a mapping: START-END PERMS ... PATH. Of
// one that it cannot read it makes none of the program.
func mappingOf(line []byte) (m mapping) {
	words := bytes.Fields(line)
	if len(words) < 6 || len(words[1]) != 4 {
		return m
	}
	from, to, _ := bytes.Cut(words[0], []byte("-"))
	start, err1 := strconv.ParseUint(string(from), 16, 64)
	end, err2 := strconv.ParseUint(string(to), 16, 64)
	m.start, m.end = uintptr(start), uintptr(end)
	m.program = err1 == nil && err2 == nil && words[1][1] == '-' && words[1][3] == 'p' && words[5][0] == '/'
	return m
}

// split makes mappings of at most 256 KiB of this one. Linux 6.18 maps a whole folio of
// the page cache where one page of it is touched, which may be 2 MiB, except where it
// would go beyond its mapping. What every other piece is told matters for nothing else.
func (m mapping) split() {
	const piece = 256 << 10
	for at := (m.start + 2*piece - 1) &^ (2*piece - 1); at < m.end; at += 2 * piece {
		m.advise(at, min(at+piece, m.end), syscall.MADV_NOHUGEPAGE)
	}
}

// advise tells the kernel about a part of the mapping. That it does not listen costs
// memory only.
func (m mapping) advise(from, to uintptr, advice int) {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, to-from, uintptr(advice))
}

// filePages tells how much of the program and its libraries is mapped, in bytes. statm is
// /proc/self/statm; 0: not known.
func filePages(statm string) int {
	text, err := os.ReadFile(statm)
	if words := bytes.Fields(text); err == nil && len(words) > 2 {
		pages, _ := strconv.Atoi(string(words[2]))
		return pages * os.Getpagesize()
	}
	return 0
}
