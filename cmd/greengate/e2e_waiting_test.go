package main_test

import (
	"strings"
	"testing"

	"greengate/sync/cloud/cloudtest"
)

// What waits for the cloud or for a function goes no further when its source may not send it
// any more, though the row stays: the device has lost its label, or is gone, or the file has
// changed while nobody ran. What may be sent by another row stays.
func TestWaitingWithoutRight(t *testing.T) {
	t.Parallel()
	s := quickCloudSite(t)
	for _, thing := range []string{"kept", "removed", "later"} {
		s.add(thing, "--label", "sensor")
	}
	s.functions(function{"name": "hang", "behaves": "hang", "timeout": "1h", "pinned": true})
	s.rows(row{From: "label:sensor", Topic: "sensors/${from}/#", To: "cloud"}, row{From: "label:sensor", Topic: "calls", To: "function:hang", Durable: true})
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	g := s.start()
	kept := s.connect("kept")
	kept.publish("calls", "{}") // the function is busy with this one
	eventually(t, "a call that takes its time", func() bool { return g.has("hang").Queued == 0 && g.has("hang").Durable == 1 })
	for _, d := range []*device{kept, s.connect("removed"), s.connect("later")} {
		d.measure(1, 10)
		d.publish("calls", "{}")
	}
	eventually(t, "all waits", func() bool { return g.status().Spool.Messages == 30 && g.has("hang").Durable == 4 })
	s.greengate("device", "remove", "removed")
	eventually(t, "what the device sent that was removed is dropped", func() bool {
		return g.status().Spool.Messages == 20 && g.has("hang").Durable == 3
	})
	s.says("status", `^dropped +row-gone 11$`)
	s.says("spool stats", `^waiting  20 messages`, `^dropped  10 since the start, row-gone: no row of the group file leads them to the cloud any more$`)
	g.balanced()
	g.die()
	s.rows(row{From: "kept", Topic: "sensors/#", To: "cloud", Priority: "high"}, row{From: "kept", Topic: "+", To: "function:hang"})
	g = s.start()
	eventually(t, "what lost its row while nobody ran is dropped", func() bool {
		return g.status().Spool.Messages == 10 && g.has("hang").Durable == 2
	})
	s.cloud.Heal()
	s.arrived(map[string]int{"kept": 10})
	eventually(t, "the spool is empty", func() bool { return g.status().Spool.Messages == 0 })
	for _, m := range s.cloud.Received() {
		if strings.HasPrefix(m.Topic, "sensors/") && m.Topic != "sensors/kept/n" {
			t.Errorf("the cloud got %s on %s", m.Payload, m.Topic)
		}
	}
	g.balanced()
	g.die() // it would wait for the call
}
