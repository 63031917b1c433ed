package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"greengate/core/admin/client"
)

// A file under which a device loses its connection goes back by itself.
func TestFileThatCostsADeviceGoesBack(t *testing.T) {
	h := newHouse(t)
	lamp := h.connect("lamp")
	h.connect("switch")
	old, err := os.ReadFile(h.file())
	if err != nil {
		t.Fatal(err)
	}
	next := h.dir + "/next.yaml"
	if err := os.WriteFile(next, []byte(strings.Replace(string(old), "light/on", "light/off", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	type result struct {
		code     int
		out, err string
	}
	ended := make(chan result)
	apply := func(more ...string) {
		code, out, err := h.command("", append([]string{"apply", next}, more...)...)
		ended <- result{code, out, err}
	}
	// Which they are after their CONNACK.
	h.until("both", func(s *client.Status) bool { return s.Devices[0].Connected && s.Devices[1].Connected })
	go apply("--probation", "5s") // a busy machine may take long to see that the lamp is gone
	h.until("the new table", func(s *client.Status) bool { return s.Config.Generation == 2 })
	_ = lamp.Close()
	r := <-ended
	if r.code != exitFailed || !strings.Contains(r.err, "devices have lost their connection: lamp") || !strings.Contains(r.err, "the old file is in force again") {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
	h.until("the old table", func(s *client.Status) bool { return s.Config.Generation == 3 && s.Config.Error == "" })
	if now, err := os.ReadFile(h.file()); err != nil || string(now) != string(old) {
		t.Errorf("the group file is %s, %v", now, err)
	}

	lamp = h.connect("lamp")
	h.until("the lamp", func(s *client.Status) bool { return s.Devices[1].Connected })
	go apply("--probation", "1s", "--away", "1")
	h.until("the new table", func(s *client.Status) bool { return s.Config.Generation == 4 })
	_ = lamp.Close()
	if r := <-ended; r.code != exitDone {
		t.Errorf("exit code %d, %s", r.code, r.err)
	}
}

// Who interrupts a probation has not approved of the file.
func TestInterruptedProbationGoesBack(t *testing.T) {
	h := newHouse(t)
	old, err := os.ReadFile(h.file())
	if err != nil {
		t.Fatal(err)
	}
	next := h.dir + "/next.yaml"
	if err := os.WriteFile(next, []byte(strings.Replace(string(old), "light/on", "light/off", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	const kept = "the file before the old one"
	if err := os.WriteFile(h.file()+previousSuffix, []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan error)
	heard, progress := io.Pipe()
	go func() {
		a := &app{stdout: io.Discard, stderr: io.Discard, config: h.file()}
		_, err := a.apply(ctx, next, applyOptions{probation: time.Hour, progress: progress})
		ended <- err
	}()
	// Who looks on knows what is under way, and until when.
	said := ""
	for lines := bufio.NewScanner(heard); !strings.Contains(said, "on probation") && lines.Scan(); {
		said += lines.Text() + "\n"
	}
	if !strings.Contains(said, "- row") || !regexp.MustCompile(`(?m)^/.*/next.yaml is in force on probation, generation 2, until \d\d:\d\d:\d\d; Ctrl-C goes back$`).MatchString(said) {
		t.Errorf("during the probation it says\n%s", said)
	}
	// A power cut here leaves the old file where it can be found.
	if now, err := os.ReadFile(h.file() + previousSuffix); err != nil || string(now) != string(old) {
		t.Errorf("during the probation %s is kept, %v", now, err)
	}
	interrupt()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("the command ended with %v", err)
	}
	h.until("the old table", func(s *client.Status) bool { return s.Config.Generation == 3 })
	if now, err := os.ReadFile(h.file()); err != nil || string(now) != string(old) {
		t.Errorf("the group file is %s, %v", now, err)
	}
	if now, err := os.ReadFile(h.file() + previousSuffix); err != nil || string(now) != kept {
		t.Errorf("after it %s is kept, %v", now, err)
	}
}

// A device that comes back in time is no reason.
func TestDeviceThatComesBackIsNotLost(t *testing.T) {
	p := &probation{before: &client.Status{Devices: []client.Device{{Thing: "a", Connected: true}, {Thing: "b", Connected: true}, {Thing: "c"}}}}
	p.cut = []client.PlanCut{{Thing: "b"}}
	if lost := p.lost(&client.Status{Devices: []client.Device{{Thing: "a", Connected: true}}}); len(lost) != 0 {
		t.Errorf("lost are %v", lost)
	}
	if lost := p.lost(&client.Status{Devices: []client.Device{{Thing: "a"}, {Thing: "b"}}}); len(lost) != 1 || lost[0] != "a" {
		t.Errorf("lost are %v", lost)
	}
}

func TestFaultThatWasThereIsNotNew(t *testing.T) {
	since := time.Now()
	p := &probation{before: &client.Status{Faults: []client.Fault{{Component: "spool", Message: "300 messages wait", Since: &since}}}}
	for _, c := range []struct {
		fault client.Fault
		isNew bool
	}{
		{client.Fault{Component: "spool", Message: "312 messages wait"}, false},
		{client.Fault{Component: "config", Message: "gpio" + notInForce}, false},
		{client.Fault{Component: "pki", Message: "the server certificate lacks a name"}, true},
	} {
		if got := p.isNew(c.fault); got != c.isNew {
			t.Errorf("%+v: new is %v", c.fault, got)
		}
	}
}
