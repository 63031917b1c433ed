package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"

	slogjournal "github.com/systemd/slog-journal"
)

// toJournal reports whether w is the stream that systemd reads into the journal:
// $JOURNAL_STREAM names its device and inode (systemd.exec(5)). A daemon whose
// stderr was sent elsewhere has the variable too.
func toJournal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return false
	}
	return os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// journal is a handler that writes each line to the journal of systemd, with its
// priority and its attributes as fields of their own:
//
//	journalctl -u greengate GREENGATE_THING=lamp
//
// The attributes stand in the message too, since that is all that journalctl shows.
type journal struct {
	fields slog.Handler
	words  *phrase
	plain  slog.Handler // for what the journal does not take
}

// newJournal returns a handler; the error is that there is no journal. What it does not
// take goes to plain.
func newJournal(level slog.Leveler, plain slog.Handler) (*journal, error) {
	fields, err := slogjournal.NewHandler(&slogjournal.Options{
		Level:        level,
		ReplaceAttr:  func(_ []string, a slog.Attr) slog.Attr { a.Key = fieldName(a.Key); return a },
		ReplaceGroup: fieldName,
	})
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	return &journal{fields: fields, words: newPhrase(), plain: plain}, nil
}

// fieldName makes a name that the journal takes, [A-Z0-9_], of a key, and one
// that is none of its own: PRIORITY would change how the line is shown.
func fieldName(key string) string {
	return "GREENGATE_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
}

func (j *journal) Enabled(ctx context.Context, l slog.Level) bool { return j.fields.Enabled(ctx, l) }

func (j *journal) Handle(ctx context.Context, r slog.Record) error {
	told := r.Clone()
	told.Message = j.words.say(ctx, r)
	told.PC = 0 // where in the source says nothing to an operator, and takes room
	if err := j.fields.Handle(ctx, told); err != nil {
		return j.plain.Handle(ctx, r)
	}
	return nil
}

func (j *journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journal{j.fields.WithAttrs(attrs), j.words.with(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) }), j.plain.WithAttrs(attrs)}
}

func (j *journal) WithGroup(name string) slog.Handler {
	return &journal{j.fields.WithGroup(name), j.words.with(func(h slog.Handler) slog.Handler { return h.WithGroup(name) }), j.plain.WithGroup(name)}
}

// phrase writes a record as the words of its message and key=value for each
// attribute. All that come of one share the buffer.
type phrase struct {
	*buffer
	text slog.Handler
}

type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func newPhrase() *phrase {
	b := &buffer{}
	return &phrase{b, slog.NewTextHandler(&b.Buffer, &slog.HandlerOptions{
		Level: slog.LevelDebug - 100, // the journal's handler has chosen
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
				return slog.Attr{}
			}
			return a
		},
	})}
}

func (p *phrase) with(f func(slog.Handler) slog.Handler) *phrase {
	return &phrase{p.buffer, f(p.text)}
}

func (p *phrase) say(ctx context.Context, r slog.Record) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Reset()
	if err := p.text.Handle(ctx, r); err != nil { // a buffer takes everything
		return r.Message
	}
	return strings.TrimRight(r.Message+" "+p.String(), " \n")
}
