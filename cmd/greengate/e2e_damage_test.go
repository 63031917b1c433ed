package main_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"greengate/sync/cloud/cloudtest"
)

// Databases that a bad disk has damaged: what can be had is restored, and everybody is
// told; nothing begins empty in silence.

var databases = []string{"shadows.db", "sessions.db", "spool.db"}

// damaged damages files of the data folder.
func (s *site) damaged(damage func(data []byte) []byte, names ...string) {
	s.t.Helper()
	for _, name := range names {
		data, err := os.ReadFile(s.data(name))
		if err == nil {
			err = os.WriteFile(s.data(name), damage(data), 0o600)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func allZero(data []byte) []byte { return make([]byte, len(data)) }

// history is a site with something in each database: what is told as old was there at
// a clean end, what is new was acknowledged before the power went.
func history(t *testing.T) *cloudSite {
	t.Helper()
	s := newCloudSite(t, "thermo", "light", "sensor", "display")
	s.rows(toCloud, row{From: "sensor", Topic: "room/#", To: "display"})
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	for life := range 2 {
		g := s.start()
		if life == 0 {
			display := s.connect("display", kept)
			display.subscribe("room/#")
			display.leave()
		}
		thermo, light, sensor := s.connect("thermo"), s.connect("light"), s.connect("sensor")
		light.subscribe(shadowTopic("light", "", "update/accepted"))
		thermo.measure(20*life+1, 20*life+20)
		for i := 10 * life; i < 10*life+10; i++ {
			sensor.publish("room/n", fmt.Sprint(i))
			light.publish(shadowTopic("light", "", "update"), fmt.Sprintf(`{"state":{"reported":{"n":%d}}}`, i))
			light.shadowAnswer()
		}
		if life == 0 {
			g.stop()
		} else {
			g.die()
		}
	}
	return s
}

const versions = 20 // of the shadow in a history

func TestDamagedDatabases(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		damage func(s *cloudSite)
		all    bool // what was acknowledged after the last copy is there too
	}{
		{"all zero", func(s *cloudSite) { s.damaged(allZero, databases...) }, false},
		{"empty", func(s *cloudSite) { s.damaged(func([]byte) []byte { return nil }, databases...) }, false},
		{"cut in half", func(s *cloudSite) {
			s.damaged(func(data []byte) []byte { return data[:len(data)/2] }, databases...)
		}, false},
		{"a bit of the header", func(s *cloudSite) {
			s.damaged(func(data []byte) []byte { data[5] ^= 4; return data }, databases...)
		}, true},
		{"a bit of the WAL", func(s *cloudSite) {
			for _, name := range databases {
				s.damaged(func(data []byte) []byte { data[32+8] ^= 4; return data }, name+"-wal")
			}
		}, true},
		{"gone", func(s *cloudSite) {
			for _, name := range databases {
				for _, end := range []string{"", "-wal", "-shm"} {
					if err := os.Remove(s.data(name + end)); err != nil {
						s.t.Fatal(err)
					}
				}
			}
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := history(t)
			c.damage(s)
			g := s.start()
			s.restored(g)

			n, told := 20, 10
			if c.all {
				n, told = 40, 20
			}
			light := s.connect("light")
			light.subscribe(shadowTopic("light", "", "get/+"))
			// Versions never go back, whatever was lost.
			if doc := light.shadow(); doc.Version < versions || number(doc) < float64(told-1) {
				t.Errorf("the shadow is %+v", doc)
			}
			display := s.connect("display", kept)
			if !display.connack.SessionPresent {
				t.Fatal("the session is gone")
			}
			for i := range told {
				display.hears("room/n", fmt.Sprint(i))
			}
			s.connect("thermo").measure(41, 50)
			s.cloud.Heal()
			eventually(t, "what was restored is in the cloud", func() bool {
				missing := s.cloud.Count(map[string]int{"thermo": n}).Lost
				later := s.cloud.Count(map[string]int{"thermo": 50}).Lost
				return len(missing) == 0 && (len(later) == 0 || later[len(later)-1].Seq < 41)
			})
			if v := s.cloud.Count(map[string]int{"thermo": 50}); len(v.Reordered) > 0 {
				t.Errorf("in the cloud: %v", v)
			}
			eventually(t, "the spool is empty", func() bool { return g.status().Spool.Messages == 0 })
			g.balanced()
			s.acknowledgeDamage(g)
		})
	}
}

// restored checks that the status and the log tell of each database, that what was
// damaged is kept, and what to do.
func (s *cloudSite) restored(g *gateway) {
	s.t.Helper()
	for name, component := range map[string]string{"shadows.db": "shadow", "sessions.db": "broker", "spool.db": "spool"} {
		text := fmt.Sprint(g.faultsOf(component))
		if !strings.Contains(text, name+" was damaged") || !strings.Contains(text, s.data(name)+".damaged-") {
			s.t.Errorf("faults of %s: %s", component, text)
		}
	}
	if n := strings.Count(g.log.String(), "level=ERROR"); n < len(databases) || !strings.Contains(g.log.String(), "next_step=") {
		s.t.Errorf("the log tells of %d errors, want %d at least, with what to do", n, len(databases))
	}
}

// acknowledgeDamage deletes what was set aside, which ends the faults.
func (s *cloudSite) acknowledgeDamage(g *gateway) {
	s.t.Helper()
	aside, err := filepath.Glob(s.data("*.damaged-*"))
	if err != nil || len(aside) < len(databases) {
		s.t.Fatalf("set aside: %v (%v)", aside, err)
	}
	for _, name := range aside {
		if err := os.Remove(name); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, f := range g.status().Faults {
		if strings.Contains(f.Message, "damaged") {
			s.t.Errorf("what was set aside is deleted, and a fault is still %+v", f)
		}
	}
}

// With nothing left to restore from, the gateway starts, and says that it is empty.
func TestDamagedBeyondRepair(t *testing.T) {
	t.Parallel()
	s := history(t)
	for _, name := range databases {
		s.damaged(allZero, name, name+"-wal", name+".copy")
	}
	before, err := os.ReadFile(s.data("spool.db"))
	if err != nil {
		t.Fatal(err)
	}
	g := s.start()
	s.restored(g)
	for _, f := range g.status().Faults {
		if strings.Contains(f.Message, "damaged") && !strings.Contains(f.Message, "EMPTY") {
			t.Errorf("a fault does not say that all is lost: %s", f.Message)
		}
	}
	if !strings.Contains(s.greengate("status"), "EMPTY") {
		t.Error("the status for people does not say that all is lost")
	}
	aside, err := filepath.Glob(s.data("spool.db.damaged-*Z"))
	if err != nil || len(aside) != 1 {
		t.Fatalf("set aside: %v (%v)", aside, err)
	}
	if after, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(before, after) {
		t.Errorf("what was set aside is not what was damaged (%v)", err)
	}
	// It goes on telling after another start, and works.
	g.stop()
	g = s.start()
	s.connect("thermo").measure(1, 10)
	s.cloud.Heal()
	s.arrived(map[string]int{"thermo": 10})
	if !strings.Contains(fmt.Sprint(g.faultsOf("spool")), "EMPTY") {
		t.Error("after another start nobody tells of it")
	}
}
