package main_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/paho"

	"greengate/sync/cloud/cloudtest"
)

// A spool that is encrypted: a stolen card does not tell what waits.

// marker is in all that must not be found on the card.
const marker = "Xq7-tell-nobody"

// sealedSite is a site whose spool is encrypted, and the file of the key.
func sealedSite(t *testing.T) (s *cloudSite, key string) {
	t.Helper()
	s = newCloudSite(t, "thermo", "panel")
	key = filepath.Join(t.TempDir(), "spool.key")
	newSpoolKey(t, key)
	s.set(key, "cloud", "spool", "encrypt")
	s.rows(toCloud, row{From: "thermo", Topic: "local/#", To: "panel"})
	return s, key
}

func newSpoolKey(t *testing.T, file string) {
	t.Helper()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		t.Fatal(err)
	}
}

// tellsNothing looks for the marker in every byte of the data folder, and returns the names
// of the files.
func (s *site) tellsNothing(dir, when string) (files []string) {
	s.t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil // it has gone, or is a socket
		}
		files = append(files, e.Name())
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, []byte(marker)) {
			s.t.Errorf("%s: %s tells it", when, path)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return files
}

// whisper publishes messages with the marker in topic, payload and user property.
func (d *device) whisper(topic string, from, to int) {
	d.t.Helper()
	for i := from; i < to; i++ {
		d.publish("sensors/"+d.thing+"/"+marker+topic, fmt.Sprint(marker, i), func(p *paho.Publish) {
			p.Properties = &paho.PublishProperties{User: paho.UserProperties{{Key: marker, Value: marker}}}
		})
	}
}

// whispered waits until all numbers up to n have arrived, each first one in order.
func (s *cloudSite) whispered(n int) {
	s.t.Helper()
	next := 0
	eventually(s.t, fmt.Sprint(n, " messages are in the cloud"), func() bool {
		next = 0
		for _, r := range s.cloud.Received() {
			if strings.Contains(r.Topic, marker) && string(r.Payload) == fmt.Sprint(marker, next) {
				next++
			}
		}
		return next == n
	}, &next)
}

func TestSpoolTellsNothing(t *testing.T) {
	t.Parallel()
	s, _ := sealedSite(t)
	data := s.data("")
	g := s.start()
	eventually(t, "the cloud is there", func() bool { return g.status().Cloud.Connected })
	thermo := s.connect("thermo")
	thermo.whisper("", 0, 30) // most of them are sent before they are on the disk
	s.whispered(30)
	s.tellsNothing(data, "while the cloud takes all")

	// The cloud goes, and messages gather; it is looked at all the time.
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	s.cloud.Cut("e2e_Core", true)
	eventually(t, "the cloud is gone", func() bool { return !g.status().Cloud.Connected })
	for i := 30; i < 230; i += 20 {
		thermo.whisper("", i, i+20)
		s.tellsNothing(data, "under load")
	}
	thermo.whisper("/a/b/c/d/e/f/g/h", 230, 231) // too deep for AWS
	g.die()
	s.tellsNothing(data, "after kill -9")

	g = s.start()
	if st := g.status(); st.Spool.Messages != 201 || len(g.faultsOf("spool")) != 0 {
		t.Errorf("after the start: %+v, faults %v", st.Spool, g.faultsOf("spool"))
	}
	s.says("spool list --limit 3", "thermo +sensors/thermo/"+marker+" +17 +waits$")
	file := filepath.Join(s.dir, "saved.jsonl")
	s.greengate("spool", "export", file)
	if all := readExport(t, file); len(all) != 201 || all[0].Payload != marker+"30" {
		t.Errorf("exported %d: %+v", len(all), all[0])
	}
	phrase := filepath.Join(s.dir, "phrase")
	if err := os.WriteFile(phrase, []byte("correct horse battery staple"), 0o600); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "site.backup")
	if _, said, code := s.command("backup", backup, "--passphrase-file", phrase); code != 0 || !strings.Contains(said, "spool.key is not in the backup") {
		t.Errorf("backup: exit code %d, said %q", code, said)
	}
	s.tellsNothing(data, "after a backup")
	g.stop()
	if files := s.tellsNothing(data, "after a clean end"); !slices.Contains(files, "spool.db.copy") {
		t.Errorf("there is no second copy among %v", files)
	}

	// A database that is damaged comes back from the second copy, and tells nothing either.
	s.damaged(allZero, "spool.db")
	g = s.start()
	s.tellsNothing(data, "after it was restored")
	s.cloud.Heal()
	s.whispered(230)
	eventually(t, "the spool is empty", func() bool { st := g.status().Spool; return st.Messages == 0 && st.Quarantined == 1 })
	s.says("spool list", "sensors/thermo/"+marker+"/a/b/c/d/e/f/g/h +18 +quarantine: the topic .*"+marker+".* slashes")
	s.tellsNothing(data, "with one in quarantine")
	g.stop()
	s.tellsNothing(data, "at the end")
	if strings.Contains(g.log.String(), marker) {
		t.Error("the log tells it")
	}

	// The backup comes back on another card, and is read with the key.
	other := filepath.Join(t.TempDir(), "other")
	s.greengate("restore", backup, "--to", other, "--passphrase-file", phrase)
	s.tellsNothing(filepath.Join(other, "data"), "on the other card")
	s.file, s.dir = filepath.Join(other, "group.yaml"), other
	g = s.start()
	s.whispered(230)
	eventually(t, "the restored spool is empty", func() bool { return g.status().Spool.Messages == 0 })
}

// With a wrong key the site works, what cannot be read is kept and told of, and goes up when
// the right one is back.
func TestSpoolWithWrongKey(t *testing.T) {
	t.Parallel()
	s, key := sealedSite(t)
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	g := s.start()
	s.connect("thermo").measure(1, 20)
	g.stop()

	right := key + ".right"
	if err := os.Rename(key, right); err != nil {
		t.Fatal(err)
	}
	newSpoolKey(t, key)
	g = s.start()
	s.localWorks()
	s.connect("thermo").publish("sensors/thermo/now", "new")
	faults := fmt.Sprint(g.faultsOf("spool"))
	if st := g.status(); st.Spool.Messages != 21 || !strings.Contains(faults, "20 messages cannot be read, and wait: they are encrypted with the key ") {
		t.Errorf("with a wrong key: %+v, faults %v", st.Spool, faults)
	}
	if !strings.Contains(g.log.String(), "group.yaml:") || !strings.Contains(g.log.String(), "cloud.spool: 20 messages cannot be read") {
		t.Error("the log does not tell where to look")
	}
	s.says("spool list --limit 30", `waits; encrypted with the key [0-9a-f]{8}, which is not there$`, `sensors/thermo/now +3 +waits$`)
	var st struct{ Spool struct{ Unreadable int64 } }
	if out := s.greengate("status", "--json"); json.Unmarshal([]byte(out), &st) != nil || st.Spool.Unreadable != 20 {
		t.Errorf("status --json has %+v", st)
	}
	s.cloud.Heal()
	eventually(t, "what can be read is in the cloud", func() bool { return g.status().Spool.Messages == 20 })
	g.stop()

	if said := s.fails(1, "spool", "discard", "--unreadable", "--all"); !strings.Contains(said, "--unreadable names the messages") {
		t.Errorf("discard says %q", said)
	}

	// Switched off, with the right key for what is left.
	s.set(map[string]any{"decrypt": []string{right}}, "cloud", "spool")
	g = s.start()
	s.arrived(map[string]int{"thermo": 20})
	eventually(t, "the spool is empty", func() bool { return g.status().Spool.Messages == 0 && len(g.faultsOf("spool")) == 0 })
	g.stop()

	// A key that is lost: somebody gives up what it encrypts.
	s.set(map[string]any{"encrypt": right}, "cloud", "spool")
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	g = s.start()
	s.connect("thermo").measure(21, 25)
	g.stop()
	s.set(map[string]any{"encrypt": key}, "cloud", "spool")
	g = s.start()
	s.says("spool discard --unreadable", `^5 messages deleted$`)
	if st := g.status(); st.Spool.Messages != 0 || len(g.faultsOf("spool")) != 0 || st.Ledger.Dropped != 5 {
		t.Errorf("after the messages were given up: %+v, %+v, faults %v", st.Spool, st.Ledger, g.faultsOf("spool"))
	}
	s.says("spool stats", `^dropped +5 since the start, unreadable: their key was lost`)
}

// localWorks checks that devices hear each other.
func (s *site) localWorks() {
	s.t.Helper()
	panel := s.connect("panel")
	panel.subscribe("local/#")
	s.connect("thermo").publish("local/x", "here")
	panel.hears("local/x", "here")
	panel.leave()
}

// Without the file of its key the spool takes nothing, and says so; the site works, and the
// key is taken up when it comes.
func TestSpoolWithoutKey(t *testing.T) {
	t.Parallel()
	s, key := sealedSite(t)
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	if out := s.greengate("check"); !strings.Contains(out, "is valid") {
		t.Errorf("check says %s", out)
	}
	if _, said, _ := s.command("check"); !strings.Contains(said, "warning: cloud.spool.encrypt: "+key+" is not there: while that is so, messages to the cloud are refused") {
		t.Errorf("check warns of %q", said)
	}
	g := s.start()
	s.localWorks()
	thermo := s.connect("thermo")
	thermo.publish("sensors/thermo/lost", marker)
	if st := g.status(); st.Spool.Messages != 0 || st.Ledger.Refused != 1 {
		t.Errorf("without the key: %+v, %+v", st.Spool, st.Ledger)
	}
	if faults := fmt.Sprint(g.faultsOf("spool")); !strings.Contains(faults, "messages to the cloud are refused") || !strings.Contains(faults, key) {
		t.Errorf("faults: %s", faults)
	}
	s.says("status", "spool-no-key")

	if err := os.WriteFile(key, []byte("correct horse battery staple\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, said, code := s.command("check"); code != 0 || !strings.Contains(said, "group.yaml:") || !strings.Contains(said, "warning: cloud.spool.encrypt: "+key+" is a text, which is too easy to guess") ||
		!strings.Contains(said, "messages to the cloud are refused (make one: head -c 32 /dev/urandom > FILE)") {
		t.Errorf("check of a weak key: exit code %d, %q", code, said)
	}
	if err := os.Rename(key+".away", key); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the key is taken up", func() bool { return !strings.Contains(fmt.Sprint(g.faultsOf("spool")), "are refused") })
	if faults := fmt.Sprint(g.faultsOf("spool")); !strings.Contains(faults, "everybody on this machine can read the spool's key "+key+" (mode 0644)") || !strings.Contains(faults, "chmod 600") {
		t.Errorf("faults of a loose key: %s", faults)
	}
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	thermo.measure(1, 10)
	thermo.whisper("", 0, 5)
	s.tellsNothing(s.data(""), "with a key that came late")
	s.cloud.Heal()
	s.arrived(map[string]int{"thermo": 10})
	eventually(t, "the spool is empty", func() bool { return g.status().Spool.Messages == 0 && len(g.faultsOf("spool")) == 0 })
}
