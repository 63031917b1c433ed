package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"greengate/sync/cloud/cloudtest"
)

// A disk that is full, read-only or slow: devices get back-pressure or what the file
// says, and the broker stays responsive.

// data is the path of a file in the data folder.
func (s *site) data(name string) string { return filepath.Join(s.dir, "data", name) }

// faultsOf are those of a component.
func (g *gateway) faultsOf(component string) (found []fault) {
	g.t.Helper()
	for _, f := range g.status().Faults {
		if f.Component == component {
			found = append(found, f)
		}
	}
	return found
}

// talk is two devices that want nothing of the disk.
type talk struct {
	sensor, display *device
	n               int
}

const talkRow = "room/#"

func (s *site) talk() *talk {
	w := &talk{sensor: s.connect("sensor"), display: s.connect("display")}
	w.display.subscribe(talkRow)
	return w
}

// lively fails the test unless n messages pass between the two, at both qualities,
// each in less than limit. A busy machine holds up one of them now and then, so there
// are three rounds to show it; what waits for the disk would do so in each.
func (w *talk) lively(n int, limit time.Duration) {
	w.sensor.t.Helper()
	var slowest time.Duration
	for range 3 {
		slowest = w.slowest(n)
		w.sensor.t.Logf("the slowest of %d messages took %v", 2*n, slowest)
		if slowest < limit {
			return
		}
	}
	w.sensor.t.Errorf("a message between two devices took %v, want less than %v", slowest, limit)
}

// slowest passes n messages at each quality, and returns how long the slowest pair took.
func (w *talk) slowest(n int) (slowest time.Duration) {
	w.sensor.t.Helper()
	for range n {
		w.n++
		text := fmt.Sprint(w.n)
		began := time.Now()
		if err := w.sensor.send("room/x", text+" at 0", 0); err != nil {
			w.sensor.t.Fatal(err)
		}
		w.sensor.publish("room/x", text)
		w.display.hears("room/x", text+" at 0")
		w.display.hears("room/x", text)
		slowest = max(slowest, time.Since(began))
	}
	return slowest
}

// flood sends the numbers of a device without waiting for acknowledgements, but for
// the window of its connection. The channel is closed when all are sent.
func (d *device) flood(from, to int) (sent chan struct{}) {
	sent = make(chan struct{})
	go func() {
		defer close(sent)
		for i := from; i <= to; i++ {
			if err := d.send("sensors/"+d.thing+"/n", string(cloudtest.Number{Publisher: d.thing, Seq: i}.Payload()), 1); err != nil {
				d.t.Errorf("number %d of %s: %v", i, d.thing, err)
				return
			}
		}
	}()
	return sent
}

// cloudAway cuts the link to the cloud, until Heal.
func (s *cloudSite) cloudAway(g *gateway) {
	s.t.Helper()
	s.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
	s.cloud.Cut("e2e_Core", true)
	eventually(s.t, "the cloud is away", func() bool { return !g.status().Cloud.Connected })
}

// fileLimit bounds the size of the files that the gateway writes, which stands for a
// disk that takes nothing. It is the soft limit, so that nobody needs to be root.
func (g *gateway) fileLimit(bytes uint64) {
	g.t.Helper()
	var l unix.Rlimit
	pid := g.cmd.Process.Pid
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &l); err != nil {
		g.t.Fatal(err)
	}
	l.Cur = min(bytes, l.Max)
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &l, nil); err != nil {
		g.t.Fatal(err)
	}
}

// A disk that takes nothing: what must be safe is not acknowledged, all else goes on,
// and when it takes writes again nothing is missing.
func TestDiskThatTakesNothing(t *testing.T) {
	t.Parallel()
	s := newCloudSite(t, "thermo", "away", "light", "sensor", "display")
	s.rows(toCloud, row{From: "sensor", Topic: talkRow, To: []string{"display", "away"}})
	g := s.start()
	thermo, light, w := s.connect("thermo"), s.connect("light"), s.talk()
	thermo.measure(1, 10)
	s.arrived(map[string]int{"thermo": 10})
	light.subscribe(shadowTopic("light", "", "update/accepted"))
	light.subscribe(shadowTopic("light", "", "update/rejected"))

	s.cloudAway(g) // which would take messages that have not been on the disk
	g.fileLimit(1024)
	sent := thermo.flood(11, 60)
	eventually(t, "a fault tells of the spool", func() bool {
		f := g.faultsOf("spool")
		return len(f) > 0 && strings.Contains(f[0].Message, "cannot write")
	})
	<-sent
	if got := s.cloud.Count(map[string]int{"thermo": 10}); got.Arrived != 10 {
		t.Errorf("%d numbers are in the cloud, want the 10 of before", got.Arrived)
	}
	w.lively(50, time.Second)
	light.publish(shadowTopic("light", "", "update"), `{"state":{"reported":{"n":1}}}`)
	if topic, doc := light.shadowAnswer(); topic != "update/rejected" || doc.Code != 500 {
		t.Errorf("an update that the disk did not take: %s %+v", topic, doc)
	}
	// A device that wants a session to be kept is served too.
	away := s.connect("away", kept)
	away.subscribe(talkRow)
	w.lively(10, time.Second)
	if f := g.faultsOf("broker"); len(f) == 0 {
		t.Error("no fault tells that sessions are not written")
	}

	g.fileLimit(unix.RLIM_INFINITY)
	s.cloud.Heal()
	s.arrived(map[string]int{"thermo": 60})
	eventually(t, "the faults of the disk are gone", func() bool {
		return len(g.faultsOf("spool"))+len(g.faultsOf("broker")) == 0
	})
	light.publish(shadowTopic("light", "", "update"), `{"state":{"reported":{"n":2}}}`)
	if topic, _ := light.shadowAnswer(); topic != "update/accepted" {
		t.Errorf("with a good disk: %s", topic)
	}
	g.die()
	g = s.start()
	if away := s.connect("away", kept); !away.connack.SessionPresent {
		t.Error("the session that began while the disk took nothing is gone")
	}
}

// mount mounts a file system on the data folder until the test ends. It needs root,
// which the tests of CI are.
func (s *site) mount(kind string, flags uintptr, options string) {
	s.t.Helper()
	dir := s.data("")
	if err := unix.Mount(dir, dir, kind, flags, options); err != nil {
		s.t.Skipf("mount %s on the data folder: %v (root can)", kind, err)
	}
	s.t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// remount changes the options of what is mounted.
func (s *site) remount(flags uintptr, options string) {
	s.t.Helper()
	if err := unix.Mount("", s.data(""), "", flags|unix.MS_REMOUNT, options); err != nil {
		s.t.Fatal(err)
	}
}

// A full file system: the spool leaves the system its reserve and drops as the file
// says, which is counted and told.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := newCloudSite(t, "thermo", "sensor", "display")
	s.rows(toCloud, row{From: "sensor", Topic: talkRow, To: "display"})
	s.mount("tmpfs", 0, "size=96m")
	g := s.start()
	thermo, w := s.connect("thermo"), s.talk()
	thermo.measure(1, 10)
	s.arrived(map[string]int{"thermo": 10})

	s.cloudAway(g) // which would take messages that have not been on the disk
	s.remount(0, "size=4m")
	ballast := s.data("ballast")
	fill(t, ballast)
	thermo.measure(11, 110) // each is acknowledged, and dropped as drop_oldest has it
	w.lively(50, time.Second)
	st := g.status()
	if st.Ledger.Dropped < 90 {
		t.Errorf("ledger %+v, want about 100 dropped", st.Ledger)
	}
	if f := g.faultsOf("spool"); !strings.Contains(fmt.Sprint(f), "reserve") {
		t.Errorf("faults of the spool: %v", f)
	}
	g.balanced()

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s.remount(0, "size=96m")
	eventually(t, "there is room again", func() bool {
		before := g.status().Ledger.Dropped
		thermo.publish("sensors/thermo/probe", "x")
		return g.status().Ledger.Dropped == before
	})
	eventually(t, "the fault is gone", func() bool {
		thermo.publish("sensors/thermo/probe", "x")
		return !strings.Contains(fmt.Sprint(g.faultsOf("spool")), "reserve")
	})
	w.lively(10, time.Second)
}

// fill writes to a file until the disk is full.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for err == nil {
		if _, err = f.Write(block); err != nil && len(block) > 1 {
			block, err = block[:len(block)/2], nil
		}
	}
}

// A data folder that cannot be written ends the start, with a word that tells why.
func TestReadOnlyDataFolder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before func(s *site)
	}{
		{"never used", func(*site) {}},
		{"with databases", func(s *site) { s.start().stop() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			c.before(s)
			s.mount("", unix.MS_BIND, "")
			s.remount(unix.MS_BIND|unix.MS_RDONLY, "")
			text := s.fails(2, "run")
			if !strings.Contains(text, "read-only") || !strings.Contains(text, s.data("")[:len(s.data(""))-1]) {
				t.Errorf("the start ends with %q", text)
			}
		})
	}
}

// slowSync is a library that makes every fsync of SQLite take half a second: an SD
// card that collects its garbage.
const slowSync = `
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
int fdatasync(int fd) { usleep(500000); return syscall(SYS_fdatasync, fd); }
int fsync(int fd) { usleep(500000); return syscall(SYS_fsync, fd); }
`

// A disk whose fsync takes half a second: a device with a window waits for a few of
// them and not for one each, and who wants nothing of the disk does not notice.
func TestSlowDisk(t *testing.T) {
	t.Parallel()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc, which builds the library that slows fsync down")
	}
	s := newCloudSite(t, "thermo", "hygro", "light", "away", "sensor", "display")
	s.rows(toCloud, row{From: "sensor", Topic: talkRow, To: "display"}, row{From: "thermo", Topic: "for/#", To: "away"})
	source, library := filepath.Join(s.dir, "slow.c"), filepath.Join(s.dir, "slow.so")
	if err := os.WriteFile(source, []byte(slowSync), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil {
		t.Skipf("build the library that slows fsync down: %v\n%s", err, out)
	}
	s.start().stop() // a database is made with many fsyncs
	s.env = append(s.env, "LD_PRELOAD="+library)
	g := s.start()
	s.env = nil
	thermo, hygro, light, w := s.connect("thermo"), s.connect("hygro"), s.connect("light"), s.talk()
	began := time.Now()
	thermo.measure(1, 1)
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Fatalf("fsync is not slow: an acknowledgement took %v", took)
	}
	away := s.connect("away", kept)
	away.subscribe("for/#")
	away.leave()
	light.subscribe(shadowTopic("light", "", "update/accepted"))

	began = time.Now()
	const n = 1000
	sent := []chan struct{}{thermo.flood(2, n), hygro.flood(1, n)}
	for i := range 20 {
		if err := light.send(shadowTopic("light", "", "update"), fmt.Sprintf(`{"state":{"reported":{"n":%d}}}`, i), 1); err != nil {
			t.Fatal(err)
		}
	}
	// Less than one fsync: nobody waits for the disk of another.
	w.lively(50, 450*time.Millisecond)
	s.arrived(map[string]int{"thermo": n, "hygro": n})
	for _, c := range sent {
		<-c
	}
	for i := range 20 {
		if _, doc := light.shadowAnswer(); number(doc) != float64(i) {
			t.Fatalf("update %d is accepted as %+v", i, doc)
		}
	}
	took := time.Since(began)
	t.Logf("%d messages and 20 updates in %v", 2*n-1, took)
	if most := n / 10 * 500 * time.Millisecond; took > most {
		t.Errorf("it took %v, want less than %v, a tenth of an fsync each", took, most)
	}
	thermo.publish("for/away", "word")
	g.die()
	s.start()
	s.connect("away", kept).hears("for/away", "word")
}
