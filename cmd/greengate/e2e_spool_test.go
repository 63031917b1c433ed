package main_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"greengate/sync/cloud/cloudtest"
)

// What an operator learns of the spool, while the cloud is there and while it is
// not.

// says runs a command and checks that its output matches all the expressions.
func (s *site) says(command string, wants ...string) {
	s.t.Helper()
	out := s.greengate(strings.Fields(command)...)
	for _, want := range wants {
		if !regexp.MustCompile("(?m)" + want).MatchString(out) {
			s.t.Errorf("greengate %s does not say %q:\n%s", command, want, out)
		}
	}
}

func TestSpoolInWords(t *testing.T) {
	t.Parallel()
	s := newCloudSite(t, "thermo")
	s.rows(toCloud, row{From: "thermo", Topic: "alarm/+", To: "cloud", Priority: "high"})
	s.cloud.SetPolicy("e2e_Core", cloudtest.Policy{DenyPublish: []string{"sensors/thermo/secret"}})
	g := s.start()
	eventually(t, "the cloud is there", func() bool { return g.status().Cloud.Connected })
	s.says("spool stats", `^waiting  nothing$`, `^cloud    connected to localhost:[0-9]+ since 2`)
	s.says("status", `^cloud +connected to localhost:[0-9]+ since 2`, `^spool +nothing waits$`)

	// The cloud goes, and messages gather.
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	s.cloud.Cut("e2e_Core", true)
	eventually(t, "the cloud is gone", func() bool { return !g.status().Cloud.Connected })
	thermo := s.connect("thermo")
	thermo.measure(1, 30)
	thermo.publish("alarm/fire", "now")
	thermo.publish("sensors/thermo/blob", "\xff\x00")
	thermo.publish("sensors/thermo/secret", "not allowed")
	thermo.publish("sensors/thermo/large", strings.Repeat("x", 129<<10))
	s.says("spool stats", `^waiting  34 messages, 13[0-9.]+ KiB; the oldest since 2[^;]*s\)$`,
		`^cloud    not connected to localhost:[0-9]+ since 2.*`, `^ +last error: `, `^drains   in about 1s once connected, at 100000 messages and 100 MiB a second`,
		`^high     1 message, 13 bytes$`, `^normal   33 messages`, `^  33  13.* KiB  \{from: "device:\*", topic: "sensors/\$\{from\}/#", to: cloud\}$`)
	s.says("spool list --limit 2", `^[0-9]+ +2.* high +thermo +alarm/fire +3 +waits$`, `^[0-9]+ +2.* normal +thermo +sensors/thermo/n +[0-9]+ +waits$`, `^\(32 more`)
	file := filepath.Join(s.dir, "saved.jsonl")
	s.greengate("spool", "export", file)
	exported := readExport(t, file)
	if len(exported) != 34 || exported[0].Payload != "now" || exported[31].Base64 == nil || exported[1].Row != exported[33].Row {
		t.Errorf("exported %d messages: %+v", len(exported), exported)
	}

	// It comes back: all of it arrives, but what it never takes, which is told.
	s.cloud.Heal()
	s.arrived(map[string]int{"thermo": 30})
	eventually(t, "the spool is empty", func() bool { st := g.status().Spool; return st.Messages == 0 && st.Quarantined == 2 })
	s.says("spool stats", `^waiting  nothing$`, `^sent     32 since the start`, `^in quarantine: 2 messages that the cloud never takes$`,
		`thermo on sensors/thermo/secret, 11 bytes\n    .*0x87`, `thermo on sensors/thermo/large, 132096 bytes\n    .*132096 bytes is more`,
		`^  not authorized: give the core the policy that .greengate cloud policy. prints$`, `^  too large: AWS takes 128 KiB`)
	s.says("spool list", `sensors/thermo/secret +11 +quarantine: the cloud refused the message: not authorized \(0x87\)$`)
	s.says("status", `^spool +nothing waits; 2 in quarantine$`, `^    next: .greengate spool stats. tells more$`)

	// With the policy mended, the one goes up; the other never will.
	s.cloud.SetPolicy("e2e_Core", cloudtest.Policy{})
	for _, command := range []string{"requeue", "discard"} {
		if said := s.fails(1, "spool", command, "999"); !strings.Contains(said, "1 number named that no message in quarantine has") {
			t.Errorf("%s of a number that is none says %q", command, said)
		}
	}
	s.says("spool requeue --topic sensors/thermo/secret", `^1 message put back$`)
	eventually(t, "the message that was put back has arrived", func() bool {
		return g.status().Spool.Messages == 0 && slices.ContainsFunc(s.cloud.Received(), func(r cloudtest.Received) bool { return r.Topic == "sensors/thermo/secret" })
	})
	s.says("spool discard --all", `^1 message deleted$`)
	s.says("spool list", `^SEQ .*STATE\n\z`)
	if l := g.status().Ledger; l.Accepted != l.Delivered+l.Refused+l.Expired+l.Dropped+l.Waiting || l.Dropped != 2 {
		t.Errorf("the ledger after a message was put back: %+v", l)
	}
}

// exportedMessage is a line of `greengate spool export`.
type exportedMessage struct {
	Topic, Quarantine string
	Row               string `json:"route"`
	Payload           string
	Base64            []byte `json:"payload_base64"`
}

func readExport(t *testing.T, file string) (all []exportedMessage) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m exportedMessage
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		all = append(all, m)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// A spool that is full says what it gave up, and by which rule.
func TestFullSpoolInWords(t *testing.T) {
	t.Parallel()
	s := newCloudSite(t, "thermo")
	s.set("1MiB", "cloud", "spool", "max_size")
	s.rows(
		row{From: "thermo", Topic: "old/#", To: "cloud"},
		row{From: "thermo", Topic: "low/#", To: "cloud", Priority: "low"},
	)
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	s.start()
	thermo := s.connect("thermo")
	for range 4 {
		thermo.publish("low/n", strings.Repeat("x", 60<<10))
	}
	for range 20 {
		thermo.publish("old/n", strings.Repeat("x", 60<<10))
	}
	s.says("spool stats", `^dropped +4 since the start, full-priority: the spool was full, and messages of higher priority came$`,
		`^dropped +[0-9]+ since the start, full-oldest: .*\(when_full: drop_oldest\)$`, `^fills .* on disk$`)
	s.says("status", `^dropped +.*full-oldest`, `the spool gives messages up`)
}
