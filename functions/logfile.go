package functions

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// logFile keeps the last lines of a function in two files that take turns: NAME.log,
// and NAME.log.1, which was it before. Its owner guards it.
type logFile struct {
	path string
	most int64 // bytes of each
	file *os.File
	size int64
}

func openLogFile(path string, most int64) (*logFile, error) {
	l := &logFile{path: path, most: most}
	return l, l.open()
}

func (l *logFile) open() error {
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("open the log of a function: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return fmt.Errorf("open the log of a function: %w", err)
	}
	l.file, l.size = file, info.Size()
	return nil
}

// write adds a line. What a crash has cut in the middle is left to readers.
func (l *logFile) write(line Line) error {
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	text := fmt.Appendf(nil, "%s\t%s\t%s\t%s\n", line.Time.UTC().Format(logTime), line.Stream, line.Instance, line.Text)
	if l.size > 0 && l.size+int64(len(text)) > l.most {
		if err := l.turn(); err != nil {
			return err
		}
	}
	n, err := l.file.Write(text)
	l.size += int64(n)
	if err != nil {
		return fmt.Errorf("write the log of a function: %w", err)
	}
	return nil
}

const logTime = "2006-01-02T15:04:05.000000Z"

// turn begins a new file.
func (l *logFile) turn() error {
	err := l.file.Close()
	l.file = nil
	if err := errors.Join(err, os.Rename(l.path, l.path+".1")); err != nil {
		return fmt.Errorf("turn the log of a function: %w", err)
	}
	return l.open()
}

func (l *logFile) close() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// readLog returns the last n lines of a log, the oldest first.
func readLog(path string, n int) ([]Line, error) {
	var lines []Line
	found := false
	for _, p := range []string{path + ".1", path} {
		data, err := os.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the log of a function: %w", err)
		}
		found = true
		for text := range bytes.Lines(data) {
			if line, ok := parseLine(string(text)); ok {
				lines = append(lines, line)
			}
		}
	}
	if !found {
		return nil, fmt.Errorf("read the log %s: %w", filepath.Base(path), fs.ErrNotExist)
	}
	return lines[max(0, len(lines)-max(0, n)):], nil
}

// parseLine reads what write wrote; false: a crash has cut it.
func parseLine(text string) (Line, bool) {
	text, whole := strings.CutSuffix(text, "\n")
	parts := strings.SplitN(text, "\t", 4)
	if !whole || len(parts) != 4 {
		return Line{}, false
	}
	at, err := time.Parse(logTime, parts[0])
	return Line{Time: at, Stream: parts[1], Instance: parts[2], Text: parts[3]}, err == nil
}

// readLines calls each with every line of r, without its end and cut to most bytes,
// until r ends. What is cut is said.
func readLines(r *bufio.Reader, most int, each func(string)) {
	line := make([]byte, 0, 256)
	cut := 0
	flush := func() {
		text := clean(bytes.TrimSuffix(line, []byte("\r")))
		if cut > 0 {
			text += fmt.Sprintf(" [%d bytes more]", cut)
		}
		each(text)
		line, cut = line[:0], 0
	}
	for {
		part, err := r.ReadSlice('\n')
		whole := len(part) > 0 && part[len(part)-1] == '\n'
		if whole {
			part = part[:len(part)-1]
		}
		room := min(len(part), most-len(line))
		line = append(line, part[:room]...)
		cut += len(part) - room
		if whole || err != nil && !errors.Is(err, bufio.ErrBufferFull) && len(line) > 0 {
			flush()
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// clean makes a line safe for a terminal and for the journal: what would steer them is
// written as Go writes it.
func clean(line []byte) string {
	plain := func(r rune) bool { return r == '\t' || r != utf8.RuneError && unicode.IsPrint(r) }
	if bytes.IndexFunc(line, func(r rune) bool { return !plain(r) }) < 0 {
		return string(line)
	}
	var b strings.Builder
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, line[0])
		case plain(r) || r == utf8.RuneError:
			b.WriteRune(r)
		default:
			quoted := fmt.Sprintf("%q", r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		line = line[n:]
	}
	return b.String()
}
