package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"greengate/core/admin/client"
)

// Bounds of what the log takes. A device that connects and is cut ten times a
// second would write 80 MB a day to the card; what a person learns of it stands
// in the first lines and the count of the others.
const (
	lineBurst  = 20              // lines of one message about one thing at once
	lineEvery  = 6 * time.Second // and then one in so long
	wordBurst  = 500             // of one message about all things
	wordEvery  = time.Second
	maxBuckets = 4096
	sumUpAfter = time.Minute
	// maxText bounds one text of a line, in bytes: others write into it. Those of errors
	// may have a stack.
	maxText      = 512
	maxErrorText = 16 << 10
)

// logLimit bounds the lines of each message, for each thing and in all, and the texts in
// them. What it held back it tells a minute later, by number. Debug lines pass: somebody asked
// for them. So do those that functions write, and whole: they are bounded where they come from.
type logLimit struct {
	next  slog.Handler
	thing string // of the attributes so far
	*logBuckets
}

// logBuckets is shared by all handlers that come of one.
type logBuckets struct {
	told slog.Handler // for the sums, without attributes
	held atomic.Uint64

	mu      sync.Mutex
	buckets map[logKey]*logBucket
}

type logKey struct{ message, thing string }

// logBucket holds the lines that may still be written.
type logBucket struct {
	lines float64
	at    time.Time
	held  uint64 // since the last sum
}

func newLogLimit(next slog.Handler) *logLimit {
	return &logLimit{next: next, logBuckets: &logBuckets{told: next, buckets: map[logKey]*logBucket{}}}
}

func (l *logLimit) Enabled(ctx context.Context, level slog.Level) bool {
	return l.next.Enabled(ctx, level)
}

func (l *logLimit) WithAttrs(attrs []slog.Attr) slog.Handler {
	thing := l.thing
	attrs = slices.Clone(attrs)
	for i := range attrs {
		attrs[i], _ = clipAttr(attrs[i], maxText)
		thing = thingOf(attrs[i], thing)
	}
	return &logLimit{l.next.WithAttrs(attrs), thing, l.logBuckets}
}

func (l *logLimit) WithGroup(name string) slog.Handler {
	return &logLimit{l.next.WithGroup(name), l.thing, l.logBuckets}
}

// thingOf returns what a line is about, by one more attribute: the thing, the end that a
// message comes from, or where somebody comes from who is none. Each connection has
// another port, and a message may have any topic.
func thingOf(a slog.Attr, sofar string) string {
	switch a.Key {
	case "thing":
		return cmp.Or(a.Value.String(), sofar)
	case "from":
		return cmp.Or(sofar, a.Value.String())
	case "addr", "remote":
		if host, _, err := net.SplitHostPort(a.Value.String()); err == nil {
			return cmp.Or(sofar, host)
		}
		return cmp.Or(sofar, a.Value.String())
	}
	return sofar
}

func (l *logLimit) Handle(ctx context.Context, r slog.Record) error {
	written := false
	r.Attrs(func(a slog.Attr) bool {
		written = a.Key == "stream"
		return !written
	})
	if written {
		return l.next.Handle(ctx, r)
	}
	r = clipRecord(r)
	thing := l.thing
	r.Attrs(func(a slog.Attr) bool {
		thing = thingOf(a, thing)
		return true
	})
	if r.Level >= slog.LevelInfo && !l.admit(logKey{r.Message, thing}, time.Now()) {
		return nil
	}
	return l.next.Handle(ctx, r)
}

// clipRecord shortens the attributes of a line that are too long, which is rare.
func clipRecord(r slog.Record) slog.Record {
	most, long := maxText, false
	if r.Level >= slog.LevelError {
		most = maxErrorText
	}
	r.Attrs(func(a slog.Attr) bool {
		_, long = clipAttr(a, most)
		return !long
	})
	if !long {
		return r
	}
	short := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		a, _ = clipAttr(a, most)
		short.AddAttrs(a)
		return true
	})
	return short
}

// clipAttr shortens a text, or an error's, that is longer than most, and then says how
// long it was.
func clipAttr(a slog.Attr, most int) (short slog.Attr, clipped bool) {
	var text string
	switch v := a.Value; v.Kind() {
	case slog.KindString:
		text = v.String()
	case slog.KindAny:
		err, ok := v.Any().(error)
		if !ok {
			return a, false
		}
		text = err.Error()
	default:
		return a, false
	}
	if len(text) <= most {
		return a, false
	}
	end := most
	for end > most-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return slog.String(a.Key, fmt.Sprintf("%s... (%d bytes)", text[:end], len(text))), true
}

// admit takes a line out of both buckets, or holds it back.
func (l *logBuckets) admit(k logKey, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.bucket(logKey{message: k.message}, wordBurst, wordEvery, now)
	one := all
	if k.thing != "" {
		one = l.bucket(k, lineBurst, lineEvery, now)
	}
	if one.lines >= 1 && all.lines >= 1 {
		all.lines--
		if one != all {
			one.lines--
		}
		return true
	}
	l.held.Add(1)
	if all.held++; all.held == 1 {
		time.AfterFunc(sumUpAfter, func() { l.sumUp(k.message) })
	}
	return false
}

// logDropped are the lines that were not written, by reason.
func logDropped(log *slog.Logger) (list []client.Reason) {
	add := func(reason string, n uint64) {
		if n > 0 {
			list = append(list, client.Reason{Reason: reason, Count: n})
		}
	}
	if limit, ok := log.Handler().(*logLimit); ok {
		add("too-many", limit.held.Load())
		if queue, ok := limit.next.(*logQueue); ok {
			add("stalled", queue.lost.Load())
		}
	}
	return list
}

// bucket returns a bucket, filled up to now. When there are too many, all begin
// anew but those that have a sum to tell: a name costs an attacker a connection.
func (l *logBuckets) bucket(k logKey, burst float64, every time.Duration, now time.Time) *logBucket {
	b := l.buckets[k]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			for k := range l.buckets {
				if k.thing != "" {
					delete(l.buckets, k)
				}
			}
		}
		b = &logBucket{lines: burst, at: now}
		l.buckets[k] = b
	}
	b.lines = min(burst, b.lines+float64(now.Sub(b.at))/float64(every))
	b.at = now
	return b
}

// sumUp tells how many lines of a message were held back.
func (l *logBuckets) sumUp(message string) {
	l.mu.Lock()
	b := l.buckets[logKey{message: message}]
	n := b.held
	b.held = 0
	l.mu.Unlock()
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines were held back, there were too many of them", 0)
	r.AddAttrs(slog.String("component", "log"), slog.String("message", message), slog.Uint64("lines", n))
	_ = l.told.Handle(context.Background(), r) // a log that fails has nobody to tell
}
