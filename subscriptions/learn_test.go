package subscriptions_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/message"
	. "greengate/subscriptions"
)

// learner is a recorder of a gateway that consists of a table and subscribers.
type learner struct {
	*Recorder
	file    string
	changes atomic.Uint64
	table   *Table
	wants   map[string][]string // by topic
	see     func(message.Endpoint, string)
}

func newLearner(t *testing.T, file, rows string) *learner {
	l := &learner{file: file, table: compile(t, rows), wants: map[string][]string{}}
	l.Recorder = NewRecorder(RecorderOptions{
		File: file, Log: slog.New(slog.DiscardHandler),
		Watch: func(see func(message.Endpoint, string)) func() {
			l.see = see
			return func() { l.see = nil }
		},
		Wants: func(_ message.Endpoint, topic string, yield func(message.Endpoint)) {
			for _, to := range l.wants[topic] {
				yield(endpoint(t, to))
			}
		},
		Table: func() *Table { return l.table }, Changes: l.changes.Load,
	})
	return l
}

// flows writes what was recorded: `from topic xCOUNT refused|allowed`.
func (l *learner) flows(t *testing.T) string {
	t.Helper()
	rec, err := l.Recorded()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range rec.Flows {
		lines = append(lines, fmt.Sprintf("%s %s x%d %v|%v", f.From, f.Topic, f.Count, names(f.Refused), names(f.Allowed)))
	}
	return strings.Join(lines, "\n")
}

func names(ends []message.Endpoint) []string {
	list := []string{}
	for _, e := range ends {
		if e.Kind == 0 {
			list = append(list, "?")
		} else {
			list = append(list, e.String())
		}
	}
	return list
}

func TestRecorder(t *testing.T) {
	l := newLearner(t, filepath.Join(t.TempDir(), "learn.json"), `- {from: switch, topic: a, to: [lamp, cloud]}`)
	if _, err := l.Recorded(); !errors.Is(err, ErrNoRecording) {
		t.Fatalf("before the start: %v", err)
	}
	if !l.Start(time.Hour) || l.Start(time.Hour) {
		t.Fatal("it does not start, or starts twice")
	}
	l.wants["a"] = []string{"lamp", "strip"}
	l.wants["b"] = []string{"lamp"}
	sw, shadow := endpoint(t, "switch"), endpoint(t, "shadow")
	l.see(sw, "a")
	l.see(sw, "a")
	l.see(sw, "b")
	l.see(sw, "nobody")
	l.see(sw, "$aws/things/lamp/shadow/get")
	l.see(shadow, "$aws/things/lamp/shadow/update/documents")
	want := `switch $aws/things/lamp/shadow/get x1 [shadow]|[]
switch a x2 [strip]|[lamp cloud]
switch b x1 [lamp]|[]
switch nobody x1 [?]|[]
shadow $aws/things/lamp/shadow/update/documents x1 []|[]`
	if got := l.flows(t); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// Who subscribes later is found with the next message.
	l.wants["nobody"] = []string{"dumb"}
	l.changes.Add(1)
	l.see(sw, "nobody")
	if got := l.flows(t); !strings.Contains(got, "switch nobody x2 [dumb]|[]") {
		t.Errorf("got\n%s", got)
	}
	if !l.Stop() || l.Stop() || l.see != nil {
		t.Error("it does not stop, or stops twice")
	}
	if got := l.flows(t); !strings.Contains(got, "switch nobody x2") {
		t.Errorf("after the end: %s", got)
	}
}

// A recording goes on after a restart, says so, and ends when its time is over.
func TestRecorderSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "learn.json")
		run := func(l *learner) (stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- l.Run(ctx) }()
			return func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		first := newLearner(t, file, "[]")
		stop := run(first)
		first.Start(3 * time.Hour)
		first.see(endpoint(t, "switch"), "a")
		time.Sleep(time.Hour)
		stop()
		time.Sleep(24 * time.Hour) // nobody runs: this is no time of the recording

		second := newLearner(t, file, "[]")
		if err := second.Load(); err != nil {
			t.Fatal(err)
		}
		stop = run(second)
		rec, err := second.Recorded()
		if err != nil || rec.Restarts != 1 || !rec.Recording || rec.Elapsed.Round(time.Minute) != time.Hour {
			t.Fatalf("after the restart: %+v, %v", rec, err)
		}
		second.see(endpoint(t, "switch"), "a")
		if got := second.flows(t); got != "switch a x2 [?]|[]" {
			t.Errorf("got %s", got)
		}
		time.Sleep(2*time.Hour + time.Second)
		if rec, _ := second.Recorded(); rec.Recording || rec.Elapsed != 3*time.Hour {
			t.Errorf("after its time: %+v", rec)
		}
		stop()

		third := newLearner(t, file, "[]")
		if err := third.Load(); err != nil || third.Recording() {
			t.Fatalf("an ended recording: %v, it records: %v", err, third.Recording())
		}
		if got := third.flows(t); got != "switch a x2 [?]|[]" {
			t.Errorf("got %s", got)
		}
	})
}

func TestRecorderSaysWhatItLost(t *testing.T) {
	file := filepath.Join(t.TempDir(), "learn.json")
	if err := os.WriteFile(file, []byte(`{"version":1,"flows":[`), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLearner(t, file, "[]")
	if err := l.Load(); err == nil {
		t.Fatal("half a file was read")
	}
	if _, err := l.Recorded(); !errors.Is(err, ErrNoRecording) || !strings.Contains(err.Error(), "is lost") {
		t.Errorf("got %v", err)
	}
	l = newLearner(t, filepath.Join(t.TempDir(), "nowhere", "learn.json"), "[]")
	l.Start(time.Hour)
	l.see(endpoint(t, "switch"), "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if rec, err := l.Recorded(); err != nil || rec.SaveFailed == nil {
		t.Errorf("nothing says that it cannot be kept: %v", err)
	}
}

// A flood of topics takes no more than its room, and what was refused stays.
func TestRecorderIsBounded(t *testing.T) {
	l := newLearner(t, filepath.Join(t.TempDir(), "learn.json"), `- {from: switch, topic: "ok/#", to: cloud}`)
	l.Start(time.Hour)
	sw := endpoint(t, "switch")
	l.see(sw, strings.Repeat("x", 5000))
	l.see(sw, "no/first")
	for i := range 10_000 {
		l.see(sw, fmt.Sprintf("ok/%d", i))
		if i%1000 == 0 {
			l.flows(t) // asks
		}
	}
	for i := range 3000 {
		l.see(sw, fmt.Sprintf("no/%d", i))
	}
	rec, err := l.Recorded()
	if err != nil || len(rec.Flows) > 4096 || rec.Missed == 0 || rec.Evicted == 0 {
		t.Errorf("%d flows, %d missed, %d evicted, %v", len(rec.Flows), rec.Missed, rec.Evicted, err)
	}
	if !slices.ContainsFunc(rec.Flows, func(f RecordedFlow) bool { return f.Topic == "no/first" }) {
		t.Error("what was refused made room for what is allowed")
	}
	if n := slices.IndexFunc(rec.Flows, func(f RecordedFlow) bool { return f.Topic == "no/2999" }); n < 0 {
		t.Error("what is allowed did not make room for what is refused")
	}
}
