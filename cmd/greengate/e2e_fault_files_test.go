package main_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A process that may have no more files: clients never get what the gateway needs itself.

// within is `greengate run` by a shell that has done something before.
func (s *site) within(setting string) *gateway {
	s.t.Helper()
	run := s.prepare("run")
	run.Args = append([]string{"sh", "-c", setting + ` && exec "$0" "$@"`}, run.Args...)
	run.Path = "/bin/sh"
	return s.startBy(run)
}

// files is how many descriptors the gateway has.
func (g *gateway) files() int {
	g.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.cmd.Process.Pid))
	if err != nil {
		g.t.Fatal(err)
	}
	return len(list)
}

// processor is the CPU time that the gateway has used (proc(5), schedstat).
func (g *gateway) processor() (sum time.Duration) {
	g.t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", g.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		g.t.Fatalf("the gateway is gone: %v", err)
	}
	for _, file := range threads {
		text, _ := os.ReadFile(file) // a thread may have ended
		var ns int64
		_, _ = fmt.Sscan(string(text), &ns)
		sum += time.Duration(ns)
	}
	return sum
}

// refusedAt opens connections to the broker as the crowd, until n were turned away.
func (g *gateway) refusedAt(things []string, certs []tls.Certificate, n int) (in []net.Conn) {
	g.t.Helper()
	for i, thing := range things {
		conn, err := tls.Dial("tcp", g.broker, g.tls(certs[i]))
		if err == nil {
			g.t.Cleanup(func() { _ = conn.Close() })
			_ = conn.SetDeadline(time.Now().Add(patience))
			if first, body := exchange(g.t, conn, rawConnect(5, thing)); first == 0x20 && body[1] == 0 {
				in = append(in, conn)
				continue
			}
		}
		if n--; n == 0 {
			return in
		}
	}
	g.t.Fatalf("%d of %d devices are in, and none was turned away", len(in), len(things))
	return nil
}

// Clients take all the descriptors that they can get: devices that stay, and silence at
// each door. They are turned away, counted and told once; the gateway keeps what it needs
// for its stores, the cloud and a person who asks; and takes all in when there is room.
func TestFaultNoMoreFiles(t *testing.T) {
	t.Parallel()
	const limit = 256
	s := quickCloudSite(t, "thermo", "light", "sensor", "display", "late")
	things, certs := s.crowd(120)
	s.rows(toCloud, row{From: "sensor", Topic: talkRow, To: "display"})
	g := s.within(fmt.Sprintf("ulimit -n %d", limit))
	thermo, light, w := s.connect("thermo"), s.connect("light"), s.talk()
	light.subscribe(shadowTopic("light", "", "update/accepted"))
	thermo.measure(1, 10)
	s.arrived(map[string]int{"thermo": 10})

	silent := append(strangers(t, s.broker, 30, 10), strangers(t, s.discovery, 60, 60)...)
	in := g.refusedAt(things, certs, 5)
	t.Logf("%d devices are in, the gateway has %d of %d descriptors", len(in), g.files(), limit)
	if n := g.files(); n > limit-64 {
		t.Errorf("clients have left it %d descriptors, want 64 at least", limit-n)
	}
	if f := fmt.Sprint(g.faultsOf("broker")); !strings.Contains(f, "open files") {
		t.Errorf("faults of the broker: %s", f)
	}
	(&siege{gateway: g}).counted("descriptors", 5)

	// Whoever is in is served, on the disk and in the cloud too.
	began, used := time.Now(), g.processor()
	s.cloud.Cut("e2e_Core", true)
	thermo.measure(11, 60)
	for n := range 10 {
		light.publish(shadowTopic("light", "", "update"), fmt.Sprintf(`{"state":{"reported":{"n":%d}}}`, n))
		light.shadowAnswer()
		w.slowest(1)
	}
	s.arrived(map[string]int{"thermo": 60})
	eventually(t, "two seconds have passed", func() bool { return time.Since(began) > 2*time.Second })
	if cpu, took := g.processor()-used, time.Since(began); cpu > took/2 {
		t.Errorf("it has used %v of CPU in %v: something runs in circles", cpu, took)
	}
	if n := strings.Count(g.log.String(), "open files"); n != 1 {
		t.Errorf("the log tells of it %d times, want once", n)
	}
	if strings.Contains(g.log.String(), "too many open files") {
		t.Error("the gateway itself had no descriptor left")
	}

	for _, c := range append(silent, in...) {
		_ = c.Close()
	}
	eventually(t, "the fault is gone", func() bool { return len(g.faultsOf("broker")) == 0 })
	s.connect("late").leave()
	if code, body := s.discover(s.identity("late"), "late"); code != 200 {
		t.Errorf("discovery answers %d %s", code, body)
	}
	w.slowest(3)
}
