package telemetry_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// Wherever the process is killed, nothing that was told stored is lost, the order holds,
// what comes twice is bounded, and what the spool says of itself is true.
func TestFailpoints(t *testing.T) {
	for _, c := range []struct {
		load  load
		kills string // failpoint:hit, one process after the other on one database
	}{
		{loadFlow, "told:3 begun:1 begun:1"},
		{loadFlow, "routed:1 routed:4 routed:9"},
		{loadFlow, "staged:1 staged:60 staged:300"},
		{loadCalm, "early:1 early:50 early:500"},
		{loadCalm, "spared:1 spared:50 spared:500"},
		{loadCalm, "acknowledged:300 committed:5 isolated:3 settled:40"},
		{loadFlow, "taken:1 taken:3 taken:20"},
		{loadFlow, "saved:1 saved:50 saved:300"},
		{loadFlow, "placed:1 placed:50 placed:300"},
		{loadFlow, "inserted:1 inserted:4 inserted:20"},
		{loadFlow, "counted:1 counted:5 counted:25"},
		{loadFlow, "committed:1 committed:4 committed:20"},
		{loadFlow, "told:1 told:5 told:25"},
		{loadFlow, "send:1 send:40 send:300"},
		{loadFlow, "sent:1 sent:50 sent:300"},
		{loadFlow, "acknowledged:1 acknowledged:40 acknowledged:300"},
		{loadFlow, "removing:1 removing:3 removing:9"},
		{loadFlow, "isolated:1 isolated:3 isolated:9"},
		{loadFlow, "removed:1 removed:3 removed:9"},
		{loadFlow, "left:1 left:3 left:9"},
		{loadFlow, "settled:1 settled:4 settled:12"},
		{loadAgain, "requeued:1 requeued:4 requeued:15 committed:30 counted:50 told:40"},
		{loadFull, "evicted:1 evicted:5 evicted:12"},
		{loadFull, "evicted:3 committed:3 told:9"},
		{loadExpire, "lapsed:1"},
		{loadExpire, "lapsed:3 removed:1"},
	} {
		t.Run(fmt.Sprint(c.load, " ", c.kills), func(t *testing.T) {
			t.Parallel()
			s := survivor{t: t, load: c.load, file: t.TempDir() + "/spool.db", arrived: [doomedDevices]map[int]bool{{}, {}, {}}}
			for _, kill := range strings.Fields(c.kills) {
				d := doom{File: s.file, Load: c.load, From: s.from()}
				d.Point, kill, _ = strings.Cut(kill, ":")
				if _, err := fmt.Sscan(kill, &d.Hits); err != nil {
					t.Fatal(err)
				}
				s.kill(d)
				s.look()
			}
			s.drain()
		})
	}
}

// survivor is what is known of a spool whose processes die.
type survivor struct {
	t    *testing.T
	load load
	file string

	stored  [doomedDevices]int          // the first number that was not told stored
	next    [doomedDevices]int          // the next one for the cloud
	arrived [doomedDevices]map[int]bool // at the cloud
	twice   int
	deaths  int
	waiting int64 // messages on the disk when last looked
	disk    [doomedDevices]map[int]bool
}

// from is where the publishers go on: a message that is on the disk or at the cloud and was
// not told stored is there all the same. One that was on its way without the disk may be
// missing although the cloud has the next: it was poison.
func (s *survivor) from() (from [doomedDevices]int) {
	for d := range from {
		n := s.stored[d]
		for s.arrived[d][n] || s.disk[d][n] {
			n++
		}
		from[d] = n
	}
	return from
}

// kill runs a victim and reads what it says, to its death.
func (s *survivor) kill(d doom) {
	s.t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), doomed+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	reached := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		reached = s.read(lines.Text()) || reached
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" || !reached {
		s.t.Fatalf("the victim ended with %v; it was to die at hit %d of %s", err, d.Hits, d.Point)
	}
	s.wantFew()
	s.deaths++
}

// read takes a line of a victim, and reports whether that is at its failpoint.
func (s *survivor) read(line string) (reached bool) {
	words := strings.Fields(line)
	switch words[0] {
	case "at":
		return true
	case "stored", "cloud":
		d, n := int(words[1][1]-'0'), 0
		if _, err := fmt.Sscan(words[2], &n); err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
		if words[0] == "stored" {
			s.stored[d] = n + 1
		} else {
			s.arrive(d, n)
		}
	}
	return false
}

// arrive notes a number at the cloud, and that it was its turn.
func (s *survivor) arrive(d, n int) {
	for s.load.poison(s.next[d]) {
		s.next[d]++
	}
	switch {
	case s.arrived[d][n]:
		s.twice++
	case n != s.next[d]:
		s.t.Fatalf("the cloud gets %d of d%d when %d is to come", n, d, s.next[d])
	default:
		s.next[d]++
		s.arrived[d][n] = true
	}
}

// open opens the spool as the next start would.
func (s *survivor) open(o telemetry.Options, l *link) (*telemetry.Spool, *sqlite.DB) {
	s.t.Helper()
	db, err := sqlite.Open(sqlite.Options{File: s.file, Migrations: telemetry.Migrations()})
	if err != nil {
		s.t.Fatal(err)
	}
	o.DB, o.Link = db, l
	spool, err := telemetry.New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	return spool, db
}

// look reads what is on the disk, compares it with what the spool counts, and with what
// must be there.
func (s *survivor) look() {
	s.t.Helper()
	spool, db := s.open(s.load.options(), newLink(s.t))
	defer db.Close()
	records, err := spool.List(context.Background(), 1<<20)
	if err != nil {
		s.t.Fatal(err)
	}
	s.disk = [doomedDevices]map[int]bool{{}, {}, {}}
	s.waiting = 0
	var bytes, quarantined int64
	for _, r := range records {
		d := int(r.Source[1] - '0')
		n, err := number(r.Payload)
		if err != nil || s.disk[d][n] {
			s.t.Fatalf("%q of d%d is on the disk (twice, or %v)", r.Payload, d, err)
		}
		s.disk[d][n] = true
		if r.Quarantine != "" {
			quarantined++
			continue
		}
		s.waiting++
		bytes += int64(len(r.Topic) + len(r.Payload))
	}
	content := 0
	for _, n := range spool.Content() {
		content += n
	}
	if st := spool.Stats(); st.Messages != s.waiting || st.Bytes != bytes || st.Quarantined != quarantined || content != int(s.waiting) {
		s.t.Errorf("%d messages of %d bytes wait and %d are in quarantine; the spool says %d of %d and %d, and that %d wait by row",
			s.waiting, bytes, quarantined, st.Messages, st.Bytes, st.Quarantined, content)
	}
	s.wantAll()
}

// wantAll checks that what was told stored is at the cloud or on the disk. A full spool,
// and the time, may have taken the oldest.
func (s *survivor) wantAll() {
	s.t.Helper()
	for d := range doomedDevices {
		missing, last := 0, -1
		for n := range s.stored[d] {
			if !s.arrived[d][n] && !s.disk[d][n] {
				missing, last = missing+1, n
			}
		}
		if s.load.flows() && missing > 0 || last+1 != missing {
			s.t.Errorf("of %d numbers of d%d that were stored %d are lost, the last is %d", s.stored[d], d, missing, last)
		}
	}
}

// wantFew checks how much came twice: for each death so far what was not settled then.
func (s *survivor) wantFew() {
	s.t.Helper()
	if most := s.deaths * doomedUnsettled; s.twice > most {
		s.t.Errorf("after %d deaths %d messages came twice, at most %d may", s.deaths, s.twice, most)
	}
}

// drain lets a last process, which nobody kills, send what there is.
func (s *survivor) drain() {
	s.t.Helper()
	l := newLink(s.t)
	l.rtt = time.Millisecond
	l.check = func(string, int) error { return nil }
	l.fate = func(p *telemetry.Publish, _ int) fate {
		if err := s.load.check(p.Topic, p.Payload); err != nil {
			return fate{refuse: &telemetry.Never{Err: err}}
		}
		return fate{}
	}
	o := s.load.options()
	ends := make(chan telemetry.Settlement, 1<<16)
	o.Settled = func(end telemetry.Settlement) { ends <- end }
	spool, db := s.open(o, l)
	ctx, cancel := context.WithCancel(context.Background())
	dbCtx, cancelDB := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- spool.Run(ctx) }()
	go func() { ran <- db.Run(dbCtx) }()
	l.connect()
	for left := s.waiting; left > 0; {
		select {
		case end := <-ends:
			left -= int64(end.N)
			if end.Verdict == telemetry.Dropped {
				s.t.Errorf("the end of a message is %+v", end)
			}
		case <-time.After(time.Minute):
			s.t.Fatalf("%d messages wait and do not go: %+v", left, spool.Stats())
		}
	}
	cancel()
	stopped := <-ran
	cancelDB()
	if err := errors.Join(stopped, <-ran); err != nil {
		s.t.Error(err)
	}
	if s.load.flows() {
		for _, p := range l.got() {
			n, err := number(p.Payload)
			if err != nil {
				s.t.Fatal(err)
			}
			s.arrive(int(property(p, "gg-source")[1]-'0'), n)
		}
		s.look()
	}
	s.wantFew()
	if s.waiting > 0 && s.load.flows() {
		s.t.Errorf("%d messages are left", s.waiting)
	}
}
