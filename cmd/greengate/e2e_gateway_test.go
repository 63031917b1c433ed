package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The running gateway of a site, and what it says about itself.

// gateway is a running `greengate run`.
type gateway struct {
	*site
	cmd  *exec.Cmd
	log  *buffer
	gone chan struct{} // closed when the process has ended
	cut  bool          // as by a power cut: nobody asks how it ended
}

// start runs the gateway until the test ends. It must be ready within patience,
// live as long as the test, and end with code 0 on SIGTERM.
func (s *site) start() *gateway {
	s.t.Helper()
	return s.startBy(s.prepare("run"))
}

// startBy is start by another command, or another way to start it.
func (s *site) startBy(run *exec.Cmd, launch ...func(*exec.Cmd) error) *gateway {
	s.t.Helper()
	g := &gateway{site: s, cmd: run, log: new(buffer), gone: make(chan struct{})}
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	// A test that is killed must not leave a gateway behind.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	begin := (*exec.Cmd).Start
	if len(launch) > 0 {
		begin = launch[0]
	}
	if err := begin(g.cmd); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		_ = g.cmd.Wait()
		close(g.gone)
	}()
	s.t.Cleanup(func() {
		g.stop()
		if s.t.Failed() {
			s.t.Logf("the gateway's log:\n%s", g.log)
		}
	})
	for _, address := range []string{s.broker, s.discovery} {
		eventually(s.t, "the gateway listens on "+address, func() bool {
			select {
			case <-g.gone:
				s.t.Fatalf("the gateway ended: %v", g.cmd.ProcessState)
			default:
			}
			c, err := s.open(address)
			if err != nil {
				return false
			}
			return c.Close() == nil
		})
	}
	return g
}

// stop ends the gateway with SIGTERM, if it has not been stopped before.
func (g *gateway) stop() {
	g.t.Helper()
	if g.cut {
		return
	}
	select {
	case <-g.gone:
	default:
		g.balanced()
		if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			g.t.Errorf("stop the gateway: %v", err)
		}
		select {
		case <-g.gone:
		case <-time.After(patience):
			g.t.Errorf("the gateway did not end within %v of SIGTERM", patience)
			_ = g.cmd.Process.Signal(syscall.SIGQUIT) // prints what its goroutines wait for
			<-g.gone
		}
	}
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		g.t.Errorf("the gateway ended with %v, want exit code 0", g.cmd.ProcessState)
	}
}

// die ends the gateway with SIGKILL: it can do nothing more, as at a power cut.
func (g *gateway) die() {
	g.t.Helper()
	g.cut = true
	if err := g.cmd.Process.Kill(); err != nil {
		g.t.Fatal(err)
	}
	<-g.gone
}

// reload sends SIGHUP and waits until the table in force is a new one.
func (g *gateway) reload() {
	g.t.Helper()
	before := g.status().Config.Generation
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		g.t.Fatal(err)
	}
	eventually(g.t, "the new table is in force", func() bool { return g.status().Config.Generation > before })
}

// status is the contract's `status --json`, as far as these tests read it.
type status struct {
	Group, Core, Version string
	Uptime               *float64 `json:"uptime_seconds"`
	Config               struct {
		Generation int
		LoadedAt   time.Time `json:"loaded_at"`
		Error      string
	}
	Cloud *struct {
		Configured, Connected bool
		Attempts              int
	}
	Devices []struct {
		Thing     string
		Connected bool
	}
	Spool *struct {
		Messages, Bytes, Quarantined int64
	}
	Ledger ledger
	Routes []struct {
		Text string
		ledger
	}
	Faults  []fault
	Shadows struct {
		Count int64
		List  []shadowLine
	}
	GPIO *[]struct{ Name, Level, Mode, Fault string } `json:"gpio"`
}

// fault is what a status tells of something that is wrong.
type fault struct {
	Component, Message string
	NextStep           string `json:"next_step"`
}

// shadowLine is what a status tells of one shadow.
type shadowLine struct {
	Thing, Name string
	Version     int64
	Delta       bool
}

type ledger struct{ Accepted, Delivered, Refused, Expired, Dropped, Waiting int64 }

func (l ledger) balanced() bool {
	return l.Accepted == l.Delivered+l.Refused+l.Expired+l.Dropped+l.Waiting
}

func (g *gateway) status() status {
	g.t.Helper()
	var st status
	if out := g.greengate("status", "--json"); json.Unmarshal([]byte(out), &st) != nil {
		g.t.Fatalf("status --json is no such document: %s", out)
	}
	return st
}

// balanced fails the test when the ledger does not balance.
func (g *gateway) balanced() {
	g.t.Helper()
	if l := g.status().Ledger; !l.balanced() {
		g.t.Errorf("the ledger does not balance: %+v", l)
	}
}

// counts waits until the ledger is exactly want: the last acknowledgement of a
// subscriber may still be on its way when its message has been seen.
func (g *gateway) counts(want ledger) {
	g.t.Helper()
	var got ledger
	eventually(g.t, fmt.Sprintf("the ledger is %+v", want), func() bool {
		got = g.status().Ledger
		return got == want
	}, &got)
}

// connected tells whether the gateway sees the thing connected.
func (g *gateway) connected(thing string) bool {
	for _, d := range g.status().Devices {
		if d.Thing == thing {
			return d.Connected
		}
	}
	return false
}

// eventually waits until done says yes. seen, if given, is printed if it never
// does.
func eventually(t testing.TB, what string, done func() bool, seen ...any) {
	t.Helper()
	limit := time.After(patience)
	for !done() {
		select {
		case <-limit:
			t.Fatalf("waited %v in vain until %s; seen at last: %s", patience, what, list(seen))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func list(values []any) string {
	texts := []string{}
	for _, v := range values {
		text, _ := json.Marshal(v)
		texts = append(texts, string(text))
	}
	return strings.Join(slices.Compact(texts), ", ")
}

// buffer collects the output of a process; it may be read while that writes.
type buffer struct {
	mu sync.Mutex // protects b
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
