package shadows_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"greengate/sync/cloud"
	"greengate/sync/cloud/cloudtest"
	"greengate/sync/shadows"
)

// With MQTT 3.1.1 the cloud says that a policy forbids a request by closing the
// connection. The shadow that it is for is found out and left alone, and all others
// are synced.
func TestRequestThatCutsTheConnection(t *testing.T) {
	for _, op := range []string{"get", "update"} {
		t.Run(op, func(t *testing.T) {
			inSite(t, cloudtest.Options{}, manyThings(5), func(s *site) {
				s.pardon = []string{"policy"}
				p := s.policy()
				p.DenyPublish = []string{"$aws/things/T0/shadow/" + op}
				s.cloud.SetPolicy(core, p)
				for thing := range s.things {
					s.change("local", thing, "", common)
				}
				state := func() (now shadows.State) {
					_ = s.rec.Status(s.Context(), "T0", func(n shadows.State) bool { now = n; return false })
					return now
				}
				s.within(24*time.Hour, "the shadow blocked", func() bool {
					n := state()
					return n.State == shadows.Blocked && strings.Contains(n.Why, "closes the connection") && len(s.rec.Faults()) == 1
				})
				s.within(time.Minute, "the others in step", func() bool {
					return s.equal("T1", "") && s.equal("T2", "") && s.equal("T3", "") && s.equal("T4", "") && s.rec.Stats().Blocked == 1
				})
				s.within(24*time.Hour, "connected", s.link.Connected)
				since := s.link.Status().Since
				s.change("local", "T0", "", `{"reported":{"n":1}}`)
				s.change("local", "T1", "", `{"reported":{"n":1}}`)
				s.within(10*time.Second, "another's change", func() bool { return s.equal("T1", "") })
				<-time.After(10 * time.Minute)
				if now := s.link.Status(); !now.Connected || !now.Since.Equal(since) {
					t.Errorf("the connection of %v ended for what was found out: %+v", since, now)
				}
				s.cloud.SetPolicy(core, s.policy())
				s.rec.Refresh()
				s.within(10*time.Second, "in step when the policy is right and the file read again", func() bool {
					return s.equal("T0", "") && s.inStep() && len(s.rec.Faults()) == 0
				})
			}, func(s *site) { s.version = cloud.MQTT311 })
		})
	}
}

// When each request cuts the connection, whatever the shadow, none is sent for an hour.
func TestEveryRequestCutsTheConnection(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(200), func(s *site) {
		s.cloud.Change(func(f *cloudtest.Faults) { f.Poison = []cloudtest.Poison{{Filter: "$aws/things/#"}} })
		s.within(24*time.Hour, "blocked, and told", func() bool {
			return len(s.rec.Faults()) > 0 && strings.HasPrefix(s.rec.Faults()[0], "no shadow is synced until ") && s.rec.Stats().Blocked == 200
		})
		told := s.rec.Faults()[0] // with the time until which nothing is sent
		s.within(time.Hour, "connected", s.link.Connected)
		s.change("local", "T0", "", common)
		for range 20 {
			<-time.After(time.Minute)
			if f := s.rec.Faults(); len(f) == 0 || f[0] != told {
				break // it took the link long to be there again, and the hour is over
			}
			if !s.link.Connected() {
				t.Fatal("the connection does not last")
			}
		}
		s.cloud.Heal()
		s.within(time.Hour, "in step by itself", func() bool { return s.inStep() && s.equal("T0", "") && len(s.rec.Faults()) == 0 })
	})
}

// Ends of the connection for which no request is to blame block nothing.
func TestInnocentRequests(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(5), func(s *site) {
		for i := range 200 {
			s.change("local", "T0", "", []string{`{"reported":{"n":1}}`, `{"reported":{"n":2}}`}[i%2])
			s.within(time.Hour, "connected", s.link.Connected)
			<-time.After(time.Duration(i%7) * 30 * time.Millisecond)
			s.cloud.Cut(core, true)
			if f := s.rec.Faults(); len(f) > 0 {
				t.Fatalf("after %d ends: %q", i, f)
			}
		}
		s.within(time.Hour, "in step", func() bool { return s.inStep() && s.equal("T0", "") })
	})
}

// A blocked shadow is no fault any more when its thing is not synced any more.
func TestBlockedAndNotSynced(t *testing.T) {
	inSite(t, cloudtest.Options{Limits: cloudtest.Limits{ShadowDocument: 1000}}, manyThings(2), func(s *site) {
		s.change("cloud", "T0", "", common)
		s.rests(time.Minute)
		s.change("local", "T0", "", `{"reported":{"text":"`+strings.Repeat("x", 2000)+`"}}`)
		s.within(10*time.Second, "blocked", func() bool { return s.rec.Stats().Blocked == 1 && len(s.rec.Faults()) == 1 })
		delete(s.things, "T0")
		s.rec.Refresh()
		s.within(10*time.Second, "no fault", func() bool { return s.rec.Stats().Blocked == 0 && len(s.rec.Faults()) == 0 })
		s.kill()
		s.within(10*time.Second, "no fault after a kill", func() bool { return s.link.Connected() && s.inStep() && len(s.rec.Faults()) == 0 })
	})
}

// What is not in step is told by what the documents say, also while the cloud is away,
// and also where there is no document here any more.
func TestUrgent(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(4), func(s *site) {
		for thing := range s.things {
			s.change("cloud", thing, "", common)
		}
		s.rests(time.Minute)
		s.away()
		s.change("local", "T1", "", `{"reported":{"n":1}}`)
		s.remove("local", "T2", "")
		s.within(10*time.Second, "both ahead", func() bool {
			n := s.rec.Stats()
			return n.Ahead == 2 && n.Asking+n.Behind+n.Blocked == 0
		})
		urgent := func() (text string) {
			states, err := s.rec.Urgent(s.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range states {
				text += fmt.Sprintf("%s %s %d %d. ", n.Thing, n.State, n.LocalVersion, n.CloudVersion)
			}
			return text
		}
		if got, want := urgent(), "T1 ahead 2 1. T2 ahead 0 1. "; got != want {
			t.Errorf("urgent are %q, want %q", got, want)
		}
		s.back()
		s.rests(time.Minute)
		if got := urgent(); got != "" {
			t.Errorf("urgent are %q", got)
		}
	})
}
