package main_test

import (
	"strings"
	"testing"

	"greengate/sync/cloud/cloudtest"
)

// moveCloud has the site connect to another, empty cloud from the next start on.
func (s *cloudSite) moveCloud() {
	s.t.Helper()
	s.cloud = cloudtest.Start(s.t, cloudtest.Options{Limits: cloudtest.Limits{PublishRate: -1, ConnectRate: -1, Throughput: -1}})
	files, err := s.cloud.Files(s.t.TempDir(), "e2e_Core")
	if err != nil {
		s.t.Fatal(err)
	}
	s.linkBy(files)
}

// A site that moves to another account takes its shadows along, and what waits.
func TestAnotherCloudGetsWhatIsHere(t *testing.T) {
	t.Parallel()
	s := newCloudSite(t, "lamp")
	s.rows(toCloud)
	g := s.start()
	lamp := s.connect("lamp")
	s.wants("lamp", `{"power":"on"}`)
	lamp.state("reported", `{"power":"off"}`)
	const both = `{"desired":{"power":"on"},"reported":{"power":"off"}}`
	s.equal("lamp", both)
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	s.cloud.Cut("e2e_Core", true)
	eventually(t, "the cloud is gone", func() bool { return !g.status().Cloud.Connected })
	lamp.measure(1, 20)

	s.moveCloud()
	s.says("plan "+s.file, `^! localhost:[0-9]+ is another cloud than localhost:[0-9]+: the shadows here meet those there for the first time`)
	g.stop()
	g = s.start()
	s.equal("lamp", both)
	s.arrived(map[string]int{"lamp": 20})
	if out := s.greengate("shadow", "history", "lamp"); strings.Contains(out, "deleted") {
		t.Errorf("the history has a deletion:\n%s", out)
	}
	if n := strings.Count(g.log.String(), "The shadows meet those of another cloud for the first time"); n != 1 {
		t.Errorf("the log tells of the other cloud %d times, want once", n)
	}
	g.balanced()
}
