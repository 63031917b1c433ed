package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mountExt4 mounts a new ext4 of 96 MiB on the data folder until the test ends. Its blocks
// are of 1 KiB, as those of a small partition.
func (s *site) mountExt4() {
	s.t.Helper()
	image := filepath.Join(s.t.TempDir(), "image")
	for _, args := range [][]string{
		{"mkfs.ext4", "-q", "-m", "0", "-b", "1024", image, "96M"},
		{"mount", "-o", "loop", image, s.data("")},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			s.t.Skipf("%q: %v: %s (root can)", args, err, out)
		}
	}
	s.t.Cleanup(func() { _ = unix.Unmount(s.data(""), unix.MNT_DETACH) })
}

// fillUp takes all the room that the data folder has left, also what is given back late.
func (s *site) fillUp() {
	s.t.Helper()
	for _, name := range []string{"others", "others.2", "others.3"} {
		fill(s.t, s.data(name))
		unix.Sync()
	}
}

func (s *site) makeRoom() {
	s.t.Helper()
	for _, name := range []string{"others", "others.2", "others.3"} {
		if err := os.Remove(s.data(name)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// large and filling are more than the room that is kept for the sessions.
const filling = 8

var large = strings.Repeat("x", 100<<10)

// fillSessions sends a device that is away more than the disk takes.
func (g *gateway) fillSessions() {
	g.t.Helper()
	thermo := g.connect("thermo")
	for range filling {
		if err := thermo.send("for/away", large, 1); err != nil {
			g.t.Fatal(err)
		}
	}
	var faults []fault
	eventually(g.t, "a fault tells that sessions are not written", func() bool {
		faults = g.faultsOf("broker")
		return len(faults) > 0 && strings.Contains(faults[0].Message, "no room")
	}, &faults)
}

// TestFaultStartsOnAFullDisk: a gateway whose disk has filled up while it was stopped, or
// was killed, starts. Routing, discovery and pins go on, what must be safe and does not fit
// waits and is a fault, and with room all that was acknowledged before is there.
func TestFaultStartsOnAFullDisk(t *testing.T) {
	for _, c := range []struct {
		name  string
		mount func(*site)
		cloud bool
		end   func(*gateway)
	}{
		{"ext4, stopped", (*site).mountExt4, false, (*gateway).stop},
		{"ext4, with a cloud, stopped", (*site).mountExt4, true, (*gateway).stop},
		{"ext4, with a cloud, killed", (*site).mountExt4, true, (*gateway).die},
		{"tmpfs, with a cloud, stopped", func(s *site) { s.mount("tmpfs", 0, "size=96m") }, true, (*gateway).stop},
		{"tmpfs, with a cloud, killed", func(s *site) { s.mount("tmpfs", 0, "size=96m") }, true, (*gateway).die},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &cloudSite{site: newSite(t, "thermo", "sensor", "display", "away", light)}
			rows := []row{{From: "sensor", Topic: talkRow, To: "display"}, {From: "thermo", Topic: "for/#", To: "away"}}
			if c.cloud {
				s, rows = s.withCloud(), append(rows, toCloud)
			}
			s.rows(rows...)
			s.set(lamps, "gpio")
			c.mount(s.site)
			g := s.start()
			thermo, away := s.connect("thermo"), s.connect("away", kept)
			away.subscribe("for/#")
			away.leave()
			thermo.publish("for/away", "word")
			g.greengate("shadow", "update", light, `{"state":{"desired":{"property":"R"}}}`)
			g.shows("red")
			if c.cloud {
				s.cloudAway(g)
				thermo.measure(1, 20)
			}
			c.end(g)

			s.fillUp()
			g = s.start()
			w := s.talk()
			w.lively(20, time.Second)
			if code, body := s.discover(s.identity("sensor"), "sensor"); code != 200 || !strings.Contains(body, "GGGroupId") {
				t.Errorf("discovery answers %d %s", code, body)
			}
			g.shows("red")
			g.greengate("gpio", "set", "green", "on")
			g.shows("red", "green")
			g.fillSessions()
			w.lively(20, time.Second)

			g.die() // with the disk full, and its databases too
			g = s.start()
			w = s.talk()
			w.lively(20, time.Second)
			g.shows("red")
			g.fillSessions()

			s.makeRoom()
			var faults []fault
			eventually(t, "the faults end", func() bool {
				faults = append(g.faultsOf("broker"), g.faultsOf("spool")...)
				return len(faults) == 0
			}, &faults)
			away = s.connect("away", kept)
			away.hears("for/away", "word")
			for range filling { // of the second time; the first time some may have had room
				away.hears("for/away", large)
			}
			if c.cloud {
				s.cloud.Heal()
				s.arrived(map[string]int{"thermo": 20})
			}
			var doc document
			if out := g.greengate("shadow", "get", light); json.Unmarshal([]byte(out), &doc) != nil || doc.State.Desired["property"] != "R" {
				t.Errorf("the shadow is %s", out)
			}
		})
	}
}
