package shadows_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greengate/sync/cloud"
	"greengate/sync/cloud/cloudtest"
	"greengate/sync/shadows"
)

// logLines counts the warnings and errors of a reconciler.
type logLines struct{ atomic.Int64 }

func (n *logLines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(n, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (n *logLines) Write(line []byte) (int, error) {
	n.Add(1)
	return len(line), nil
}

// stateOf is what the status says of a classic shadow.
func (s *site) stateOf(thing string) (now shadows.State) {
	s.Helper()
	if err := s.rec.Status(context.Background(), thing, func(n shadows.State) bool { now = n; return false }); err != nil {
		s.Fatal(err)
	}
	return now
}

// deny has the policy forbid operations on the classic shadow of a thing.
func (s *site) deny(thing string, operations ...string) {
	s.pardon = append(s.pardon, "policy")
	p := s.policy()
	for _, op := range operations {
		p.DenyPublish = append(p.DenyPublish, "$aws/things/"+thing+"/shadow/"+op)
	}
	s.cloud.SetPolicy(core, p)
}

// refuses is what makes the cloud refuse updates of T0.
var refuses = map[string]func(*site){
	"a policy": func(s *site) { s.deny("T0", "update") },
	"403": func(s *site) {
		s.cloud.Change(func(f *cloudtest.Faults) { f.ShadowCode, f.ShadowCount = 403, cloudtest.Always })
	},
}

// A new shadow that the cloud will not have is asked for, tried once, and blocked.
func TestNewShadowIsRefused(t *testing.T) {
	for name, refuse := range refuses {
		t.Run(name, func(t *testing.T) {
			inSite(t, cloudtest.Options{}, manyThings(1), func(s *site) {
				s.rests(time.Minute)
				refuse(s)
				sent := s.sent.Load()
				s.change("local", "T0", "", common)
				<-time.After(time.Hour)
				if n := s.sent.Load() - sent; n > 2 {
					t.Errorf("%d requests in an hour", n)
				}
				if now := s.stateOf("T0"); now.State != shadows.Blocked || now.Why == "" || len(s.rec.Faults()) != 1 {
					t.Errorf("status %+v, faults %q", now, s.rec.Faults())
				}
				s.cloud.Heal()
				s.cloud.SetPolicy(core, s.policy())
				s.change("local", "T0", "", `{"reported":{"b":1}}`)
				s.within(5*time.Second, "the next change is in the cloud", func() bool { return s.equal("T0", "") && s.inStep() })
			})
		})
	}
}

// A deletion is a change: it is tried, although what was there before was refused.
func TestBlockedShadowIsDeleted(t *testing.T) {
	inSite(t, cloudtest.Options{Limits: cloudtest.Limits{ShadowDocument: 400}}, manyThings(1), func(s *site) {
		s.change("cloud", "T0", "", `{"desired":{"a":1}}`)
		s.rests(time.Minute)
		s.change("local", "T0", "", `{"reported":{"l":"`+strings.Repeat("x", 500)+`"}}`)
		s.within(10*time.Second, "blocked", func() bool { return s.stateOf("T0").State == shadows.Blocked })
		s.remove("local", "T0", "")
		s.within(10*time.Second, "deleted in the cloud, no fault", func() bool {
			c, _ := s.cloudHas("T0", "")
			return c == nil && s.inStep() && len(s.rec.Faults()) == 0
		})
	})
}

// A refused deletion does not block what is made again days later, with the version
// that was deleted.
func TestMadeAgainAfterARefusedDeletion(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(1), func(s *site) {
		s.change("cloud", "T0", "", `{"desired":{"a":1}}`)
		s.rests(time.Minute)
		s.deny("T0", "delete")
		s.remove("local", "T0", "")
		s.within(10*time.Second, "blocked", func() bool { return s.stateOf("T0").State == shadows.Blocked })
		<-time.After(50 * time.Hour)
		s.change("local", "T0", "", `{"reported":{"b":1}}`)
		s.within(10*time.Second, "in the cloud", func() bool { return s.equal("T0", "") && s.inStep() })
	})
}

// A document that somebody made anew in the cloud, with the version of the one that
// was there before, is a change there: what was blocked is tried again.
func TestBlockedShadowIsMadeAgainInTheCloud(t *testing.T) {
	inSite(t, cloudtest.Options{Limits: cloudtest.Limits{ShadowDocument: 400}}, manyThings(1), func(s *site) {
		large := strings.Repeat("x", 300)
		s.change("cloud", "T0", "", `{"desired":{"l":"`+large+`"}}`)
		s.rests(time.Minute)
		s.change("local", "T0", "", `{"reported":{"l":"`+large+`"}}`)
		s.within(10*time.Second, "blocked", func() bool { return s.stateOf("T0").State == shadows.Blocked })
		s.away()
		s.remove("cloud", "T0", "")
		<-time.After(50 * time.Hour)
		s.change("cloud", "T0", "", `{"desired":{"small":1}}`)
		s.back()
		s.within(time.Minute, "in step", func() bool { return s.inStep() && s.equal("T0", "") })
	})
}

// A device that reports ten times a second, and whose shadow the cloud refuses, costs
// a few requests a minute and one line of the log. What the cloud changes meanwhile
// comes down, and once the cloud takes it a change waits for a minute at most.
func TestBusyDeviceIsRefused(t *testing.T) {
	for name, x := range map[string]struct {
		operations []string
		down       bool // what the cloud tells can be heard
	}{"question": {[]string{"get"}, false}, "update": {[]string{"update"}, true}} {
		t.Run(name, func(t *testing.T) {
			var told logLines
			inSite(t, cloudtest.Options{}, manyThings(1), func(s *site) {
				s.deny("T0", x.operations...)
				if x.down {
					s.change("cloud", "T0", "", common)
				} else {
					s.kill() // it begins without an answer
				}
				<-time.After(time.Minute)
				sent, lines := s.sent.Load(), told.Load()
				for i := range 600 {
					s.change("local", "T0", "", fmt.Sprintf(`{"reported":{"n":%d}}`, i))
					<-time.After(100 * time.Millisecond)
					if x.down && i == 300 {
						s.change("cloud", "T0", "", `{"desired":{"new":1}}`)
					}
					if x.down && i == 310 {
						if l, _ := s.localHas("T0", ""); l.at("desired/new") == (missing{}) {
							t.Error("a change of the cloud does not come down within a second")
						}
					}
				}
				if n := s.sent.Load() - sent; n > 15 {
					t.Errorf("%d requests in a minute", n)
				}
				if n := told.Load() - lines; n > 1 {
					t.Errorf("%d lines of the log in a minute", n)
				}
				if now := s.stateOf("T0"); now.State != shadows.Blocked || now.Why == "" || len(s.rec.Faults()) != 1 {
					t.Errorf("status %+v, faults %q", now, s.rec.Faults())
				}
				s.cloud.SetPolicy(core, s.policy())
				s.change("local", "T0", "", `{"reported":{"n":-1}}`)
				s.within(61*time.Second, "in step", func() bool { return s.inStep() && s.equal("T0", "") && len(s.rec.Faults()) == 0 })
			}, func(s *site) { s.log = told.logger() })
		})
	}
}

// A shadow that the gateway has no room for is told once and asked for no more, until
// there is room.
func TestMoreNamedShadowsThanTheGatewayTakes(t *testing.T) {
	const most = 1000
	var told logLines
	inSite(t, cloudtest.Options{Limits: cloudtest.NoRates()}, manyThings(1), func(s *site) {
		s.within(time.Minute, "connected", s.inStep)
		s.away()
		for i := range most + 3 {
			s.change("cloud", "T0", fmt.Sprintf("n%04d", i), `{"desired":{"a":1}}`)
		}
		s.back()
		blocked := func(n int) func() bool {
			return func() bool {
				return s.rec.Stats().Blocked == n && s.rec.Stats().Asking == 0 && len(s.rec.Faults()) == 1
			}
		}
		s.within(10*time.Minute, "three blocked", blocked(3))
		<-time.After(time.Minute)
		sent := s.sent.Load()
		<-time.After(10 * time.Hour)
		if n := s.sent.Load() - sent; n > most/2 || told.Load() != 3 { // each of the others is asked for once a day
			t.Errorf("%d requests, and %d lines of the log for three shadows", n, told.Load())
		}
		states, err := s.rec.Urgent(s.Context(), 10)
		if err != nil || len(states) != 3 || states[0].State != shadows.Blocked || !strings.Contains(states[0].Why, "the gateway refuses it") {
			t.Errorf("status %+v, %v; faults %q", states, err, s.rec.Faults())
		}
		s.remove("local", "T0", states[0].Name[:1]+"0000")
		s.within(time.Minute, "another takes its place", blocked(2))
	}, func(s *site) { s.log = told.logger(); s.unlimited() })
}

// With MQTT 3.1.1, one shadow that the policy forbids does not mute the others,
// however long it is tried again.
func TestOneForbiddenShadowMutesNoOther(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(2), func(s *site) {
		s.change("cloud", "T0", "", common)
		s.change("cloud", "T1", "", common)
		s.rests(time.Minute)
		s.deny("T0", "update")
		s.change("local", "T0", "", `{"reported":{"a":7}}`)
		for range 48 * 4 {
			<-time.After(15 * time.Minute)
			if f := strings.Join(s.rec.Faults(), " "); strings.Contains(f, "no shadow is synced") {
				t.Fatalf("after %v: %s", time.Since(s.link.Status().Since), f)
			}
		}
		s.within(time.Hour, "connected", s.link.Connected)
		s.change("local", "T1", "", `{"reported":{"a":8}}`)
		s.within(10*time.Second, "another's change", func() bool { return s.equal("T1", "") })
	}, func(s *site) { s.version = cloud.MQTT311 })
}
