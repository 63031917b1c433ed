package shadows_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
	"greengate/sync/cloud/cloudtest"
	"greengate/sync/shadows"
)

// obeys has the device of T0 report what is desired, each time that it is told a
// difference, as devices do. It returns how many reports there were.
func (s *site) obeys() *atomic.Int64 {
	var reports atomic.Int64
	s.local.Watch(func(c localshadow.Change) {
		if c.Current.Desired == c.Current.Reported || c.Current.Desired == "" || reports.Load() > 500 {
			return
		}
		reports.Add(1)
		s.local.Handle("T0", "", localshadow.OpUpdate, []byte(`{"state":{"reported":`+c.Current.Desired+`}}`), byDevice, func([]byte, error) {})
	})
	return &reports
}

// With direction down a device may report what it did: that stays here, does not go
// up, is not taken back, and is in step. It gives way when the cloud changes the leaf.
func TestDeviceReportsUnderDown(t *testing.T) {
	inSite(t, cloudtest.Options{}, map[string]shadows.Direction{"T0": shadows.Down}, func(s *site) {
		s.within(time.Minute, "connected", s.inStep)
		reports := s.obeys()
		s.change("cloud", "T0", "", `{"desired":{"p":"on"}}`)
		is := func(local, cloud string) {
			t.Helper()
			s.rests(time.Minute)
			l, _ := s.localHas("T0", "")
			c, _ := s.cloudHas("T0", "")
			if l.String() != local || c.String() != cloud {
				t.Errorf("local %v, cloud %v; want %s and %s", l, c, local, cloud)
			}
		}
		is(`{"desired":{"p":"on"},"reported":{"p":"on"}}`, `{"desired":{"p":"on"}}`)
		if n := reports.Load(); n != 1 {
			t.Errorf("the device had to report %d times", n)
		}
		if now := s.stateOf("T0"); now.State != shadows.InStep || now.Why == "" {
			t.Errorf("status %+v", now)
		}
		s.kill()
		s.change("local", "T0", "", `{"reported":{"watts":7}}`)
		is(`{"desired":{"p":"on"},"reported":{"p":"on","watts":7}}`, `{"desired":{"p":"on"}}`)
		s.change("cloud", "T0", "", `{"reported":{"watts":0}}`)
		is(`{"desired":{"p":"on"},"reported":{"p":"on","watts":0}}`, `{"desired":{"p":"on"},"reported":{"watts":0}}`)
		s.change("local", "T0", "", `{"desired":{"p":"off"},"reported":{"watts":8}}`)
		is(`{"desired":{"p":"on"},"reported":{"p":"on","watts":8}}`, `{"desired":{"p":"on"},"reported":{"watts":0}}`)
		// When the direction becomes both, nothing of it is lost.
		s.things = map[string]shadows.Direction{"T0": shadows.Both}
		s.rec.Refresh()
		both := `{"desired":{"p":"on"},"reported":{"p":"on","watts":8}}`
		is(both, both)
	})
}

// A function here, or a rule in the cloud, that answers each putting back with the
// same change again does not keep the gateway busy: the rounds become slow, and what
// else changes is not held up.
func TestStubbornChangeIsPutBackSlowly(t *testing.T) {
	const want, other = `{"desired":{"p":"right"}}`, `{"desired":{"p":"wrong"}}`
	for direction, leads := range map[shadows.Direction]string{shadows.Up: "local", shadows.Down: "cloud"} {
		t.Run(direction.String(), func(t *testing.T) {
			inSite(t, cloudtest.Options{}, map[string]shadows.Direction{"T0": direction}, func(s *site) {
				s.within(time.Minute, "connected", s.inStep)
				has, follows := s.localHas, "local"
				if leads == "local" {
					has, follows = s.cloudHas, "cloud"
				}
				s.change(leads, "T0", "", want)
				s.rests(time.Minute)
				rounds := 0
				for i := range 60 * 20 { // at 20 a second, for a minute
					if d, _ := has("T0", ""); d.at("desired/p") == "right" {
						rounds++
						s.change(follows, "T0", "", other)
					}
					<-time.After(50 * time.Millisecond)
					if i == 60*10 {
						s.change(leads, "T0", "", `{"reported":{"n":1}}`)
					}
					if d, _ := has("T0", ""); i == 60*10+20 && d.at("reported/n") == (missing{}) {
						t.Errorf("another change of the %s side is held up", leads)
					}
				}
				if rounds > 10 {
					t.Errorf("put back %d times in a minute", rounds)
				}
				s.within(61*time.Second, "in step", func() bool { return s.inStep() && s.equal("T0", "") })
				if d, _ := has("T0", ""); d.at("desired/p") != "right" {
					t.Errorf("in the end the other side has %v", d)
				}
				if s.rec.Stats().Conflicts == 0 {
					t.Error("no conflict is told")
				}
			})
		})
	}
}

// A shadow that changes in every commit of a slow disk gets through to the cloud all
// the same, about once a second at least.
func TestBusyShadowOnASlowDisk(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(1), func(s *site) {
		s.within(time.Minute, "connected", s.inStep)
		end := make(chan struct{})
		var wg sync.WaitGroup
		busy := func(f func(i int) error) {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-end:
						return
					default:
					}
					if err := f(i); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		busy(func(int) error { // each commit takes 40 ms
			return s.db.Update(s.Context(), func(*sqlite.Tx) error { <-time.After(40 * time.Millisecond); return nil })
		})
		for device := range 3 {
			busy(func(i int) error {
				_, err := s.local.Update(s.Context(), "T0", "", fmt.Appendf(nil, `{"state":{"reported":{"d%d":%d}}}`, device, i), byDevice)
				return err
			})
		}
		<-time.After(2 * time.Second)
		for range 15 {
			_, before := s.cloudHas("T0", "")
			<-time.After(2 * time.Second)
			if _, now := s.cloudHas("T0", ""); now == before {
				l, version := s.localHas("T0", "")
				t.Errorf("nothing reached the cloud for 2 s; version %d here: %v", version, l)
			}
		}
		close(end)
		wg.Wait()
		s.within(3*time.Second, "in step", func() bool { return s.inStep() && s.equal("T0", "") })
	})
}
