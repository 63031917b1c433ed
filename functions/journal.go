package functions

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"
)

// journal takes what the instances of a function write: to its log files, to the log of
// the gateway, and to those who follow.
type journal struct {
	log  *slog.Logger
	most int // bytes of a line
	rate budget

	mu        sync.Mutex
	file      *logFile
	lines     float64 // that may still be written
	bytes     float64
	at        time.Time // of both
	held      int       // lines held back since the last note of it
	heldBy    string    // the instance of the last of them
	dropped   uint64
	fault     error // of the file; told once
	followers map[*follower]struct{}
}

// budget is how much a function may write.
type budget struct{ lines, burst, bytes float64 }

// follower is somebody who reads lines as they come.
type follower struct {
	lines  chan Line
	missed int
}

// followRoom is how many lines a follower may be behind.
const followRoom = 256

// bytesPerLine is how many bytes of the budget come with a line: what is longer in the
// mean is held back too, since it all goes to the card.
const bytesPerLine = 512

func newJournal(path string, log *slog.Logger, b *Bounds) (*journal, error) {
	file, err := openLogFile(path, b.LogSize)
	if err != nil {
		return nil, err
	}
	j := &journal{
		log: log, most: b.LogLine, file: file, followers: map[*follower]struct{}{},
		rate: budget{float64(b.LogRate), float64(b.LogBurst), bytesPerLine},
	}
	j.lines, j.bytes = j.rate.burst, j.rate.burst*j.rate.bytes
	return j, nil
}

// read takes lines from r until it ends.
func (j *journal) read(r io.Reader, stream, instance string) {
	readLines(bufio.NewReader(r), j.most, func(text string) {
		j.take(Line{Time: time.Now(), Stream: stream, Instance: instance, Text: text})
	})
}

// take writes a line, or counts it as held back.
func (j *journal) take(line Line) {
	j.mu.Lock()
	if !j.allow(line.Time, len(line.Text)) {
		j.dropped++
		if j.held++; j.held == 1 {
			time.AfterFunc(time.Second, j.note)
		}
		j.heldBy = line.Instance
		j.mu.Unlock()
		return
	}
	fault := j.write(line)
	j.mu.Unlock()
	if fault != nil {
		j.log.Error("The log of a function cannot be written", "err", fault)
	}
	// The text is no message: it could be that of any other record.
	j.log.Info("A function wrote", "line", line.Text, "stream", line.Stream, "instance", line.Instance)
}

// allow takes a line out of the budget. The caller holds j.mu.
func (j *journal) allow(now time.Time, n int) bool {
	if !j.at.IsZero() {
		passed := max(0, now.Sub(j.at).Seconds())
		j.lines = min(j.rate.burst, j.lines+passed*j.rate.lines)
		j.bytes = min(j.rate.burst*j.rate.bytes, j.bytes+passed*j.rate.lines*j.rate.bytes)
	}
	j.at = now
	if j.lines < 1 || j.bytes < float64(n) {
		return false
	}
	j.lines--
	j.bytes -= float64(n)
	return true
}

// write writes a line to the file and to followers, and returns an error that is new.
// The caller holds j.mu.
func (j *journal) write(line Line) (fault error) {
	err := j.file.write(line)
	if err != nil && j.fault == nil {
		fault = err
	}
	j.fault = err
	for f := range j.followers {
		if f.missed > 0 {
			gap := Line{Time: line.Time, Stream: "gateway", Instance: line.Instance, Text: fmt.Sprintf("%d lines were not shown: they came too fast", f.missed)}
			select {
			case f.lines <- gap:
				f.missed = 0
			default:
			}
		}
		select {
		case f.lines <- line:
		default:
			f.missed++
		}
	}
	return fault
}

// note says how many lines were held back.
func (j *journal) note() {
	j.mu.Lock()
	n, instance := j.held, j.heldBy
	j.held = 0
	fault := j.write(Line{Time: time.Now(), Stream: "gateway", Instance: instance, Text: fmt.Sprintf("%d lines were held back: it writes too much", n)})
	j.mu.Unlock()
	if fault != nil {
		j.log.Error("The log of a function cannot be written", "err", fault)
	}
	j.log.Warn("Lines of a function were held back", "lines", n, "instance", instance)
}

// lost returns how many lines were held back.
func (j *journal) lost() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.dropped
}

// follow returns the lines that come from now on, and what ends that.
func (j *journal) follow() (lines <-chan Line, end func()) {
	f := &follower{lines: make(chan Line, followRoom)}
	j.mu.Lock()
	j.followers[f] = struct{}{}
	j.mu.Unlock()
	return f.lines, sync.OnceFunc(func() {
		j.mu.Lock()
		delete(j.followers, f)
		j.mu.Unlock()
		close(f.lines)
	})
}

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.close()
}

// logPath is the log file of a function.
func (m *Manager) logPath(name string) string { return filepath.Join(m.o.Dir, "logs", name+".log") }

// Logs returns the last n lines of a function, the oldest first; also of former runs,
// and of functions that the file has no more.
func (m *Manager) Logs(function string, n int) ([]Line, error) {
	if checkName(function) != nil {
		return nil, ErrNoFunction // nor may the name lead to another file
	}
	lines, err := readLog(m.logPath(function), n)
	if err != nil && m.find(function) == nil {
		return nil, ErrNoFunction
	}
	return lines, err
}

// FollowLogs sends the lines of a function from now on until ctx ends, then closes the
// channel. A reader that is too slow loses lines, and is told how many.
func (m *Manager) FollowLogs(ctx context.Context, function string) (<-chan Line, error) {
	f := m.find(function)
	if f == nil {
		return nil, ErrNoFunction
	}
	lines, end := f.journal.follow()
	context.AfterFunc(ctx, end)
	return lines, nil
}
