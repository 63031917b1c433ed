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
	Line int
	Why  string
}

func (b *Broken) Error() string { return fmt.Sprintf("%s:%d: %s", b.File, b.Line, b.Why) }

// Read yields every entry, the oldest first, of all files that there are. Where the chain does
// not hold the error is a *Broken beside the entry, and Read goes on behind it; another error
// is the last.
func (l *Log) Read() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var c chain
		for _, file := range append(l.old(), l.path) {
			if !c.walk(file, yield) {
				return
			}
		}
	}
}

// Verify reads all entries; the error joins every place where the chain does not hold. The
// sum is that of the newest line: who keeps it elsewhere (the journal has it) finds out also
// when lines were cut off at the end.
func (l *Log) Verify() (n int, newest string, err error) {
	var c chain
	for _, file := range append(l.old(), l.path) {
		c.walk(file, func(_ Entry, e error) bool {
			n++
			err = errors.Join(err, e)
			return true
		})
	}
	return n, c.sum, err
}

// chain is what the entries so far demand of the next.
type chain struct {
	begun bool
	seq   uint64
	sum   string
}

// walk yields the entries of a file until yield wants no more.
func (c *chain) walk(file string, yield func(Entry, error) bool) bool {
	f, err := os.Open(file)
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
		e, why := c.link(line)
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

// link checks that the line follows the one before.
func (c *chain) link(line []byte) (e Entry, why string) {
	err := json.Unmarshal(line, &e)
	switch {
	case err != nil:
		why = "the line is no entry: " + err.Error()
	case c.begun && e.Seq != c.seq+1:
		why = fmt.Sprintf("entry %d follows entry %d", e.Seq, c.seq)
	case c.begun && e.Prev != c.sum:
		why = fmt.Sprintf("the entry before %d is not the one that was there when it was written", e.Seq)
	case !c.begun && e.Seq == 1 && e.Prev != "":
		why = "the first entry has one before it"
	}
	c.begun, c.seq, c.sum = true, e.Seq, sum(line)
	return e, why
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
