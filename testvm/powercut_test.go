// Package testvm_test proves in a virtual machine that nothing which the gateway
// has acknowledged is lost when the power is cut; README.md says how.
package testvm_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/testvm/streams"
)

var (
	cuts    = flag.Int("cuts", 20, "how often power is cut")
	seed    = flag.Uint64("seed", 1, "of chance, which chooses the moments and what becomes of writes under way")
	numbers = flag.Int("numbers", 300, "how many messages of each stream the writer sends in a run of the machine")
)

func TestMain(m *testing.M) {
	// Debian has the tools of ext4 where only root looks.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	os.Exit(m.Run())
}

// Nothing acknowledged is lost, and nothing is out of order, whenever the power
// is cut.
func TestPowerCuts(t *testing.T) {
	needed(t)
	const perRun = 250
	s := newSite(t, build(t, "../cmd/greengate"))
	var sum outcome
	for left := *cuts; left > 0; left -= perRun {
		sum.add(cutPower(t, s, min(left, perRun)))
	}
	t.Log(sum)
	for _, bad := range sum.bad {
		t.Error(bad)
	}
	if sum.proving < *cuts/2 {
		t.Errorf("of %d cuts only %d came after an acknowledgement", *cuts, sum.proving)
	}
}

// The test would find a gateway that does not wait for its disk: of the databases
// of this one a commit is acknowledged before it is flushed.
func TestPowerCutsFindLosses(t *testing.T) {
	needed(t)
	s := newSite(t, build(t, "../cmd/greengate", weakened(t)))
	sum := cutPower(t, s, max(5, *cuts/20))
	t.Log(sum)
	if sum.lost == [streams.Stores]int{} {
		t.Error("nothing was lost with synchronous=NORMAL, so the test above proves nothing")
	}
}

// workers is how many disks are checked at a time: a checker waits for the disk
// now and then.
const workers = 3

// moment is a disk to check.
type moment struct {
	entry int // of the write log, that the cut came after
	what  string
	disk  *pages
	notes noted
}

// cutPower runs the writer in the machine once, and checks the disks that so many
// power cuts leave, at moments all over the run.
func cutPower(t *testing.T, s *site, cuts int) (sum outcome) {
	t.Helper()
	began := time.Now()
	base, l := record(t, s, *numbers)
	sum.running = time.Since(began)
	began = time.Now()
	moments := make(chan moment)
	var mu sync.Mutex // protects sum
	var checkers sync.WaitGroup
	for range workers {
		c, err := newChecker(s, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		checkers.Go(func() {
			for m := range moments {
				v, err := c.check(m.disk, m.notes)
				if err != nil {
					t.Errorf("check the disk after entry %d: %v", m.entry, err)
				}
				mu.Lock()
				sum.take(t, m, v)
				mu.Unlock()
			}
		})
	}
	err := choose(l, base, cuts, moments)
	close(moments)
	checkers.Wait()
	if err != nil {
		t.Fatal(err)
	}
	sum.checking = time.Since(began)
	return sum
}

// choose cuts the power at one moment in each part of the log.
func choose(l *writeLog, base string, cuts int, moments chan<- moment) error {
	r, err := newReplay(l, base)
	if err != nil {
		return err
	}
	chance := rand.New(rand.NewPCG(*seed, uint64(len(l.entries))))
	for i := range cuts {
		from, to := len(l.entries)*i/cuts, len(l.entries)*(i+1)/cuts
		m := moment{entry: from + 1 + chance.IntN(max(to-from, 1))}
		if err := r.forward(m.entry); err != nil {
			return err
		}
		if m.disk, m.what, err = r.cut(chance); err != nil {
			return err
		}
		m.notes = maps.Clone(r.notes)
		moments <- m
	}
	return nil
}

// outcome sums up the checks of many disks.
type outcome struct {
	verdict
	cuts, proving     int // proving: something had been acknowledged
	harmed            int // cuts with findings
	bad               []string
	running, checking time.Duration
}

// take adds the verdict on one disk. A disk with findings is kept with the
// artifacts of the test (go test -artifacts).
func (o *outcome) take(t *testing.T, m moment, v verdict) {
	o.cuts++
	if v.acknowledged > 0 {
		o.proving++
	}
	o.verdict.add(v)
	if len(v.findings) == 0 {
		return
	}
	o.harmed++
	name := fmt.Sprintf("cut-%d-%d.img", *seed, m.entry)
	if err := m.disk.save(filepath.Join(t.ArtifactDir(), name)); err != nil {
		t.Error(err)
	}
	o.bad = append(o.bad, fmt.Sprintf("a cut after entry %d (%s):\n%s", m.entry, m.what, strings.Join(v.findings, "\n")))
}

func (o *outcome) add(p outcome) {
	o.verdict.add(p.verdict)
	o.cuts += p.cuts
	o.proving += p.proving
	o.harmed += p.harmed
	o.bad = append(o.bad, p.bad...)
	o.running += p.running
	o.checking += p.checking
}

func (o outcome) String() string {
	var lost []string
	for store, n := range o.lost {
		lost = append(lost, fmt.Sprintf("%d of %v", n, streams.Store(store)))
	}
	return fmt.Sprintf("%d power cuts, %d of them after an acknowledgement. Messages: %d acknowledged before them, in all; "+
		"lost: %s; came again: %d, at most %d of a stream. Cuts with findings: %d. The machine ran for %v, checking took %v.",
		o.cuts, o.proving, o.acknowledged, strings.Join(lost, ", "), o.again, o.most, o.harmed,
		o.running.Round(time.Second), o.checking.Round(time.Second))
}
