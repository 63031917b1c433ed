package shadows_test

import (
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// A named shadow that the cloud made while the gateway was away is known only when
// the names are listed. As long as that takes, nobody is told that all is in step.
func TestListingIsTold(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(2), func(s *site) {
		s.rests(time.Minute)
		s.away()
		s.change("cloud", "T1", "new", common)
		s.names = make(chan struct{})
		s.back()
		s.within(time.Minute, "connected, and the names awaited", func() bool {
			n := s.rec.Stats()
			return s.link.Connected() && n.Listing && n.Asking == 0
		})
		<-time.After(10 * time.Second)
		if n := s.rec.Stats(); !n.Listing || n.InStep != n.Shadows {
			t.Errorf("while the names are awaited: %+v", n)
		}
		close(s.names)
		s.within(10*time.Second, "in step", s.inStep)
		if !s.equal("T1", "new") {
			t.Error("in step without the shadow that was made meanwhile")
		}
	})
}
