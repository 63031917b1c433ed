package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// readLog reads the log, unless it is stopped.
type readLog struct {
	*buffer
	stopped chan struct{} // its holder keeps the reader from it
}

func (r *readLog) Write(p []byte) (int, error) {
	r.stopped <- struct{}{}
	defer func() { <-r.stopped }()
	return r.buffer.Write(p)
}

// notLogged is how many lines the status says are missing for a reason.
func (g *gateway) notLogged(reason string) int {
	g.t.Helper()
	var st struct {
		LogDropped []struct {
			Reason string
			Count  int
		} `json:"log_dropped"`
	}
	if err := json.Unmarshal([]byte(g.greengate("status", "--json")), &st); err != nil {
		g.t.Fatal(err)
	}
	for _, r := range st.LogDropped {
		if r.Reason == reason {
			return r.Count
		}
	}
	return 0
}

// Whoever reads the log stops: a journal on a card that stalls, a terminal in which
// somebody scrolls back. Devices do not notice. What is missing is counted, and told when the log
// goes on; and a gateway that is to end does not wait for it.
func TestFaultLogStalls(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display")
	s.rows(row{From: "sensor", Topic: talkRow, To: "display"})
	s.set("debug", "log", "level")
	log := &readLog{new(buffer), make(chan struct{}, 1)}
	g := s.startBy(s.prepare("run"), func(c *exec.Cmd) error {
		r, w, err := os.Pipe() // a file: the end of the process waits for no reader
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = r.Close() })
		go func() { _, _ = io.Copy(log, r) }()
		defer w.Close()
		c.Stderr = w
		return c.Start()
	})
	w := s.talk()
	stall := func() (lost int) {
		log.stopped <- struct{}{}
		before := g.notLogged("stalled")
		for end := time.Now().Add(3 * patience); g.notLogged("stalled") == before; {
			if time.Now().After(end) {
				t.Fatal("a log that nobody reads loses nothing")
			}
			for range 500 { // the debug level has a line for each
				if err := w.sensor.send(shadowTopic("sensor", "", "update"), "no JSON", 0); err != nil {
					t.Fatal(err)
				}
			}
			w.slowest(1)
		}
		w.slowest(100)
		return g.notLogged("stalled")
	}
	lost := stall()
	<-log.stopped
	told := func() (sum int) {
		for line := range strings.Lines(log.String()) {
			if _, n, ok := strings.Cut(line, "log lines were lost, nobody took them\" component=log lines="); ok {
				var lines int
				_, _ = fmt.Sscan(n, &lines)
				sum += lines
			}
		}
		return sum
	}
	eventually(t, "what was lost is told", func() bool { return told() >= lost })
	if all := g.notLogged("stalled"); told() != all {
		t.Errorf("told of %d lines, the status says %d", told(), all)
	}
	if words := g.greengate("status"); !strings.Contains(words, fmt.Sprintf("stalled %d", told())) {
		t.Errorf("the status does not tell of %d lines:\n%s", told(), words)
	}
	stall()
	g.stop()
	<-log.stopped
}
