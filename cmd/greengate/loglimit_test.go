package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"
)

// A text that a stranger wrote takes a bounded place in the log, wherever it stands.
func TestLogTextsAreBounded(t *testing.T) {
	var out bytes.Buffer
	l := newLogLimit(slog.NewJSONHandler(&out, nil))
	log := slog.New(l)
	long := "x" + strings.Repeat("\u00e9", 100_000)
	log.Warn("client refused", "addr", "10.0.0.1", "client_id", long, "err", errors.New(long), "n", 5)
	log.With("topic", long).Info("message refused", "thing", long)
	log.Info("short", "err", errors.New("as it is"), "text", "as it is")
	lines := strings.Split(out.String(), "\n")
	for i, line := range lines[:3] {
		if len(line) > 2*maxText+300 || !utf8.ValidString(line) {
			t.Errorf("line %d has %d bytes: %s", i, len(line), line)
		}
		if i < 2 && strings.Count(line, "... (200001 bytes)") != 2 {
			t.Errorf("line %d does not say how long its texts were: %s", i, line)
		}
	}
	if !strings.Contains(lines[0], `"n":5`) || strings.Count(lines[2], "as it is") != 2 {
		t.Errorf("the log has changed what is short: %s", out.String())
	}
	for k := range l.buckets {
		if len(k.thing) > maxText+30 {
			t.Errorf("a name of %d bytes is kept", len(k.thing))
		}
	}
	out.Reset()
	log.Error("panic", "err", errors.New(strings.Repeat("stack ", 1000)))
	if out.Len() < 6000 {
		t.Errorf("the stack of an error is cut to %d bytes", out.Len())
	}
}
