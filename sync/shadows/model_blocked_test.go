package shadows_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
	"greengate/sync/shadows"
)

// What the cloud will never take is shown with its reason, is not tried again and
// again, is remembered by the next process, and holds up nothing else. The next
// change of either side tries anew.
func TestBlocked(t *testing.T) {
	large := fmt.Sprintf(`{"reported":{"text":%q}}`, strings.Repeat("x", 2000))
	for name, x := range map[string]struct {
		trouble, over func(s *site)
		document, why string
	}{
		"413": {func(*site) {}, func(*site) {}, large, "maximum size"},
		"403": {
			func(s *site) { s.cloud.Change(func(f *cloudtest.Faults) { f.ShadowCode, f.ShadowCount = 403, 1 }) },
			func(*site) {}, `{"reported":{"text":"x"}}`, "Forbidden",
		},
		"a policy": {
			func(s *site) {
				p := s.policy()
				p.DenyPublish = []string{"$aws/things/T0/shadow/update"}
				s.cloud.SetPolicy(core, p)
			},
			func(s *site) { s.cloud.SetPolicy(core, s.policy()) }, `{"reported":{"text":"x"}}`, "not authorized",
		},
	} {
		for _, side := range []string{"local", "cloud"} {
			t.Run(name+", cleared by the "+side+" side", func(t *testing.T) {
				inSite(t, cloudtest.Options{Limits: cloudtest.Limits{ShadowDocument: 1000}}, manyThings(2), func(s *site) {
					s.pardon = []string{"policy"}
					s.change("cloud", "T0", "", common)
					s.rests(time.Minute)
					x.trouble(s)
					s.change("local", "T0", "", x.document)
					blocked := func() bool {
						var now shadows.State
						_ = s.rec.Status(s.Context(), "T0", func(n shadows.State) bool { now = n; return false })
						return now.State == shadows.Blocked && strings.Contains(now.Why, x.why) && len(s.rec.Faults()) > 0 && s.rec.Stats().Blocked == 1
					}
					s.within(10*time.Second, "blocked, and told", blocked)
					sent := s.sent.Load()
					<-time.After(20 * time.Minute)
					if n := s.sent.Load() - sent; n > 0 || !blocked() {
						t.Errorf("%d requests for what is blocked; %s", n, s.report())
					}
					s.kill()
					s.within(time.Minute, "blocked after a kill", func() bool { return s.link.Connected() && blocked() })
					s.change("local", "T1", "", common)
					s.within(3*time.Second, "another passes", func() bool { return s.equal("T1", "") })
					x.over(s)
					s.cloud.Heal()
					if side == "local" || name == "413" {
						s.change("local", "T0", "", `{"reported":{"text":"short"}}`)
					} else {
						s.change("cloud", "T0", "", `{"desired":{"a":2}}`)
					}
					s.within(10*time.Second, "in step", func() bool { return s.inStep() && s.equal("T0", "") && len(s.rec.Faults()) == 0 })
				})
			})
		}
	}
}

// Both sides of a conflict are kept, who won, and when; nothing else is called one.
func TestConflictIsKept(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(2), func(s *site) {
		for thing := range s.things {
			s.change("cloud", thing, "", common)
		}
		s.rests(time.Minute)
		s.away()
		s.change("local", "T0", "", `{"desired":{"a":2,"b":5},"reported":{"a":2,"b":5}}`)
		s.change("cloud", "T0", "", `{"desired":{"a":3,"b":5,"c":1},"reported":{"a":3,"o":null}}`)
		s.change("local", "T1", "", `{"reported":{"b":1}}`)
		s.remove("cloud", "T1", "")
		start := time.Now()
		s.back()
		s.rests(time.Minute)
		want := map[string][]string{
			"T0": {`desired /a base 1 local 2 cloud 3: cloud`, `reported /a base 1 local 2 cloud 3: local`},
			"T1": {`  base ` + common + ` local {"desired":{"a":1,"o":{"x":1}},"reported":{"a":1,"o":{"x":1},"b":1}} cloud : local`},
		}
		for thing, conflicts := range want {
			history, err := s.local.History(s.Context(), thing, "", 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range history {
				for _, c := range e.Conflicts {
					got = append(got, fmt.Sprintf("%s %s base %s local %s cloud %s: %s", c.Section, c.Path, c.Base, c.Local, c.Cloud, c.Winner))
				}
			}
			if slices.Sort(got); !slices.Equal(got, conflicts) {
				t.Errorf("%s: conflicts\n%s, want\n%s", thing, strings.Join(got, "\n"), strings.Join(conflicts, "\n"))
			}
			_ = s.rec.Status(s.Context(), thing, func(n shadows.State) bool {
				if n.LastConflict.Before(start) || n.LastConflict.After(time.Now()) {
					t.Errorf("%s: last conflict %v", thing, n.LastConflict)
				}
				return true
			})
		}
	})
}

// What the documentation does not say is asked: whether an object of nulls alone,
// put where there was none, leaves an empty object.
func TestNullsAlone(t *testing.T) {
	for _, nothing := range []bool{false, true} {
		t.Run(fmt.Sprintf("leave nothing %v", nothing), func(t *testing.T) {
			inSite(t, cloudtest.Options{Readings: cloudtest.Readings{NullsLeaveNothing: nothing}}, manyThings(1), func(s *site) {
				s.change("cloud", "T0", "", common)
				s.rests(time.Minute)
				s.change("cloud", "T0", "", `{"desired":{"n":{"x":null}}}`)
				s.rests(time.Minute)
				s.change("local", "T0", "", `{"reported":{"n":{"x":null}}}`)
				s.rests(time.Minute)
				if l, _ := s.localHas("T0", ""); !s.equal("T0", "") {
					c, _ := s.cloudHas("T0", "")
					t.Errorf("local %v, cloud %v", l, c)
				}
			})
		})
	}
}
