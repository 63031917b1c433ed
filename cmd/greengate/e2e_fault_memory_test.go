package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// A process that may have no more memory: what waits has a bound below that; and when the
// kernel ends the gateway all the same, nothing is lost.

// groups numbers the control groups of this process.
var groups atomic.Int64

// memoryGroup makes a control group whose processes may have so much memory, and returns
// the file that a process writes its id to (cgroups(7), both versions).
func memoryGroup(t *testing.T, bytes int64) (procs string) {
	t.Helper()
	name := fmt.Sprintf("greengate-test-%d-%d", os.Getpid(), groups.Add(1))
	dir, limit := filepath.Join("/sys/fs/cgroup", name), "memory.max"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err != nil {
		dir, limit = filepath.Join("/sys/fs/cgroup/memory", name), "memory.limit_in_bytes"
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("make a control group: %v (root can)", err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	if err := os.WriteFile(filepath.Join(dir, limit), fmt.Appendf(nil, "%d", bytes), 0o644); err != nil {
		t.Skipf("limit the memory of a control group: %v", err)
	}
	_ = os.WriteFile(filepath.Join(dir, "memory.swap.max"), []byte("0"), 0o644) // version 2 only
	return filepath.Join(dir, "cgroup.procs")
}

// limited runs the gateway in a group. Its own limit is told to Go, too, as systemd's is
// found where the kernel has version 2.
func (s *site) limited(procs string, own string) *gateway {
	s.t.Helper()
	return s.within(fmt.Sprintf("echo $$ > %s && export GOMEMLIMIT=%s", procs, own))
}

// fills publishes large numbered messages until enough says stop, or the gateway is gone,
// and returns how many were acknowledged.
func (d *device) fills(topic string, enough func(n int) bool) (n int) {
	d.t.Helper()
	rest := strings.Repeat("x", 16<<10)
	for !enough(n) {
		answer, err := d.Publish(d.t.Context(), &paho.Publish{Topic: topic, QoS: 1, Payload: fmt.Appendf(nil, "%d %s", n, rest)})
		if answer == nil || err != nil {
			return n
		}
		n++
	}
	return n
}

// hearsFirst waits for the numbers from 0 to n-1 of what fills has published.
func (d *device) hearsFirst(n int) {
	d.t.Helper()
	for want := range n {
		p := d.next()
		if number, _, _ := strings.Cut(string(p.Payload), " "); number != fmt.Sprint(want) {
			d.t.Fatalf("%s heard number %s, want %d", d.thing, number, want)
		}
	}
}

// TestFaultMemoryLimit: devices are away and messages wait for them, more than the
// gateway may have of memory. It drops what is beyond its bound, which is counted, and
// serves the others; it starts again with all of it.
func TestFaultMemoryLimit(t *testing.T) {
	t.Parallel()
	const limit = 96 << 20
	s := newSiteWith(t, []string{"--key", "p-256"}, "pump", "sensor", "display", "away1", "away2", "away3")
	s.rows(row{From: "sensor", Topic: talkRow, To: "display"},
		row{From: "pump", Topic: "for/1", To: "away1"}, row{From: "pump", Topic: "for/2", To: "away2"}, row{From: "pump", Topic: "for/3", To: "away3"})
	procs := memoryGroup(t, limit)
	own := fmt.Sprint(limit / 10 * 9)
	g := &siege{gateway: s.limited(procs, own)}
	for i := range 3 {
		away := s.connect(fmt.Sprint("away", i+1), kept)
		away.subscribe("for/#")
		away.leave()
	}
	pump, w := s.connect("pump"), s.talk()
	for i := range 3 {
		n := pump.fills(fmt.Sprint("for/", i+1), func(n int) bool { return n%100 == 99 && g.refused("queue-full") > 100*i+50 || n > 5000 })
		select {
		case <-g.gone:
			t.Fatalf("the gateway was ended with %d messages for the %d. device: %v", n, i+1, g.cmd.ProcessState)
		default:
		}
		w.slowest(3)
	}
	dropped, waiting := g.refused("queue-full"), g.status().Ledger.Waiting
	t.Logf("%d messages wait, %d were dropped, %d MiB resident", waiting, dropped, g.resident()>>10)
	if dropped == 0 {
		t.Error("nothing was dropped")
	}
	g.balanced()

	g.die()
	again := s.limited(procs, own)
	if n := again.status().Ledger.Waiting; n != waiting {
		t.Errorf("after the start %d messages wait, want %d", n, waiting)
	}
	s.talk().slowest(3)
}

// TestFaultOutOfMemory: the kernel ends a gateway that takes more memory than there is. It
// comes back whole: what it had acknowledged is there, in order.
func TestFaultOutOfMemory(t *testing.T) {
	t.Parallel()
	s := newSiteWith(t, []string{"--key", "p-256"}, "pump", "sensor", "display", "away")
	s.rows(row{From: "sensor", Topic: talkRow, To: "display"}, row{From: "pump", Topic: "for/1", To: "away"})
	g := s.limited(memoryGroup(t, 48<<20), "off") // nobody has told it of the limit
	away := s.connect("away", kept)
	away.subscribe("for/#")
	away.leave()
	n := s.connect("pump").fills("for/1", func(n int) bool { return n > 4000 })
	g.cut = true
	select {
	case <-g.gone:
	case <-time.After(patience):
		t.Fatalf("the kernel has let it be, with %d messages that wait", n)
	}
	if state := g.cmd.ProcessState.String(); state != "signal: killed" || n == 0 {
		t.Fatalf("after %d messages the gateway ended with %s", n, state)
	}
	g = s.start()
	t.Logf("it was ended after %d messages of 16 KiB", n)
	s.talk().slowest(3)
	if away = s.connect("away", kept); !away.connack.SessionPresent {
		t.Error("the session is gone")
	}
	away.hearsFirst(n)
	if f := g.status().Faults; len(f) > 0 {
		t.Errorf("faults %v", f)
	}
}
