package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// Broken is a place where the chain does not hold: a line was changed, taken out, or put in.
type Broken struct {
	File string
	Line int // 0: it is no line's fault, but that of one that is not there
	Why  string
}

func (b *Broken) Error() string {
	if b.Line == 0 {
		return fmt.Sprintf("%s: %s", b.File, b.Why)
	}
	return fmt.Sprintf("%s:%d: %s", b.File, b.Line, b.Why)
}

// Read yields every entry with its sum, the oldest first, of all files that there are. Where the
// chain does not hold the error is a *Broken beside the entry, or without one, and Read goes on
// behind it; another error is the last.
//
// A chain without a *Broken is whole from its begin to its newest entry. Whoever keeps the sum of
// that one elsewhere (the journal has it) finds out also when lines were cut off at the end, or
// when all was written anew.
func (l *Log) Read() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		old := l.old()
		c := chain{full: len(old) >= maxOld}
		for _, file := range append(old, l.path) {
			if !c.walk(file, yield) {
				return
			}
		}
		if !c.begun {
			yield(Entry{}, &Broken{l.path, 0, "it has no entry: all were taken out, or the disk had no room for the first"})
		}
	}
}

// chain is what the entries so far demand of the next.
type chain struct {
	full  bool // there are as many old files as stay: some before them may be gone
	begun bool
	seq   uint64
	sum   string
}

// walk yields the entries of a file until yield wants no more.
func (c *chain) walk(file string, yield func(Entry, error) bool) bool {
	f, err := os.Open(file)
	if c.begun && errors.Is(err, os.ErrNotExist) {
		return yield(Entry{}, &Broken{file, 0, "it is not there, but those before it are"})
	}
	if err != nil {
		yield(Entry{}, fmt.Errorf("open the audit log: %w", err))
		return false
	}
	defer f.Close()
	n := 0
	for line, err := range lines(f) {
		if err != nil {
			yield(Entry{}, fmt.Errorf("read %s: %w", file, err))
			return false
		}
		n++
		e, why := c.link(line, n)
		err = nil
		if why != "" {
			err = &Broken{file, n, why}
		}
		if !yield(e, err) {
			return false
		}
	}
	return true
}

// link checks that the line, which is the nth of its file, follows the one before.
func (c *chain) link(line []byte, n int) (e Entry, why string) {
	err := json.Unmarshal(line, &e)
	e.Sum = sum(line)
	switch {
	case err != nil:
		why = "the line is no entry: " + err.Error()
	case !c.begun:
		why = c.begin(e, n)
	case e.Seq != c.seq+1:
		why = fmt.Sprintf("entry %d follows entry %d", e.Seq, c.seq)
	case e.Prev != c.sum:
		why = fmt.Sprintf("the entry before %d is not the one that was there when it was written", e.Seq)
	}
	c.begun, c.seq, c.sum = true, e.Seq, e.Sum
	return e, why
}

// begin checks that the record may begin with e: it is the very first entry, or the first of the
// oldest file that stays.
func (c *chain) begin(e Entry, n int) (why string) {
	switch {
	case e.Seq == 1 && e.Prev != "":
		return "the first entry has one before it"
	case e.Seq == 1 || c.full && n == 1 && e.Event == newFile:
		return ""
	}
	return fmt.Sprintf("the record begins with entry %d: those before it were taken out", e.Seq)
}

// lines yields the lines of r without their line feeds. One that is cut off is none.
func lines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		b := bufio.NewReader(r)
		for {
			line, err := b.ReadBytes('\n')
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(line[:len(line)-1], nil) {
				return
			}
		}
	}
}

// entries yields the entries of one file, whether or not they are a chain.
func entries(r io.Reader) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var last Entry
		for line, err := range lines(r) {
			var e Entry
			if err == nil {
				err = json.Unmarshal(line, &e)
			}
			if err != nil {
				yield(last, err)
				return
			}
			last = e
			if !yield(e, nil) {
				return
			}
		}
	}
}
