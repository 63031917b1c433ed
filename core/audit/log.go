package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of the log.
const (
	maxBytes = 16 << 20 // of one file; then another one is begun
	maxOld   = 4        // files before it that stay
	maxLine  = 64 << 20 // of an entry; the first one names every right
)

// Entry is one change.
type Entry struct {
	Seq     uint64    `json:"seq"`               // from 1, without a gap
	Time    time.Time `json:"time"`              // of the machine's clock, which may be wrong
	Event   string    `json:"event"`             // what was done: start, reload, token ...
	By      string    `json:"by,omitempty"`      // who asked, as far as it is known
	Added   []string  `json:"added,omitempty"`   // rights that came
	Removed []string  `json:"removed,omitempty"` // rights that went
	Note    string    `json:"note,omitempty"`
	// Prev is the SHA-256 of the line before, without its line feed, in hex; empty in the
	// very first entry. The first entry of a later file has that of the file before.
	Prev string `json:"prev"`
	// Sum is that of its own line, for whoever keeps it elsewhere: in the journal, an end
	// that was cut off the log is noticed.
	Sum string `json:"-"`
}

// Log is an audit log at a path.
type Log struct {
	path string
	max  int64
}

// At returns the log whose newest entries stand in the file path. It opens nothing.
func At(path string) *Log { return &Log{path: path, max: maxBytes} }

// Append writes e behind the last entry and returns it as written: with its number, and the sum
// of the one before. It is on disk when Append returns.
func (l *Log) Append(e Entry) (Entry, error) {
	err := l.locked(func(f *os.File) (err error) {
		e, err = l.append(f, e)
		return err
	})
	return e, err
}

// Change compares the rights that are in force with those that the log knows of, and writes
// what came and what went. Where nothing has changed it writes nothing, and ok is false. The
// rights may come in any order and more than once.
func (l *Log) Change(e Entry, rights []string) (written Entry, ok bool, err error) {
	err = l.locked(func(f *os.File) error {
		known, err := replay(f)
		if err != nil {
			return err
		}
		if e.Added, e.Removed = Diff(known, Set(rights)); len(e.Added)+len(e.Removed) == 0 {
			return nil
		}
		ok = true
		written, err = l.append(f, e)
		return err
	})
	return written, ok && err == nil, err
}

// Rights returns the rights that the log knows of: none before it has begun.
func (l *Log) Rights() (map[string]bool, error) {
	f, err := os.Open(l.path)
	if errors.Is(err, os.ErrNotExist) {
		return map[string]bool{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	defer f.Close()
	return replay(f)
}

// Set are the rights of a list, in which one may stand more than once.
func Set(rights []string) map[string]bool {
	set := make(map[string]bool, len(rights))
	for _, r := range rights {
		set[r] = true
	}
	return set
}

// Diff returns, sorted, what came and what went from one set of rights to the other.
func Diff(from, to map[string]bool) (added, removed []string) {
	for r := range to {
		if !from[r] {
			added = append(added, r)
		}
	}
	for r := range from {
		if !to[r] {
			removed = append(removed, r)
		}
	}
	slices.Sort(added)
	slices.Sort(removed)
	return added, removed
}

// locked calls work with the file, which nobody else writes meanwhile.
func (l *Log) locked(work func(*os.File) error) error {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the audit log: %w", err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock the audit log: %w", err)
	}
	// Another one may have begun a new file between open and lock.
	here, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at the audit log: %w", err)
	}
	if there, err := os.Stat(l.path); err != nil || !os.SameFile(here, there) {
		return l.locked(work)
	}
	if err := work(f); err != nil {
		return fmt.Errorf("audit log %s: %w", l.path, err)
	}
	return nil
}

// append writes e at the end of the file, which the caller has locked.
func (l *Log) append(f *os.File, e Entry) (Entry, error) {
	size, last, torn, err := tail(f)
	if err != nil {
		return e, err
	}
	if torn > 0 {
		// A power cut came while it was written: nobody was told that it was there.
		if err := f.Truncate(size); err != nil {
			return e, err
		}
		e.Note = strings.TrimPrefix(e.Note+fmt.Sprintf("; %d bytes of an entry that a power cut had cut off were removed", torn), "; ")
	}
	if last != nil {
		var before Entry
		if err := json.Unmarshal(last, &before); err != nil {
			return e, fmt.Errorf("the last line is no entry (`greengate audit` tells more; move the file away to begin another): %w", err)
		}
		e.Seq, e.Prev = before.Seq, sum(last)
	}
	e.Seq++
	if size > l.max {
		return l.begin(f, e)
	}
	e.Sum, err = write(f, size, e)
	return e, err
}

// write puts an entry at the offset, down to the disk, and returns the sum of its line.
func write(f *os.File, at int64, e Entry) (string, error) {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return "", err
	}
	if line.Len() > maxLine {
		return "", fmt.Errorf("an entry of %d bytes is larger than %d", line.Len(), maxLine)
	}
	_, err := f.WriteAt(line.Bytes(), at)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		// Half an entry would be in the way of the next; a whole one will be written again.
		return "", errors.Join(err, f.Truncate(at))
	}
	return sum(line.Bytes()[:line.Len()-1]), nil
}

// tail returns how long the whole lines of the file are, the last of them, and how many
// bytes follow that are no line.
func tail(f *os.File) (size int64, last []byte, torn int64, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, nil, 0, err
	}
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return size, last, int64(len(line)), nil
		}
		if err != nil {
			return 0, nil, 0, err
		}
		size += int64(len(line))
		last = line[:len(line)-1]
	}
}

// replay returns the rights that the entries of the file add up to.
func replay(f *os.File) (map[string]bool, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	rights := map[string]bool{}
	for e, err := range entries(f) {
		if err != nil {
			return nil, fmt.Errorf("entry after %d: %w (`greengate audit` tells more; move the file away to begin another)", e.Seq, err)
		}
		for _, r := range e.Added {
			rights[r] = true
		}
		for _, r := range e.Removed {
			delete(rights, r)
		}
	}
	return rights, nil
}

func sum(line []byte) string {
	s := sha256.Sum256(line)
	return hex.EncodeToString(s[:])
}
