package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestLineForTheJournalHasItsAttributes(t *testing.T) {
	p := newPhrase()
	h := p.with(func(h slog.Handler) slog.Handler { return h.WithAttrs([]slog.Attr{slog.String("component", "broker")}) })
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "client refused", 0)
	r.AddAttrs(slog.String("thing", "lamp"), slog.Any("err", fmt.Errorf("two\nlines")))
	if got, want := h.say(t.Context(), r), `client refused component=broker thing=lamp err="two\nlines"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := p.say(t.Context(), slog.NewRecord(time.Now(), slog.LevelInfo, "ready", 0)); got != "ready" {
		t.Errorf("got %q, want no more than the words", got)
	}
}

// Whatever a function prints, its record in the journal says that a function wrote it.
func TestLineOfAFunctionIsNoRecord(t *testing.T) {
	const forged = `rights have changed component=audit event=reload by="control socket, uid 0" seq=99 sum=feedbeef`
	var told bytes.Buffer
	j := &journal{fields: slog.NewJSONHandler(&told, nil), words: newPhrase(), plain: slog.DiscardHandler}
	slog.New(j).With("component", "function", "function", "cars").Info("A function wrote", "line", forged, "stream", "stdout")
	var fields map[string]string
	if err := json.Unmarshal(told.Bytes(), &fields); err != nil {
		t.Fatal(err)
	}
	if want := "A function wrote component=function function=cars line=" + strconv.Quote(forged) + " stream=stdout"; fields["msg"] != want {
		t.Errorf("got  %s\nwant %s", fields["msg"], want)
	}
	if fields["component"] != "function" || fields["line"] != forged || fields["sum"] != "" {
		t.Errorf("fields %v", fields)
	}
}

// refusing is a journal that takes nothing, as when its socket is gone.
type refusing struct{ slog.Handler }

func (refusing) Handle(context.Context, slog.Record) error { return errors.New("no journal") }

func TestLineThatTheJournalRefusesIsNotLost(t *testing.T) {
	var taken, refused bytes.Buffer
	j := &journal{fields: slog.NewJSONHandler(&taken, nil), words: newPhrase(), plain: slog.NewTextHandler(&refused, nil)}
	slog.New(j).With("component", "broker").Info("device connected", "thing", "lamp")
	want := `"msg":"device connected component=broker thing=lamp","component":"broker","thing":"lamp"}`
	if !strings.HasSuffix(strings.TrimSpace(taken.String()), want) || refused.Len() > 0 {
		t.Errorf("the journal got %swant %s; besides %s", &taken, want, &refused)
	}
	j.fields = refusing{j.fields}
	slog.New(j).Info("device connected", "thing", "lamp")
	if !strings.Contains(refused.String(), `msg="device connected" thing=lamp`) {
		t.Errorf("what the journal refused is lost: %s", &refused)
	}
}

func TestFieldOfTheJournal(t *testing.T) {
	for key, want := range map[string]string{"thing": "GREENGATE_THING", "next_step": "GREENGATE_NEXT_STEP", "a.b": "GREENGATE_A_B", "priority": "GREENGATE_PRIORITY"} {
		if got := fieldName(key); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
}

func TestJournalIsKnownByItsStream(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", st.Dev, st.Ino))
	if !toJournal(f) {
		t.Error("the stream of the journal was not known")
	}
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", st.Dev, st.Ino+1))
	if toJournal(f) || toJournal(new(bytes.Buffer)) {
		t.Error("another stream was taken for the journal")
	}
}

func TestLogOfABadClientIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer // its lock: the sums are told by a timer
		text := func() string { out.mu.Lock(); defer out.mu.Unlock(); return out.String() }
		l := newLogLimit(slog.NewTextHandler(lockedWriter{&out}, nil))
		log := slog.New(l)
		for i := range 1000 {
			log.Info("device connected", "thing", "bad", "addr", fmt.Sprintf("10.0.0.1:%d", i))
		}
		log.Info("device connected", "thing", "good")
		log.With("thing", "good").Info("device disconnected")
		time.Sleep(sumUpAfter + time.Second)
		synctest.Wait()
		if n := strings.Count(text(), "thing=bad"); n != lineBurst {
			t.Errorf("%d lines of the bad device, want %d", n, lineBurst)
		}
		if n := strings.Count(text(), "thing=good"); n != 2 {
			t.Errorf("%d lines of the good device, want both", n)
		}
		if want := `message="device connected" lines=980`; !strings.Contains(text(), want) {
			t.Errorf("what was held back is not told: want %s in\n%s", want, text())
		}
		for i := range 10000 {
			log.Warn("client refused", "addr", fmt.Sprint(i))
		}
		if n := strings.Count(text(), "client refused"); n != wordBurst {
			t.Errorf("%d lines of 10,000 bad clients, want %d", n, wordBurst)
		}
		if len(l.buckets) > maxBuckets+1 {
			t.Errorf("%d buckets are kept, want %d at most", len(l.buckets), maxBuckets)
		}
		time.Sleep(sumUpAfter + time.Second) // the last sum is told before the bubble ends
		synctest.Wait()
	})
}

// What functions write is bounded by functions; here it passes, and leaves nothing behind.
func TestLogOfAFunctionPasses(t *testing.T) {
	var out buffer
	l := newLogLimit(slog.NewTextHandler(&out, nil))
	log := slog.New(l).With("component", "function", "function", "cars")
	for i := range 3000 {
		log.Info("A function wrote", "line", "the same", "stream", "stdout")
		log.Info("A function wrote", "line", fmt.Sprint(i, strings.Repeat("x", maxText)), "stream", "stderr")
	}
	if n := strings.Count(out.String(), "\n"); n != 6000 {
		t.Errorf("%d lines, want all 6000", n)
	}
	if strings.Contains(out.String(), "bytes)") {
		t.Error("a long line is cut")
	}
	if len(l.buckets) != 0 {
		t.Errorf("%d buckets are kept for them", len(l.buckets))
	}
}

// lockedWriter writes to a buffer under its lock.
type lockedWriter struct{ *buffer }

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Buffer.Write(p)
}

func TestMemoryLimitOfTheCgroup(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := cgroupLimit(root); got != 0 {
		t.Errorf("without cgroups: %d", got)
	}
	write("proc/self/cgroup", "0::/system.slice/greengate.service\n")
	write("sys/fs/cgroup/system.slice/greengate.service/memory.max", "max\n")
	if got := cgroupLimit(root); got != 0 {
		t.Errorf("without a limit: %d", got)
	}
	write("sys/fs/cgroup/system.slice/memory.max", "200000000\n")
	write("sys/fs/cgroup/system.slice/greengate.service/memory.high", "100000000\n")
	if got := cgroupLimit(root); got != 100000000 {
		t.Errorf("got %d, want the least", got)
	}
}
