package shadows_test

import (
	"fmt"
	"testing"
	"time"

	"greengate/sync/cloud"
	"greengate/sync/cloud/cloudtest"
	"greengate/sync/shadows"
)

func manyThings(n int) map[string]shadows.Direction {
	things := map[string]shadows.Direction{}
	for i := range n {
		things[fmt.Sprintf("T%d", i)] = shadows.Both
	}
	return things
}

// 1,000 shadows that changed on one side or both while the link was away are in
// step again in the time that AWS's limit of 100 messages a second, both ways
// together, needs for asking each and writing most, plus 20 %. Meanwhile changes
// of others get through in seconds.
func TestThousandDirtyShadows(t *testing.T) {
	const n = 1000
	things := manyThings(n)
	things["live"] = shadows.Both
	inSite(t, cloudtest.Options{}, things, func(s *site) {
		s.within(time.Minute, "connected", s.inStep)
		for i := range n {
			s.change("cloud", fmt.Sprintf("T%d", i), "", `{"desired":{"a":1},"reported":{"a":1}}`)
			// All at once they fill AWS's limit by themselves, and what the gateway sends in that
			// instant, which cannot know of them, would break it.
			<-time.After(20 * time.Millisecond)
		}
		s.change("cloud", "live", "", `{"desired":{"a":1},"reported":{"a":1}}`)
		s.within(5*time.Minute, "in step at the beginning", func() bool { return s.inStep() && s.allEqual(things) })
		s.away()
		written := 0
		for i := range n {
			thing := fmt.Sprintf("T%d", i)
			if i%4 > 0 {
				s.change("local", thing, "", `{"reported":{"a":2}}`)
				written++
			}
			if i%4 < 2 {
				s.change("cloud", thing, "", `{"desired":{"a":3}}`)
			}
		}
		s.cloud.Change(func(f *cloudtest.Faults) { f.Latency = 10 * time.Millisecond })
		s.back()
		s.within(time.Minute, "connected", s.link.Connected)
		start := time.Now()
		for i := range 4 { // while they are at it
			<-time.After(4 * time.Second)
			s.passes(fmt.Sprintf(`{"reported":{"n":%d}}`, i), "local")
			s.passes(fmt.Sprintf(`{"desired":{"n":%d}}`, i), "cloud")
		}
		s.within(5*time.Minute, "in step", s.inStep)
		took := time.Since(start)
		messages := 2*(n+1) + 2*written
		limit := time.Duration(float64(messages) / 100 * 1.2 * float64(time.Second))
		t.Logf("%d shadows in step after %v; %d messages, AWS allows %v", n, took, messages, time.Duration(messages)*time.Second/100)
		if took > limit {
			t.Errorf("it took %v, want at most %v", took, limit)
		}
		if !s.allEqual(things) {
			t.Error("not all are equal")
		}
		if c, _ := s.cloudHas("T1", ""); c.String() != `{"desired":{"a":3},"reported":{"a":2}}` {
			t.Errorf("T1 is %v", c)
		}
	})
}

// passes changes the shadow of "live" on one side, and wants it on the other
// within seconds.
func (s *site) passes(document, side string) {
	s.Helper()
	start := time.Now()
	s.change(side, "live", "", document)
	s.within(3*time.Second, side+" "+document+" passes", func() bool { return s.equal("live", "") })
	s.Logf("%s %s took %v", side, document, time.Since(start))
}

// Three weeks without the cloud, with a change a day, and the clock wrong at both
// ends.
func TestThreeWeeksAway(t *testing.T) {
	things := manyThings(5)
	inSite(t, cloudtest.Options{}, things, func(s *site) {
		s.within(time.Minute, "connected", s.inStep)
		for thing := range things {
			s.change("cloud", thing, "", common)
			s.change("local", thing, "n", common)
		}
		s.within(time.Minute, "in step at the beginning", func() bool { return s.inStep() && s.allEqual(things) })
		s.away()
		s.skew.Store(int64(-50 * 365 * 24 * time.Hour)) // 1970, roughly
		s.cloud.Change(func(f *cloudtest.Faults) { f.ClockOffset = 400 * 24 * time.Hour })
		for day := range 21 {
			s.change("local", "T0", "", fmt.Sprintf(`{"reported":{"day":%d,"d%d":1}}`, day, day))
			s.change("cloud", "T0", "", fmt.Sprintf(`{"desired":{"day":%d,"d%d":1}}`, day, day))
			switch day {
			case 1:
				s.remove("local", "T1", "")
				s.remove("local", "T1", "n")
				s.remove("cloud", "T2", "")
			case 10:
				s.remove("local", "T3", "") // the deletion of T1 is older than is remembered
				s.kill()
			}
			<-time.After(24 * time.Hour)
		}
		s.back()
		s.within(time.Hour, "in step", s.inStep)
		for _, thing := range []string{"T1", "T2", "T3"} {
			if l, _ := s.localHas(thing, ""); l != nil || !s.equal(thing, "") {
				t.Errorf("%s was deleted, and is there: %v", thing, l)
			}
		}
		if c, _ := s.cloudHas("T1", "n"); c != nil {
			t.Errorf("the named shadow of T1 was deleted, and is there: %v", c)
		}
		l, _ := s.localHas("T0", "")
		if !s.equal("T0", "") || len(l.leaves()) != 4+2*22 {
			t.Errorf("T0 has %d leaves: %v", len(l.leaves()), l)
		}
	})
}

// Things that have no shadow anywhere are asked for once, and do not hold up
// those that come after them, with the limits and without.
func TestThousandThingsWithoutShadows(t *testing.T) {
	body := func(s *site) {
		s.rests(2 * time.Minute)
		if n := s.sent.Load(); n != 1000 {
			t.Errorf("%d requests, want 1000", n)
		}
		s.change("cloud", "T999", "", common)
		s.within(3*time.Second, "a change comes down", func() bool { return s.equal("T999", "") })
	}
	t.Run("limits", func(t *testing.T) { inSite(t, cloudtest.Options{}, manyThings(1000), body) })
	t.Run("none", func(t *testing.T) {
		inSite(t, cloudtest.Options{Limits: cloudtest.NoRates()}, manyThings(1000), body, (*site).unlimited)
	})
}

// A notification that does not come, while the link is up, is noticed by the next
// one; one that another overtakes is waited for, and nothing is asked.
func TestNotificationsWithGaps(t *testing.T) {
	topic := "$aws/things/T0/shadow/update/accepted"
	for name, x := range map[string]struct {
		next  string        // what is heard of: an update, or delete
		late  time.Duration // after which the first comes; 0: never
		asks  int64
		state string
	}{
		"lost, then an update":  {`{"desired":{"c":3}}`, 0, 1, `{"desired":{"a":1,"b":2,"c":3,"o":{"x":1}},"reported":{"a":1,"o":{"x":1}}}`},
		"lost, then a deletion": {"delete", 0, 1, ``},
		"overtaken":             {`{"desired":{"b":3}}`, 100 * time.Millisecond, 0, `{"desired":{"a":1,"b":3,"o":{"x":1}},"reported":{"a":1,"o":{"x":1}}}`},
		"late":                  {`{"desired":{"b":3}}`, 5 * time.Second, 1, `{"desired":{"a":1,"b":3,"o":{"x":1}},"reported":{"a":1,"o":{"x":1}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			inSite(t, cloudtest.Options{}, manyThings(1), func(s *site) {
				s.change("cloud", "T0", "", common)
				s.rests(time.Minute)
				sent := s.sent.Load()
				s.cloud.Change(func(f *cloudtest.Faults) { f.DeliverLost = 1 })
				first, err := s.cloud.UpdateShadow("T0", "", []byte(`{"state":{"desired":{"b":2}}}`))
				if err != nil {
					t.Fatal(err)
				}
				does("cloud "+x.next)(s, "T0")
				if x.late > 0 {
					<-time.After(x.late)
					s.replay(cloud.Publish{Topic: topic, Payload: first})
				}
				s.rests(time.Minute)
				s.became("T0", exchange{name: name, want: x.state})
				if n := s.sent.Load() - sent; n != x.asks {
					t.Errorf("%d requests, want %d", n, x.asks)
				}
			})
		})
	}
}

// Messages of the cloud that come again, late and in any order, change nothing and
// lead to few questions.
func TestOldMessages(t *testing.T) {
	t.Run("versions go on", func(t *testing.T) { testOldMessages(t, 0) })
	// 48 hours after a deletion versions begin anew: an old message may have the very
	// next one.
	t.Run("versions begin anew", func(t *testing.T) { testOldMessages(t, 50*time.Hour) })
}

func testOldMessages(t *testing.T, away time.Duration) {
	things := manyThings(3)
	inSite(t, cloudtest.Options{}, things, func(s *site) {
		s.change("cloud", "T0", "", common)
		s.rests(time.Minute)
		for i := range 5 {
			s.change("cloud", "T0", "", fmt.Sprintf(`{"desired":{"a":%d,"d%d":1}}`, i+5, i))
			s.change("local", "T0", "", fmt.Sprintf(`{"reported":{"a":%d,"r%d":1}}`, i+5, i))
			s.rests(time.Minute)
		}
		s.remove("cloud", "T0", "")
		s.rests(time.Minute)
		s.cloud.Change(func(f *cloudtest.Faults) { f.ClockOffset = away })
		s.change("cloud", "T0", "", `{"desired":{"z":1}}`)
		s.rests(time.Minute)
		want, version := s.localHas("T0", "")
		messages := s.tape.take()
		if len(messages) < 15 {
			t.Fatalf("%d messages", len(messages))
		}
		sent := s.sent.Load()
		for i := range messages {
			s.replay(messages[len(messages)-1-i])
			<-time.After(50 * time.Millisecond)
		}
		s.rests(time.Minute)
		got, now := s.localHas("T0", "")
		if c, _ := s.cloudHas("T0", ""); now != version || !sameState(got, want) || !sameState(c, want) {
			t.Errorf("local %v at version %d, cloud %v; want %v at %d", got, now, c, want, version)
		}
		if n := s.sent.Load() - sent; n > 2 && away == 0 || int(n) > len(messages) {
			t.Errorf("%d requests for old messages", n)
		}
	})
}

// A thing whose shadows go one way: what changes on the side that follows is taken
// back, what changes on the leading side gets through, deletions too, and a
// document that the leading side never had stays.
func TestOneWay(t *testing.T) {
	things := map[string]shadows.Direction{}
	for i := range 8 {
		things[fmt.Sprintf("up%d", i)], things[fmt.Sprintf("down%d", i)] = shadows.Up, shadows.Down
	}
	inSite(t, cloudtest.Options{}, things, func(s *site) {
		s.within(time.Minute, "connected", s.inStep)
		both := func(i int, f func(leads, follows, thing string)) {
			f("local", "cloud", fmt.Sprintf("up%d", i))
			f("cloud", "local", fmt.Sprintf("down%d", i))
		}
		for i := range 6 {
			both(i, func(leads, _, thing string) { s.change(leads, thing, "", common) })
		}
		s.rests(time.Minute)
		change := func() {
			both(0, func(leads, _, thing string) {
				s.change(leads, thing, "", `{"desired":{"a":2},"reported":{"o":{"x":null}}}`)
			})
			both(1, func(_, follows, thing string) {
				s.change(follows, thing, "", `{"desired":{"a":3}}`)
				if follows == "cloud" { // what a device reports stays: TestDeviceReportsUnderDown
					s.change(follows, thing, "", `{"reported":{"o":null}}`)
				}
			})
			both(2, func(leads, _, thing string) { s.remove(leads, thing, "") })
			both(3, func(_, follows, thing string) { s.remove(follows, thing, "") })
			both(4, func(leads, follows, thing string) {
				s.change(follows, thing, "", `{"desired":{"a":3}}`)
				s.remove(leads, thing, "")
			})
			both(5, func(_, follows, thing string) { s.change(follows, thing, "", `{"desired":{"o":{"x":null}}}`) })
			both(6, func(_, follows, thing string) { s.change(follows, thing, "", common) })
		}
		want := []string{`{"desired":{"a":2,"o":{"x":1}},"reported":{"a":1,"o":{}}}`, common, ``, common, ``, common, common, ``}
		compare := func(when string) {
			for i, text := range want {
				both(i, func(leads, _, thing string) {
					x := exchange{name: when + " " + thing, want: text}
					if i == 6 {
						if s.equal(thing, "") {
							t.Errorf("%s %s: both have it", when, thing)
						}
						return
					}
					s.became(thing, x)
				})
			}
		}
		s.away()
		change()
		s.back()
		s.rests(time.Minute)
		compare("after an outage")
		for _, i := range []int{2, 4} {
			both(i, func(leads, _, thing string) { s.change(leads, thing, "", common) })
		}
		s.rests(time.Minute)
		change()
		s.rests(time.Minute)
		compare("live")
	})
}
