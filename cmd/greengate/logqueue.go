package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Bounds of what waits for whoever takes the log.
const (
	queuedLines  = 1024
	flushWithin  = 2 * time.Second
	lostMessage  = "log lines were lost, nobody took them"
	logComponent = "log"
)

// logQueue has nobody wait for the log. The journal on a card that stalls for seconds,
// or a pipe that nobody reads, would hold up each device whose connection has
// something to tell. What has no room is counted, and told by number when there is
// some again. What a crash leaves in it is lost: a few lines, unless the log stalled.
type logQueue struct {
	next slog.Handler
	*logLines
}

// logLines is shared by all handlers that come of one.
type logLines struct {
	told  slog.Handler // for the sum, without attributes
	lines chan *logLine
	lost  atomic.Uint64
}

// logLine is a line and who writes it; or a question whether all before it are
// written, which closes done.
type logLine struct {
	to     slog.Handler
	record slog.Record
	done   chan struct{}
}

// newLogQueue returns a handler whose lines Run writes.
func newLogQueue(next slog.Handler) *logQueue {
	return &logQueue{next, &logLines{told: next, lines: make(chan *logLine, queuedLines)}}
}

func (q *logQueue) Enabled(ctx context.Context, level slog.Level) bool {
	return q.next.Enabled(ctx, level)
}

func (q *logQueue) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logQueue{q.next.WithAttrs(attrs), q.logLines}
}

func (q *logQueue) WithGroup(name string) slog.Handler {
	return &logQueue{q.next.WithGroup(name), q.logLines}
}

// Handle puts the line in the queue; it never waits, and never fails.
func (q *logQueue) Handle(_ context.Context, r slog.Record) error {
	select {
	case q.lines <- &logLine{to: q.next, record: settled(r)}:
	default:
		q.lost.Add(1)
	}
	return nil
}

// settled is the record as it is now: an error may tell another story when it is
// asked later, by another goroutine.
func settled(r slog.Record) slog.Record {
	s := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		a.Value = a.Value.Resolve()
		if err, ok := a.Value.Any().(error); ok && err != nil {
			a.Value = slog.StringValue(err.Error())
		}
		s.AddAttrs(a)
		return true
	})
	return s
}

// run writes the lines for as long as the process lives.
func (l *logLines) run() {
	told := uint64(0)
	for line := range l.lines {
		if line.done != nil {
			close(line.done)
			continue
		}
		_ = line.to.Handle(context.Background(), line.record) // a log that fails has nobody to tell
		if lost := l.lost.Load(); lost != told {
			r := slog.NewRecord(time.Now(), slog.LevelWarn, lostMessage, 0)
			r.AddAttrs(slog.String("component", logComponent), slog.Uint64("lines", lost-told))
			_ = l.told.Handle(context.Background(), r)
			told = lost
		}
	}
}

// flush waits until all lines so far are written, but not for a log that is stalled.
func (l *logLines) flush() {
	late := time.NewTimer(flushWithin)
	defer late.Stop()
	all := &logLine{done: make(chan struct{})}
	select {
	case l.lines <- all:
	case <-late.C:
		return
	}
	select {
	case <-all.done:
	case <-late.C:
	}
}
