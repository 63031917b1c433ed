package shadows_test

import (
	"fmt"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// begin has the first things in step, with a document.
func (s *site) begin(things int) {
	s.Helper()
	s.within(time.Minute, "connected", s.inStep)
	for i := range things {
		s.change("cloud", fmt.Sprintf("T%d", i), "", common)
		<-time.After(30 * time.Millisecond)
	}
	s.within(time.Minute, "in step at the beginning", func() bool { return s.inStep() && s.allEqual(s.things) })
}

// When more changes at once in the cloud than AWS lets pass to a connection, all of it
// comes down soon, also when what was too much is discarded.
func TestManyChangesAtOnceInTheCloud(t *testing.T) {
	for _, discarded := range []bool{false, true} {
		t.Run(fmt.Sprintf("discarded %v", discarded), func(t *testing.T) {
			inSite(t, cloudtest.Options{Readings: cloudtest.Readings{ExcessDiscarded: discarded}}, manyThings(160), func(s *site) {
				s.pardon = []string{"publish-rate"} // nobody can know of so many
				s.begin(160)
				for range 2 {
					for thing := range s.things {
						s.change("cloud", thing, "", fmt.Sprintf(`{"desired":{"at":%d}}`, time.Now().UnixMilli()))
					}
					s.within(3*time.Minute, "in step", func() bool { return s.inStep() && s.allEqual(s.things) })
					<-time.After(3 * time.Minute)
					asked := s.rec.Stats().Asked
					<-time.After(time.Hour)
					if n := s.rec.Stats().Asked - asked; n > 20 {
						t.Errorf("asked %d times in an hour in which nothing happened", n)
					}
				}
			})
		})
	}
}

// What the cloud told, and nobody heard, is found within a day, although the
// connection lives on and nobody changes the shadow any more; a thing that had no
// shadow too. It costs one question for each shadow a day.
func TestLostNotificationIsFoundWithinADay(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(41), func(s *site) {
		s.begin(40)
		since := s.link.Status().Since
		<-time.After(100 * time.Hour)
		asked := s.rec.Stats().Asked
		s.cloud.Change(func(f *cloudtest.Faults) { f.DeliverLost = 6 })
		for i := range 4 {
			s.change("cloud", fmt.Sprintf("T%d", i*11), "", `{"desired":{"a":2}}`)
		}
		s.change("cloud", "T40", "", common)
		s.change("cloud", "T7", "named", common)
		<-time.After(25 * time.Hour)
		if !s.allEqual(s.things) || !s.equal("T7", "named") {
			t.Errorf("not all was found; %s", s.report())
		}
		if n := s.rec.Stats().Asked - asked; n < 30 || n > 60 {
			t.Errorf("asked %d times in a day", n)
		}
		if now := s.link.Status(); !now.Connected || !now.Since.Equal(since) {
			t.Errorf("the connection of %v ended: %+v", since, now)
		}
	})
}

// A notification that cannot be read may tell anything: the cloud is asked at once.
func TestUnreadableNotification(t *testing.T) {
	for name, text := range map[string]string{"no JSON": `{`, "a token that is none": `{"state":{"desired":{"a":2}},"version":2,"clientToken":7}`, "no state": `{"version":2}`} {
		t.Run(name, func(t *testing.T) {
			inSite(t, cloudtest.Options{}, manyThings(1), func(s *site) {
				s.begin(1)
				s.cloud.Change(func(f *cloudtest.Faults) { f.DeliverLost = 1 })
				s.change("cloud", "T0", "", `{"desired":{"a":2}}`)
				asked := s.rec.Stats().Asked
				if err := s.cloud.Publish("$aws/things/T0/shadow/update/accepted", []byte(text), 1, false); err != nil {
					t.Fatal(err)
				}
				s.rests(5 * time.Minute)
				if n := s.rec.Stats(); !s.equal("T0", "") || n.Asked != asked+1 || n.Garbage != 1 {
					t.Errorf("asked %d times, stats %+v", n.Asked-asked, n)
				}
			})
		})
	}
}
