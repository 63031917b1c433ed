package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// moody is an error that tells another story later.
type moody struct{ text string }

func (m *moody) Error() string { return m.text }

// gatedWriter takes nothing until it is opened.
type gatedWriter struct {
	open chan struct{}
	bytes.Buffer
}

func (g *gatedWriter) Write(p []byte) (int, error) {
	<-g.open
	return g.Buffer.Write(p)
}

func TestLogNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gatedWriter{open: make(chan struct{})}
		q := newLogQueue(slog.NewTextHandler(out, nil))
		go q.run()
		defer close(q.lines)
		log := slog.New(q).With("component", "broker")
		err := &moody{"as it was"}
		log.Info("first", "err", err)
		synctest.Wait() // it is being written, which takes no room
		for range queuedLines + 7 {
			log.Info("another")
		}
		err.text = "as it became"
		if n := q.lost.Load(); n != 7 {
			t.Errorf("%d lines have no room, want 7", n)
		}
		began := time.Now()
		q.flush()
		if took := time.Since(began); took != flushWithin {
			t.Errorf("the end waits %v for a log that is stalled, want %v", took, flushWithin)
		}
		close(out.open)
		q.flush()
		text := out.String()
		if n := strings.Count(text, "msg=another component=broker"); n != queuedLines {
			t.Errorf("%d lines were written, want %d", n, queuedLines)
		}
		if n := strings.Count(text, `msg="`+lostMessage+`" component=log lines=7`); n != 1 {
			t.Errorf("what was lost is told %d times, want once:\n%.500s", n, text)
		}
		if !strings.Contains(text, `err="as it was"`) {
			t.Errorf("an error is told as it became:\n%.500s", text)
		}
	})
}
