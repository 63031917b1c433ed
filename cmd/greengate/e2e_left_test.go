package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"greengate/sync/cloud/cloudtest"
)

// withoutCloud takes the cloud section out of the file, and returns the one with it.
func (s *cloudSite) withoutCloud() (with string) {
	s.t.Helper()
	text, err := os.ReadFile(s.file)
	if err != nil {
		s.t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		s.t.Fatal(err)
	}
	top := doc.Content[0]
	for i := 0; i < len(top.Content); i += 2 {
		if top.Content[i].Value == "cloud" {
			top.Content = slices.Delete(top.Content, i, i+2)
			break
		}
	}
	without, err := yaml.Marshal(&doc)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(string(without))
	return string(text)
}

// spoolFiles are the files of the spool that there are.
func (s *cloudSite) spoolFiles() []string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "data", "spool.db*"))
	if err != nil {
		s.t.Fatal(err)
	}
	return files
}

// What waits for the cloud when its section is taken out is neither lost nor hidden.
func TestCloudSectionTakenOut(t *testing.T) {
	t.Parallel()
	s := newCloudSite(t, "thermo")
	s.rows(toCloud)
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	g := s.start()
	thermo := s.connect("thermo")
	thermo.measure(1, 100)
	eventually(t, "100 wait", func() bool { return g.status().Spool.Messages == 100 })

	with := s.withoutCloud()
	s.says("plan "+s.file, `^! 100 messages wait for the cloud: what is not sent by then stays in .*/spool\.db from the next start on`)
	s.greengate("reload")
	s.says("status", `^    next: restart greengate; 100 messages wait for the cloud`)
	g.stop()
	s.says("plan "+s.file, `nothing changes`)

	g = s.start()
	if st := g.status(); st.Ledger.Waiting != 100 || st.Spool.Messages != 100 {
		t.Errorf("without the section: ledger %+v, spool %+v", st.Ledger, st.Spool)
	}
	if f := fmt.Sprint(g.faultsOf("spool")); !strings.Contains(f, "100 messages wait for the cloud in ") {
		t.Errorf("without the section the faults of the spool are %s", f)
	}
	s.says("status", `^spool +100 messages, [0-9.]+ (bytes|KiB), and no cloud to go to$`, `^    next: put the cloud section back, and they go up; to give them up, stop greengate and delete .*/spool\.db\*$`)
	_, errs, code := s.command("spool", "stats")
	if code != 1 || !strings.Contains(errs, "100 messages wait for the cloud in ") || strings.Contains(errs, "nothing waits") {
		t.Errorf("spool stats ends with %d: %s", code, errs)
	}
	s.connect("thermo").measure(101, 101) // refused, no-cloud
	s.says("status", `no-cloud 1`)
	g.balanced()
	g.stop()

	s.write(with)
	s.cloud.Heal()
	g = s.start()
	s.arrived(map[string]int{"thermo": 100})
	g.balanced()
	g.stop()
}

// The next step that the fault names does what it says.
func TestLeftMessagesGivenUp(t *testing.T) {
	t.Parallel()
	s := newCloudSite(t, "thermo")
	s.rows(toCloud)
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	g := s.start()
	s.connect("thermo").measure(1, 10)
	g.stop()
	with := s.withoutCloud()
	g = s.start()
	if n := len(g.faultsOf("spool")); n != 1 {
		t.Errorf("%d faults of the spool, want 1", n)
	}
	g.stop()
	for _, file := range s.spoolFiles() {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	g = s.start()
	if f, st := g.faultsOf("spool"), g.status(); len(f) != 0 || st.Ledger.Waiting != 0 {
		t.Errorf("after the spool is deleted: faults %v, ledger %+v", f, st.Ledger)
	}
	if left := s.spoolFiles(); len(left) != 0 {
		t.Errorf("a gateway without a cloud makes %v", left)
	}
	g.stop()
	s.write(with)
	g = s.start()
	if f, st := g.faultsOf("spool"), g.status(); len(f) != 0 || st.Spool.Messages != 0 {
		t.Errorf("with the section back: faults %v, spool %+v", f, st.Spool)
	}
}

// What is in quarantine is not hidden either.
func TestQuarantineWithoutCloudSection(t *testing.T) {
	t.Parallel()
	s := newCloudSite(t, "thermo")
	s.rows(toCloud)
	g := s.start()
	s.connect("thermo").publish("sensors/thermo/large", strings.Repeat("x", 129<<10))
	eventually(t, "it is in quarantine", func() bool { return g.status().Spool.Quarantined == 1 })
	g.stop()
	s.withoutCloud()
	g = s.start()
	if f := fmt.Sprint(g.faultsOf("spool")); g.status().Spool.Quarantined != 1 || !strings.Contains(f, "1 message in quarantine in ") {
		t.Errorf("without the section: spool %+v, faults %s", g.status().Spool, f)
	}
	g.balanced()
}
