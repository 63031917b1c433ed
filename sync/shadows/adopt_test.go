package shadows_test

import (
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// ofAccount has the gateway know its cloud by a name.
func ofAccount(name string) func(*site) { return func(s *site) { s.account = name } }

// moves restarts the gateway with another cloud.
func (s *site) moves(account string, before func()) {
	s.Helper()
	s.account = account
	s.openCloud(cloudtest.Options{})
	before()
	s.kill()
	s.rests(time.Minute)
}

// has checks both sides of a shadow.
func (s *site) has(thing, name string, want state) {
	s.Helper()
	l, _ := s.localHas(thing, name)
	c, _ := s.cloudHas(thing, name)
	if l.String() != want.String() || c.String() != want.String() {
		s.Errorf("%s/%s: local %v, cloud %v, want %v", thing, name, l, c, want)
	}
}

// A gateway that is given another cloud (another account, another region) loses nothing:
// nobody has deleted what that cloud lacks. What waited for the old one is no reason to
// delete anything, or to leave it alone, in the new one.
func TestAnotherCloud(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(6), func(s *site) {
		const both = `{"desired":{"mode":"auto"},"reported":{"power":"off"}}`
		s.change("local", "T0", "", both)
		s.change("local", "T0", "night", both)
		for _, thing := range []string{"T1", "T2"} {
			s.change("cloud", thing, "", both)
		}
		s.deny("T4", "update")
		s.change("local", "T4", "", both)
		s.within(time.Minute, "T4 is blocked", func() bool { return s.rec.Stats().Blocked == 1 })
		s.away()
		s.change("local", "T1", "", `{"desired":{"fade":1},"reported":{"power":"on"}}`)
		s.remove("local", "T2", "")
		_, version := s.localHas("T1", "")

		s.moves("another", func() {
			s.change("cloud", "T1", "", `{"desired":{"mode":"off"},"reported":{"power":"dim"}}`)
			s.change("cloud", "T2", "", both)
			s.change("cloud", "T3", "", both)
		})
		own := state{"desired": object{"mode": "auto"}, "reported": object{"power": "off"}}
		s.has("T0", "", own)
		s.has("T0", "night", own)
		s.has("T1", "", state{"desired": object{"mode": "off", "fade": 1.0}, "reported": object{"power": "on"}})
		s.has("T2", "", own)
		s.has("T3", "", own)
		s.has("T4", "", own)
		if _, now := s.localHas("T1", ""); now <= version {
			t.Errorf("version %d follows %d", now, version)
		}

		// It is a base like any other: a deletion there is one.
		s.remove("cloud", "T3", "")
		s.kill()
		s.rests(time.Minute)
		s.has("T3", "", nil)

		// And back: the first one is another one now.
		s.moves("one", func() {})
		s.has("T0", "", own)
		s.has("T2", "", own)
	}, ofAccount("one"))
}

// One cloud by another name (a custom domain) costs a first meeting, which loses nothing.
func TestSameCloudByAnotherName(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(2), func(s *site) {
		for _, thing := range []string{"T0", "T1"} {
			s.change("cloud", thing, "", `{"desired":{"mode":"auto"},"reported":{"power":"off"}}`)
		}
		s.rests(time.Minute)
		s.away()
		s.change("local", "T0", "", `{"desired":{"fade":1},"reported":{"power":"on"}}`)
		s.change("cloud", "T0", "", `{"desired":{"mode":"off"}}`)
		s.account = "two"
		s.kill()
		s.back()
		s.rests(time.Minute)
		s.has("T0", "", state{"desired": object{"mode": "off", "fade": 1.0}, "reported": object{"power": "on"}})
		s.has("T1", "", state{"desired": object{"mode": "auto"}, "reported": object{"power": "off"}})
	}, ofAccount("one"))
}

// What a program before this one knew of the cloud, without its name, stays known.
func TestCloudWithoutName(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(2), func(s *site) {
		for _, thing := range []string{"T0", "T1"} {
			s.change("cloud", thing, "", `{"desired":{"mode":"auto"}}`)
		}
		s.rests(time.Minute)
		s.away()
		s.remove("local", "T0", "")
		s.remove("cloud", "T1", "")
		s.account = "one"
		s.kill()
		s.back()
		s.rests(time.Minute)
		s.has("T0", "", nil)
		s.has("T1", "", nil)
	})
}

// A slip in the endpoint, which leads to no cloud at all, costs nothing.
func TestCloudThatIsNeverReached(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(1), func(s *site) {
		s.change("cloud", "T0", "", `{"desired":{"mode":"auto"}}`)
		s.rests(time.Minute)
		s.away()
		s.remove("local", "T0", "")
		s.account = "slip"
		s.kill()
		time.Sleep(time.Hour)
		s.account = "one"
		s.kill()
		s.back()
		s.rests(time.Minute)
		s.has("T0", "", nil)
	}, ofAccount("one"))
}
