package localshadow_test

import (
	"strings"
	"testing"
)

// Versions: aws-iot.md 1.6 (AWS: device-shadow-data-flow).
func TestVersion(t *testing.T) {
	s := newShadow(t)
	want := func(version int64) {
		t.Helper()
		if s.doc.Version != version {
			t.Errorf("the version is %d, want %d", s.doc.Version, version)
		}
	}
	s.rejected(`{"state":{},"version":1}`) // there is none: rules.go 9
	s.update(`{"state":{"desired":{"a":1}},"version":0}`)
	want(1)
	s.update(`{"state":{"desired":{"a":1}},"version":1}`) // nothing changes, but it counts
	want(2)
	s.rejected(`{"state":{},"version":1}`)
	s.rejected(`{"state":{"desired":5}}`)
	want(2)
	s.update(`{"state":{}}`) // without a version there is no conflict
	want(3)
}

// A shadow that is made again while its deletion is remembered goes on, whatever the
// clock says: rules.go 9, 10, 12.
func TestRecreate(t *testing.T) {
	const years = 365 * 24 * 60 * 60
	for _, c := range []struct {
		what  string
		later int64 // seconds
	}{
		{"at once", 0}, {"with the clock set right", 50 * years}, {"with the clock set back", -50 * years},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := given(t, `{"desired":{"old":1}}`)
			s.update(`{"state":{}}`)
			s.delete("")
			if s.doc.Version != 2 || s.doc.Exists() || s.doc.Size() > 0 {
				t.Errorf("what is left is %+v", s.doc)
			}
			s.now += c.later
			s.rejected(`{"state":{},"version":2}`)
			a := s.update(`{"state":{"desired":{"new":1}},"version":0}`)
			if s.doc.Version != 3 {
				t.Errorf("the version is %d, want 3", s.doc.Version)
			}
			same(t, "the document", s.state(), `{"desired":{"new":1}}`)
			if strings.Contains(string(a.Documents()), "previous") {
				t.Errorf("documents: %s", a.Documents())
			}
		})
	}
}
