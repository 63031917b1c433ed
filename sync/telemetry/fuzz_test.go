package telemetry_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"greengate/sync/telemetry"
)

// FuzzUpload has the spool live with a link and a cloud that do to it what the input says:
// each act is one of this side (messages, cuts, restarts, time), each fate what becomes of
// one publish (its PUBACK comes, late or never, says no for now or for ever, or the
// connection ends). At no time have more messages left as sent than the cloud has
// acknowledged, each as itself; in the end all are in the cloud or in quarantine, each is
// settled once, and the order holds of each source and topic of which the cloud has refused
// nothing for now: what it took meanwhile cannot be taken back.
func FuzzUpload(f *testing.F) {
	if _, err := os.Stat("/dev/shm"); err == nil && os.Getenv("TMPDIR") == "" {
		f.Setenv("TMPDIR", "/dev/shm") // how long an fsync takes is nothing that is tried here
	}
	for _, acts := range []string{"\x38\x03\x0d", "\x03\x38\x39\x3a\x0d\x04\x03\x15", "\x38\x39\x06\x03\x0d\x06\x38\x03", "\x03\x00\x05\x01\x07\x02\x3d\x04\x03\x25"} {
		for _, fates := range []string{"", "\x00\x01\x02\x03\x04\x05\x06\x07", "\x05\x0d\x15\x05\x00\x00\x06", "\x04\x04\x00\x00\x02\x1b\x13", "\x01\x00\x07\x00\x00"} {
			f.Add([]byte(acts), []byte(fates))
		}
	}
	f.Fuzz(func(t *testing.T, acts, fates []byte) {
		if len(acts) > 40 || len(fates) > 400 {
			t.Skip("long stories cost time and show nothing more")
		}
		synctest.Test(t, func(t *testing.T) {
			u := &upload{rig: newRig(t, telemetry.Options{}), fates: fates, next: map[string]int{}, sent: map[int]string{}, never: map[string]bool{}, later: map[string]bool{}}
			u.link.fate = u.fate
			for _, act := range acts {
				u.act(act)
				synctest.Wait()
				u.judge()
			}
			u.end()
		})
	})
}

// upload is a spool and what became of its publishes.
type upload struct {
	*rig
	fates []byte          // guarded by link.mu, as the three maps
	sent  map[int]string  // the message of a publish, by its number
	never map[string]bool // messages that the cloud has refused for ever
	later map[string]bool // sources and topics of which it has refused some for now
	next  map[string]int  // by source and topic
}

func (u *upload) act(act byte) {
	n := int(act >> 3)
	switch act & 7 {
	case 0, 1, 2:
		device, topic := []string{"d0", "d0", "d1"}[act&7], []string{"t0", "t1", "t0"}[act&7]
		for range n%8 + 1 {
			u.put(device, topic, strconv.Itoa(u.next[device+" "+topic]), telemetry.Route{})
			u.next[device+" "+topic]++
		}
	case 3:
		u.link.connect()
	case 4:
		u.link.cut()
	case 5:
		time.Sleep(time.Duration(n) * 200 * time.Millisecond)
	case 6:
		u.restart()
	case 7:
		u.link.die()
	}
}

// fate says what becomes of a publish. The link's mu is held.
func (u *upload) fate(p *telemetry.Publish, number int) (f fate) {
	stream := property(p, "gg-source") + " " + p.Topic
	name := stream + " " + string(p.Payload)
	u.sent[number] = name
	if len(u.fates) == 0 {
		return f
	}
	n := u.fates[0]
	u.fates = u.fates[1:]
	switch n & 7 {
	case 1:
		f.lose, f.cut = true, true
	case 2:
		f.cut = true
	case 3:
		f.late = time.Duration(n>>3) * 100 * time.Millisecond
	case 4:
		f.hold = true
	case 5:
		f.refuse = errQuota
		u.later[stream] = true
	case 6:
		f.refuse = &telemetry.Never{Err: errors.New("not authorized")}
		u.never[name] = true
	case 7:
		f.lose = true
	}
	return f
}

// judge holds what has left against what was acknowledged.
func (u *upload) judge() {
	acked := map[string]bool{}
	u.link.mu.Lock()
	for _, number := range u.link.acked {
		acked[u.sent[number]] = true
	}
	u.link.mu.Unlock()
	if n := u.settlements()["sent"]; n > len(acked) {
		u.t.Fatalf("%d messages have left as sent, and the cloud has acknowledged %d: %v", n, len(acked), acked)
	}
}

// end has the cloud take all, and looks at what has come.
func (u *upload) end() {
	u.link.mu.Lock()
	u.link.fate = func(p *telemetry.Publish, number int) fate {
		u.fates = nil
		return u.fate(p, number)
	}
	u.link.mu.Unlock()
	u.link.cut()
	u.link.connect()
	u.drained()
	u.judge()
	came := map[string]bool{}
	next := map[string]int{}
	for _, p := range u.link.got() {
		stream := property(p, "gg-source") + " " + p.Topic
		n, err := strconv.Atoi(string(p.Payload))
		if err != nil {
			u.t.Fatalf("%q came on %s", p.Payload, stream)
		}
		for n > next[stream] && u.never[fmt.Sprint(stream, " ", next[stream])] {
			next[stream]++ // which was taken out
		}
		if n > next[stream] && !u.later[stream] {
			u.t.Fatalf("%s: %d came when %d was to come", stream, n, next[stream])
		}
		next[stream] = max(next[stream], n+1)
		came[fmt.Sprint(stream, " ", n)] = true
	}
	for stream, puts := range u.next {
		for n := range puts {
			if name := fmt.Sprint(stream, " ", n); !came[name] && !u.never[name] {
				u.t.Errorf("%s is lost", name)
			}
		}
	}
	if got := u.settlements(); u.total != u.puts || got["sent"] > len(came) {
		u.t.Errorf("%d put, %d came, settled are %v", u.puts, len(came), got)
	}
}
