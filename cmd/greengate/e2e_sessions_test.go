package main_test

import (
	"fmt"
	"testing"

	"github.com/eclipse/paho.golang/paho"
)

// kept asks for a session that outlives its connection by an hour.
func kept(c *paho.Connect) {
	hour := uint32(3600)
	c.CleanStart = false
	c.Properties = &paho.ConnectProperties{SessionExpiryInterval: &hour}
}

// What was acknowledged for a device that is away, its subscriptions and the
// retained messages are there after the gateway was killed, in order; so are
// they after a clean restart.
func TestSessionsOutliveTheGateway(t *testing.T) {
	for _, end := range []struct {
		name string
		end  func(*gateway)
	}{
		{"kill -9", (*gateway).die},
		{"SIGTERM", (*gateway).stop},
	} {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			const n = 300
			s := newSite(t, "sensor", "display", "late")
			s.rows(row{From: "sensor", Topic: "room/#", To: []string{"display", "late"}})
			g := s.start()
			display := s.connect("display", kept)
			display.subscribe("room/#")
			display.leave()
			sensor := s.connect("sensor")
			for i := range n {
				sensor.publish("room/n", fmt.Sprint(i))
			}
			sensor.publish("room/last", "word", func(p *paho.Publish) { p.Retain = true })
			end.end(g)

			g = s.start()
			if l := g.status().Ledger; l.Waiting != n+1 {
				t.Errorf("%d messages wait, want %d", l.Waiting, n+1)
			}
			display = s.connect("display", kept)
			if !display.connack.SessionPresent {
				t.Fatal("the session is gone")
			}
			for i := range n {
				display.hears("room/n", fmt.Sprint(i))
			}
			display.hears("room/last", "word")
			late := s.connect("late")
			late.subscribe("room/+")
			if p := late.hears("room/last", "word"); !p.Retain {
				t.Error("the retained message is not marked")
			}
			eventually(t, "nothing waits", func() bool { return g.status().Ledger.Waiting == 0 })
		})
	}
}
