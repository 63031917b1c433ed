package gpio

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// logBook is a log that tests read.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// A storm of edges is a fault, told once, and over when it is over; what was said
// is bounded, what was not is counted, and in the end the last level is told.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBook
		b, w, d := inputBank(t, Config{Inputs: []Input{
			{Name: "in", Pin: "GPIO23", Pull: "down", Edges: "both", Topic: "in", Thing: "thing", Key: "in"},
			{Name: "other", Pin: "GPIO24", Pull: "down", Edges: "both", Topic: "other"},
		}}, slog.New(slog.NewTextHandler(&log, nil)))
		d.take()
		const n = 20_001
		for i := range n { // 10,000 edges a second for 2 seconds
			w.drive(t, "GPIO23", i%2 == 0)
			time.Sleep(100 * time.Microsecond)
			if i == n/2 {
				w.drive(t, "GPIO24", true) // nobody else is held up
			}
		}
		synctest.Wait()
		messages, others := 0, 0
		for _, line := range d.take() {
			switch {
			case strings.HasPrefix(line, "in "):
				messages++
			case strings.HasPrefix(line, "other "):
				others++
			}
		}
		if messages != stormEdges || others != 1 {
			t.Errorf("%d messages were let through, and %d of another input", messages, others)
		}
		s, f := b.List()[0], b.Faults()
		if len(f) != 1 || f[0].Name != "in" || !strings.HasPrefix(f[0].Problem, "a storm of edges, more than 1500 a second") || s.Fault == "" {
			t.Errorf("faults %+v, state %+v", f, s)
		}
		if s.Held != n-stormEdges || s.Lost != 0 {
			t.Errorf("%d changes were held back, %d edges lost", s.Held, s.Lost)
		}
		if log.count("level=ERROR") != 1 || log.count("too many edges") != 1 {
			t.Errorf("the log: %s", log.text.String())
		}

		time.Sleep(stormCalm + pollEvery)
		synctest.Wait()
		if f := b.Faults(); f != nil || b.List()[0].Level != "on" {
			t.Errorf("afterwards: %+v, %+v", f, b.List()[0])
		}
		last := d.take()
		if len(last) != 2 || !strings.HasPrefix(last[0], `in {"name":"in","on":true,"event":"rising"`) || last[1] != "thing.in=true" {
			t.Errorf("in the end it said %q", last)
		}
		if log.count("no more edges than it may") != 1 {
			t.Errorf("the log: %s", log.text.String())
		}
		w.drive(t, "GPIO23", false)
		synctest.Wait()
		if last := d.take(); len(last) != 2 {
			t.Errorf("it says no more: %q", last)
		}
	})
}

// A contact that chatters so fast that no level lasts is told, too.
func TestStormBehindDebounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w, d := inputBank(t, Config{Buttons: []Button{{Name: "bell", Pin: "GPIO23", Pull: "up", Debounce: 20 * time.Millisecond, Topic: "bell"}}}, nil)
		for i := range 2000 {
			w.drive(t, "GPIO23", i%2 == 1)
			time.Sleep(500 * time.Microsecond)
		}
		synctest.Wait()
		if f := b.Faults(); len(f) != 1 || len(d.take()) != 0 {
			t.Errorf("faults %+v", f)
		}
	})
}

// 1,000 edges a second are no storm.
func TestNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w, d := inputBank(t, Config{Inputs: []Input{{Name: "in", Pin: "GPIO23", Pull: "down", Edges: "both", Topic: "in"}}}, nil)
		d.take()
		for i := range 10_000 {
			w.drive(t, "GPIO23", i%2 == 0)
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if n := len(d.take()); n != 10_000 || b.Faults() != nil {
			t.Errorf("%d of 10,000 edges were told; %+v", n, b.Faults())
		}
	})
}
