package shadows_test

import (
	"fmt"
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
