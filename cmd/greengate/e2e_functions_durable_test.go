package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// noted reads what the function that notes its calls has written: which it began, and
// which it ended.
func (s *site) noted(file string) (begun, ended []string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil // not yet
	}
	for line := range strings.Lines(string(text)) {
		word, event, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "begin":
			begun = append(begun, event)
		case "end":
			ended = append(ended, event)
		}
	}
	return begun, ended
}

// A gateway that is killed in the middle of a durable call makes it again: each message
// that was acknowledged is worked off, in order, and nothing is lost.
func TestDurableCallsOutliveAKill(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sender")
	out := filepath.Join(s.dir, "notes")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(out, "calls")
	s.functions(function{"name": "note", "behaves": "note " + file, "pinned": true, "write": []string{out}})
	s.rows(row{From: "sender", Topic: "n", To: "function:note", Durable: true})
	const n = 60
	sent := 0
	for _, upTo := range []int{n / 2, n} {
		g := s.start()
		sender := s.connect("sender")
		for ; sent < upTo; sent++ {
			if code := sender.publish("n", fmt.Sprint(sent)); code != 0 {
				t.Fatalf("publish %d: reason code %#x", sent, code)
			}
		}
		// Some are through, one is in the middle, and others wait.
		eventually(t, "the function is at work", func() bool {
			begun, ended := s.noted(file)
			return len(begun) > len(ended) && len(ended) > 3 && len(ended) < sent-3
		})
		if f := g.has("note"); f.Durable == 0 {
			t.Errorf("no call is on the disk: %+v", f)
		}
		g.die()
		eventually(t, "nothing of it is left", func() bool { return len(s.processes("note")) == 0 })
	}
	g := s.start()
	eventually(t, "all calls have ended", func() bool {
		_, ended := s.noted(file)
		return len(ended) > 0 && ended[len(ended)-1] == fmt.Sprint(n-1)
	})
	eventually(t, "the books say so", func() bool { l := g.status().Ledger; return l.Waiting == 0 && g.has("note").Durable == 0 })
	g.balanced()
	// In order and without a gap; each kill takes back the few that had just ended.
	_, ended := s.noted(file)
	last, repeats := -1, 0
	for _, event := range ended {
		var i int
		if _, err := fmt.Sscan(event, &i); err != nil || i > last+1 {
			t.Fatalf("call %s came after %d: %q", event, last, ended)
		}
		if i <= last {
			repeats++
		}
		last = i
	}
	if repeats > 2 {
		t.Errorf("the calls went back %d times, and the gateway was killed twice: %q", repeats, ended)
	}
}

// A reload starts, stops and changes functions while messages flow: those that did not
// change are not touched, and no call is lost.
func TestReloadOfFunctions(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sender", "receiver")
	stays := function{"name": "stays", "behaves": "echo", "pinned": true, "reply_to": "stays"}
	s.functions(stays, function{"name": "goes", "behaves": "echo", "pinned": true})
	rows := []row{
		{From: "sender", Topic: "n", To: "function:stays"}, {From: "function:stays", Topic: "stays", To: "receiver"},
	}
	s.rows(append(rows, row{From: "sender", Topic: "n", To: "function:goes"})...)
	g := s.start()
	sender, receiver := s.connect("sender"), s.connect("receiver")
	receiver.subscribe("#")
	running := func(name string) bool { return g.has(name).State == "running" }
	eventually(t, "both run", func() bool { return running("stays") && running("goes") })
	before := s.processes("stays")

	// Messages flow while one function goes, and another comes.
	const n = 300
	sending := make(chan struct{})
	go func() {
		defer close(sending)
		for i := range n {
			sender.publish("n", fmt.Sprint(i))
		}
	}()
	s.functions(stays, function{"name": "new", "behaves": "topic", "reply_to": "new"})
	s.rows(append(rows, row{From: "sender", Topic: "new", To: "function:new"}, row{From: "function:new", Topic: "new", To: "receiver"})...)
	g.reload()
	<-sending
	for i := range n {
		receiver.hears("stays", fmt.Sprint(i))
	}
	sender.publish("new", "{}")
	receiver.hearsJSON("new", `{"event":{},"topic":"new"}`)
	if after := s.processes("stays"); !slices.Equal(after, before) {
		t.Errorf("the function that did not change had the processes %v, and has %v", before, after)
	}
	eventually(t, "the one that went has ended", func() bool { return len(s.processes("goes")) == 0 })

	// One that changed starts again; a file with a fault changes nothing.
	stays["environment"] = map[string]string{"CHANGED": "yes"}
	s.functions(stays)
	s.rows(rows...)
	g.reload()
	eventually(t, "the changed one runs anew", func() bool { after := s.processes("stays"); return len(after) == 1 && !slices.Equal(after, before) })
	sender.publish("n", "1001")
	receiver.hears("stays", "1001")
	stays["timeout"] = "0s"
	s.functions(stays)
	s.fails(1, "reload")
	sender.publish("n", "1002")
	receiver.hears("stays", "1002")
	for _, f := range g.status().Faults {
		if f.Component != "config" {
			t.Errorf("a fault after the reloads: %+v", f)
		}
	}
	g.balanced()
}

// What waited on disk under a row that is gone by the next start is dropped, and told.
func TestDurableCallsWithoutTheirRow(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sender")
	s.functions(function{"name": "hang", "behaves": "hang", "timeout": "1h", "pinned": true})
	s.rows(row{From: "sender", Topic: "n", To: "function:hang", Durable: true})
	g := s.start()
	sender := s.connect("sender")
	for range 3 {
		sender.publish("n", "{}")
	}
	eventually(t, "three calls are on the disk", func() bool { return g.has("hang").Durable == 3 })
	g.die()
	s.rows()
	g = s.start()
	eventually(t, "nothing waits any more", func() bool { return g.has("hang").Durable == 0 && g.status().Ledger.Waiting == 0 })
	s.says("status", `^dropped +row-gone 3$`)
	g.balanced()
}

// What the cloud sends while the functions end stays with the cloud, which sends it again
// after the start: it has no acknowledgement for what nobody took.
func TestCloudSendsAgainWhatAnEndLeft(t *testing.T) {
	t.Parallel()
	s := quickCloudSite(t)
	s.functions(function{"name": "wait", "behaves": "proof held", "encoding": "binary", "timeout": "1m", "pinned": true, "reply_to": "done"})
	s.rows(row{From: "cloud", Topic: "go", To: "function:wait", Durable: true}, row{From: "function:wait", Topic: "done", To: "cloud"})
	held := filepath.Join(s.dir, "functions", "wait", "held")
	if err := os.WriteFile(held, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	publish := func(payload string) {
		if err := s.cloud.Publish("go", []byte(payload), 1, false); err != nil {
			t.Fatal(err)
		}
	}
	g := s.start()
	eventually(t, "the gateway is connected", func() bool { return g.status().Cloud.Connected && g.has("wait").State == "running" })
	publish("0")
	eventually(t, "the call is under way", func() bool { f := g.has("wait"); return f.Durable == 1 && f.Queued == 0 })
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	n := 0
	eventually(t, "messages stay with the cloud", func() bool {
		n++
		publish(fmt.Sprint(n))
		return s.cloud.Status().Clients[0].Unacked >= 3
	})
	if err := os.Remove(held); err != nil {
		t.Fatal(err)
	}
	<-g.gone
	g = s.start()
	eventually(t, "all were worked off", func() bool {
		got := map[string]bool{}
		for _, r := range s.cloud.Received() {
			if r.Topic == "done" {
				got[string(r.Payload)] = true
			}
		}
		return len(got) == n+1 // from 0
	})
	g.balanced()
}
