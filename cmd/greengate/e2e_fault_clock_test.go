package main_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// lastsAnHour gives a message an hour.
func lastsAnHour(p *paho.Publish) {
	hour := uint32(3600)
	p.Properties = &paho.PublishProperties{MessageExpiry: &hour}
}

// timelessSite is a site in which something waits at every place for at most an hour: in the
// session of a device that is away, among the retained messages, and for the cloud.
type timelessSite struct {
	*cloudSite
	g                   *gateway
	thermo, light       *device
	talk                *talk
	measured, published int
	version             int64
}

// arrive starts a life: the devices come, with certificates and discovery.
func (s *timelessSite) arrive(g *gateway) {
	s.t.Helper()
	s.g = g
	s.thermo, s.light, s.talk = s.connect("thermo"), s.connect("light"), s.site.talk()
	s.light.subscribe(shadowTopic("light", "", "update/accepted"))
}

// works passes something through every part that has to do with time, and leaves more
// waiting: on the connections that are there, and for who comes now.
func (s *timelessSite) works(when string) {
	s.t.Helper()
	s.t.Logf("the clock of the gateway is at %s: %s", s.g.status().Config.LoadedAt.Format(time.DateTime), when)
	s.talk.slowest(3)
	s.connect("late").leave()
	if code, body := s.discover(s.identity("late"), "late"); code != 200 {
		s.t.Errorf("%s: discovery answers %d %s", when, code, body)
	}
	s.cloud.Heal()
	s.g.reload() // and have the link try again at once
	s.arrived(map[string]int{"thermo": s.measured})
	s.light.publish(shadowTopic("light", "", "update"), fmt.Sprintf(`{"state":{"reported":{"n":%d}}}`, s.published))
	if _, doc := s.light.shadowAnswer(); doc.Version != s.version+1 {
		s.t.Errorf("%s: version %d follows %d", when, doc.Version, s.version)
	}
	s.version++
	calls := s.g.has("tick").Calls
	eventually(s.t, "the function is called every second", func() bool { return s.g.has("tick").Calls > calls })

	s.cloudAway(s.g)
	s.thermo.measure(s.measured+1, s.measured+10)
	s.measured += 10
	for range 5 {
		s.published++
		s.talk.sensor.publish("for/away", fmt.Sprint(s.published), lastsAnHour)
	}
	var st struct {
		Ledger ledger
		Spool  struct {
			Oldest int `json:"oldest_seconds"`
		}
	}
	if out := s.g.greengate("status", "--json"); json.Unmarshal([]byte(out), &st) != nil {
		s.t.Fatal(out)
	}
	if st.Ledger.Expired > 0 || st.Spool.Oldest < 0 || st.Spool.Oldest > 600 {
		s.t.Errorf("%s: %+v", when, st)
	}
}

// TestFaultClock: the clock is at 1970, right, 20 years ahead, and a day behind, from the
// start and while the gateway runs. Everybody is let in and served all the time, and what
// waits for an hour at most outlives it all, since no hour has passed.
func TestFaultClock(t *testing.T) {
	t.Parallel()
	s := &timelessSite{cloudSite: quickCloudSite(t, "thermo", "light", "sensor", "display", "away", "late")}
	s.functions(function{"name": "tick", "every": "1s", "behaves": "echo"})
	s.set([]map[string]any{
		{"from": "device:*", "topic": "sensors/${from}/#", "to": "cloud", "ttl": "1h"},
		{"from": "sensor", "topic": talkRow, "to": "display"}, {"from": "sensor", "topic": "for/#", "to": []string{"away", "late"}},
	}, "subscriptions")
	const year = 365 * 24 * time.Hour
	in1970 := -time.Duration(time.Now().Unix()-3600) * time.Second

	g, clock := s.startAt(in1970)
	s.arrive(g)
	away := s.connect("away", kept)
	away.subscribe("for/#")
	away.leave()
	s.talk.sensor.publish("for/ever", "kept", lastsAnHour, retained)
	s.works("at 1970")
	for _, life := range []struct {
		when string
		off  time.Duration
	}{
		{"right", 0}, {"20 years ahead", 20 * year}, {"a day behind", -24 * time.Hour},
	} {
		clock.set(life.off)
		s.works("set " + life.when)
		s.g.die()
		g, clock = s.startAt(life.off)
		s.arrive(g)
		s.works("started " + life.when)
	}

	s.cloud.Heal()
	s.g.reload()
	s.arrived(map[string]int{"thermo": s.measured})
	away = s.connect("away", kept)
	if !away.connack.SessionPresent {
		t.Fatal("the session is gone")
	}
	away.hears("for/ever", "kept")
	for n := range s.published {
		p := away.hears("for/away", fmt.Sprint(n+1))
		if left := p.Properties.MessageExpiry; left == nil || *left < 1800 || *left > 3600 {
			t.Fatalf("message %d has %v seconds left", n+1, *left)
		}
	}
	late := s.connect("late")
	late.subscribe("for/+")
	late.hears("for/ever", "kept")
}
