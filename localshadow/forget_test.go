package localshadow_test

import (
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// cycle makes a shadow and deletes it, and returns its version.
func (st *station) cycle(thing string) int64 {
	st.Helper()
	_, accepted, _ := strings.Cut(st.tell(updateTopic(thing), `{"state":{}}`), "update/accepted ")
	version := number(st, accepted, "version")
	st.tell("$aws/things/"+thing+"/shadow/delete", "")
	return version
}

// The versions of deleted shadows are remembered for 48 hours, and no more of
// them than there may be shadows.
func TestRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := openStation(t, func(_ *sqlite.Options, o *localshadow.Options) { o.Bounds.Shadows = 3 })
		for _, thing := range []string{"a", "b", "c", "d"} {
			<-time.After(time.Second)
			st.cycle(thing)
		}
		if s := st.Stats(); s.Remembered != 3 || s.Shadows != 0 {
			t.Errorf("stats %+v", s)
		}
		if v := st.cycle("b"); v != 2 {
			t.Errorf("b goes on with %d", v)
		}
		if v := st.cycle("a"); v != 1 {
			t.Errorf("a, the oldest of too many, goes on with %d", v)
		}
		<-time.After(48 * time.Hour)
		if v := st.cycle("a"); v != 2 {
			t.Errorf("a goes on with %d after 48 hours", v)
		}
		<-time.After(48*time.Hour + time.Second)
		if v := st.cycle("e"); v != 1 || st.Stats().Remembered != 1 {
			t.Errorf("after 48 more hours: %d, %+v", v, st.Stats())
		}
		if v := st.cycle("a"); v != 1 {
			t.Errorf("a goes on with %d after it was forgotten", v)
		}
	})
}

// A clock that is set makes no deletion older, also over a restart: a Pi has no RTC.
func TestRememberedWhenTheClockIsSet(t *testing.T) {
	const years = 365 * 24 * time.Hour
	for _, c := range []struct {
		name        string
		wrong, then time.Duration
		restart     bool
	}{
		{"set right", -50 * years, 0, false},
		{"restart, set right", -50 * years, 0, true},
		{"off for a week", 0, 7 * 24 * time.Hour, true},
		{"set back", 50 * years, 0, false},
		{"restart, behind", 0, -50 * years, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var skew atomic.Int64
				skew.Store(int64(c.wrong))
				file, clock := filepath.Join(t.TempDir(), "shadows.db"), func(_ *sqlite.Options, o *localshadow.Options) {
					o.Bounds.Shadows = 2
					o.Now = func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }
				}
				st := openStationAt(t, file, clock)
				st.cycle("a")
				if c.restart {
					st.stop()
				}
				skew.Store(int64(c.then))
				if c.restart {
					st = openStationAt(t, file, clock)
				}
				<-time.After(47 * time.Hour)
				st.cycle("b")
				<-time.After(time.Second)
				if v := st.cycle("a"); v != 2 {
					t.Errorf("made again with version %d, want 2", v)
				}
				// Of too many the oldest goes, and not the one that the clock dates first.
				<-time.After(time.Second)
				st.cycle("c")
				if a, b := st.cycle("a"), st.cycle("b"); a != 3 || b != 1 {
					t.Errorf("a goes on with %d, b with %d", a, b)
				}
			})
		})
	}
}

// A deletion that the cloud has not been told stays until sync/shadows has seen it: else
// the cloud would bring the shadow back.
func TestUnseenDeletionIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := openStation(t, func(_ *sqlite.Options, o *localshadow.Options) { o.Bounds.Shadows = 2 })
		for _, thing := range []string{"unseen", "seen"} {
			st.cycle(thing)
		}
		st.knows("unseen", 7, "", 0)
		st.knows("seen", 8, "", 1)
		<-time.After(49 * time.Hour)
		for _, thing := range []string{"a", "b", "c"} { // more than are remembered, too
			st.cycle(thing)
		}
		if s := st.Stats(); s.Remembered != 3 {
			t.Errorf("%d are remembered, want the unseen one and the two newest", s.Remembered)
		}
		if unseen, seen := st.cycle("unseen"), st.cycle("seen"); unseen != 2 || seen != 1 {
			t.Errorf("the unseen one goes on with %d, the seen one with %d", unseen, seen)
		}
	})
}
