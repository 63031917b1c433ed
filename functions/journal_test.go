package functions

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func texts(lines []Line) (all []string) {
	for _, l := range lines {
		all = append(all, l.Text)
	}
	return all
}

func TestReadLines(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"a\nb\r\n\nc", []string{"a", "b", "", "c"}},
		{"12345678901234\nx\n", []string{"1234567890 [4 bytes more]", "x"}},
		{strings.Repeat("y", 10000), []string{"yyyyyyyyyy [9990 bytes more]"}},
		{"\x1b[1mr\xff\tü\x00\n", []string{`\x1b[1mr\xff` + "\tü" + `\x00`}},
	} {
		var got []string
		readLines(bufio.NewReaderSize(strings.NewReader(c.text), 16), 10, func(s string) { got = append(got, s) })
		if !slices.Equal(got, c.want) {
			t.Errorf("%.20q: %q, want %q", c.text, got, c.want)
		}
	}
}

// The log is bounded, keeps the newest, and what a crash cut is skipped.
func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.log")
	if _, err := readLog(path, 1); err == nil {
		t.Error("a log that is not there is read")
	}
	var want []string
	for round := range 3 { // runs of the gateway
		l, err := openLogFile(path, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			text := fmt.Sprintf("line %d.%d\twith a tab", round, i)
			want = append(want, text)
			if err := l.write(Line{Time: time.Now(), Stream: "stdout", Instance: "f/1", Text: text}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.file.WriteString("2026-01-01T00:00"); err != nil {
			t.Fatal(err)
		}
		if _, err := l.file.WriteString("\n"); err != nil {
			t.Fatal(err)
		}
		if err := l.close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{path, path + ".1"} {
		if info, err := os.Stat(p); err != nil || info.Size() > 1050 {
			t.Errorf("%s: %v, %v", p, info, err)
		}
	}
	got, err := readLog(path, 15)
	if err != nil || !slices.Equal(texts(got), want[45:]) {
		t.Errorf("read %q, want %q (%v)", texts(got), want[45:], err)
	}
	if got[0].Stream != "stdout" || got[0].Instance != "f/1" || time.Since(got[0].Time) > time.Minute {
		t.Errorf("line %+v", got[0])
	}
}

// A line is no message in the log of the gateway: it could pass for that of another record.
func TestLineIsNoMessage(t *testing.T) {
	var out strings.Builder
	b := Bounds{}.withDefaults()
	j, err := newJournal(filepath.Join(t.TempDir(), "f.log"), slog.New(slog.NewTextHandler(&out, nil)), &b)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	j.take(Line{Time: time.Now(), Stream: "stdout", Instance: "f/1", Text: "rights have changed component=audit"})
	if want := `level=INFO msg="A function wrote" line="rights have changed component=audit" stream=stdout instance=f/1`; !strings.Contains(out.String(), want) {
		t.Errorf("got %s, want %s", &out, want)
	}
}

// A function that floods is cut to its rate, and that is said.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		log := slog.New(slog.NewTextHandler(&out, nil))
		b := Bounds{}.withDefaults()
		path := filepath.Join(t.TempDir(), "f.log")
		j, err := newJournal(path, log, &b)
		if err != nil {
			t.Fatal(err)
		}
		follow, end := j.follow()
		for i := range 5000 {
			j.take(Line{Time: time.Now(), Stream: "stdout", Instance: "f/1", Text: fmt.Sprint(i)})
		}
		time.Sleep(2 * time.Second)
		j.take(Line{Time: time.Now(), Stream: "stdout", Instance: "f/1", Text: "last"})
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
		got, err := readLog(path, 1<<20)
		if err != nil || len(got) != 1002 || got[1000].Text != "4000 lines were held back: it writes too much" || got[1001].Text != "last" {
			t.Errorf("%d lines, at the end %q (%v)", len(got), texts(got[max(0, len(got)-2):]), err)
		}
		if j.lost() != 4000 || strings.Count(out.String(), "held back") != 1 || strings.Count(out.String(), "stream=stdout") != 1001 {
			t.Errorf("%d lost; the log of the gateway has %d lines", j.lost(), strings.Count(out.String(), "\n"))
		}
		end()
		seen := 0
		for line := range follow {
			if seen++; seen > followRoom {
				t.Fatalf("a follower got %+v", line)
			}
		}
		if seen != followRoom {
			t.Errorf("a follower who does not read got %d lines", seen)
		}
	})
}

// Long lines use up the rate as many do.
func TestFloodOfBytes(t *testing.T) {
	b := Bounds{}.withDefaults()
	j, err := newJournal(filepath.Join(t.TempDir(), "f.log"), slog.New(slog.DiscardHandler), &b)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	now := time.Now()
	for range 1000 {
		j.take(Line{Time: now, Text: strings.Repeat("x", 8000)})
	}
	if j.lost() != 1000-64 {
		t.Errorf("%d lost of 1000 lines of 8000 bytes, want all beyond 512000 bytes", j.lost())
	}
}

// A follower who fell behind is told how much it missed.
func TestFollowerBehind(t *testing.T) {
	b := Bounds{LogBurst: 10000}.withDefaults()
	j, err := newJournal(filepath.Join(t.TempDir(), "f.log"), slog.New(slog.DiscardHandler), &b)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	follow, end := j.follow()
	defer end()
	for range followRoom + 10 {
		j.take(Line{Time: time.Now(), Text: "x"})
	}
	for range followRoom {
		<-follow
	}
	j.take(Line{Time: time.Now(), Text: "y"})
	if gap, y := <-follow, <-follow; gap.Text != "10 lines were not shown: they came too fast" || y.Text != "y" {
		t.Errorf("got %+v and %+v", gap, y)
	}
}

func TestLogsOfUnknownFunctions(t *testing.T) {
	r := newRig(t, t.TempDir(), echo, Options{}, config("f"))
	for _, name := range []string{"g", "../f", ""} {
		if _, err := r.m.Logs(name, 10); err == nil {
			t.Errorf("%q has logs", name)
		}
	}
	if _, err := r.m.FollowLogs(context.Background(), "g"); !errors.Is(err, ErrNoFunction) {
		t.Errorf("follow: %v", err)
	}
	if lines, err := r.m.Logs("f", 10); err != nil || len(lines) != 0 {
		t.Errorf("logs of one that wrote nothing: %v, %v", lines, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	lines, err := r.m.FollowLogs(ctx, "f")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, more := <-lines; more {
		t.Error("a line of nobody")
	}
	r.start()
}
