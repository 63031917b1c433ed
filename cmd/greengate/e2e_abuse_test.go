package main_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// Abuse: who means harm gets his bounds, and costs those who do not neither a message
// nor an answer. Each of these tests is one kind of harm, done to the built program at
// its real doors, beside a pair of devices that talk all the time.

var abuse = flag.String("abuse", "", "full: the abuse in the numbers of issue 12, 10,000 half-open handshakes and 5,000 reconnects")

// many is how often a thing is done: in make test, and in full.
func many(inTest, inFull int) int {
	if *abuse == "full" {
		return inFull
	}
	return inTest
}

// Bounds of every abuse, unless a test states others.
const (
	mostGrowth = 64 << 10 // KiB of resident memory over what a calm gateway has
	mostLines  = 200      // of the log
	mostLine   = 4 << 10  // bytes of one of them
)

// siege is a gateway under abuse. Its two honest devices exchange messages from the
// start to the end.
type siege struct {
	*gateway
	page      string // HOST:PORT
	calm      int    // KiB resident, before
	quiet     int    // lines of the log, before
	exchanged atomic.Int64
	lost      chan error // what went wrong with the honest two; it ends them
}

// besiege starts a gateway with these things besides the honest two, honest and friend.
// Rows are those of the abuse.
func besiege(t *testing.T, things []string, rows ...row) *siege {
	t.Helper()
	s := newSiteWith(t, []string{"--key", "p-256"}, append([]string{"honest", "friend"}, things...)...)
	return s.besiege(rows...)
}

// besiege is the function of that name for a site that is there already.
func (s *site) besiege(rows ...row) *siege {
	s.t.Helper()
	return s.besiegePage(freeAddress(s.t, "127.0.0.1"), rows...)
}

// besiegePage is the same with the status page at an address of the test's.
func (s *site) besiegePage(page string, rows ...row) *siege {
	s.t.Helper()
	s.set(page, "admin", "listen")
	s.rows(append(rows, row{From: "honest", Topic: "calm/#", To: "friend"})...)
	g := &siege{gateway: s.startPage(page), page: page, lost: make(chan error, 1)}
	honest, friend := s.connect("honest"), s.connect("friend")
	friend.subscribe("calm/#")
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := g.talk(ctx, honest, friend); err != nil {
			g.lost <- err
		}
	}()
	s.t.Cleanup(func() { end(); <-ended })
	g.answered("the peace before")
	g.calm, g.quiet = g.resident(), g.lines()
	// The kernel notes the peak from here on [proc_pid_clear_refs(5)].
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", g.cmd.Process.Pid), []byte("5"), 0); err != nil {
		s.t.Fatal(err)
	}
	return g
}

// talk sends message after message and wants each answered and heard, in order and once.
func (g *siege) talk(ctx context.Context, honest, friend *device) error {
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for n := 0; ; n++ {
		text := fmt.Sprint(n)
		within, cancel := context.WithTimeout(context.Background(), patience)
		answer, err := honest.Publish(within, &paho.Publish{Topic: "calm/n", QoS: 1, Payload: []byte(text)})
		cancel()
		if err != nil || answer.ReasonCode != 0 {
			return fmt.Errorf("message %d of the honest device: %+v, %w", n, answer, err)
		}
		select {
		case p := <-friend.heard:
			if string(p.Payload) != text {
				return fmt.Errorf("the friend heard %s: %.20q, want %s", p.Topic, p.Payload, text)
			}
		case <-time.After(patience):
			return fmt.Errorf("message %d was acknowledged and not delivered within %v", n, patience)
		}
		g.exchanged.Add(1)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// answered waits until the honest two have exchanged three messages more.
func (g *siege) answered(during string) {
	g.t.Helper()
	want := g.exchanged.Load() + 3
	eventually(g.t, "the honest devices have talked during "+during, func() bool {
		select {
		case err := <-g.lost:
			g.t.Fatalf("during %s: %v", during, err)
		default:
		}
		return g.exchanged.Load() >= want
	})
}

// newcomer tells that an honest device that comes now is let in, and that discovery and
// the control socket answer.
func (g *siege) newcomer(during string) {
	g.t.Helper()
	g.answered(during)
	g.connect("honest2").leave()
	if code, body := g.discover(g.identity("honest2"), "honest2"); code != 200 {
		g.t.Errorf("during %s discovery answers %d %s", during, code, body)
	}
}

// lines are the lines that the gateway has logged.
func (g *siege) lines() int { return strings.Count(g.log.String(), "\n") }

// peak is the most memory that the gateway has had since the abuse began, in KiB.
func (g *siege) peak() (kib int) {
	g.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		g.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	if _, err := fmt.Sscan(after, &kib); err != nil {
		g.t.Fatal(err)
	}
	return kib
}

// refused is how often the status says that something was refused, or dropped, for a reason.
func (g *siege) refused(reason string) (n int) {
	g.t.Helper()
	type counted struct {
		Reason string
		Count  int
	}
	var st struct {
		Refusals, Drops []counted
		TurnedAway      []counted `json:"turned_away"`
	}
	if out := g.greengate("status", "--json"); json.Unmarshal([]byte(out), &st) != nil {
		g.t.Fatalf("status --json is no such document: %s", out)
	}
	for _, r := range slices.Concat(st.Refusals, st.Drops, st.TurnedAway) {
		if r.Reason == reason {
			n += r.Count
		}
	}
	return n
}

// counted waits until so many refusals of a reason stand in the status.
func (g *siege) counted(reason string, want int) {
	g.t.Helper()
	got := 0
	eventually(g.t, fmt.Sprintf("the status counts %d refusals %s", want, reason), func() bool {
		got = g.refused(reason)
		return got >= want
	}, &got)
}

// withstood is the end of an abuse: the honest two still talk, and the gateway has
// grown and written no more than it may.
func (g *siege) withstood(growth, lines int) {
	g.t.Helper()
	g.answered("the end")
	grown, written := g.peak()-g.calm, g.lines()-g.quiet
	g.t.Logf("%d exchanged, %+d KiB at the peak of %d calm, %d lines", g.exchanged.Load(), grown, g.calm, written)
	if grown > growth {
		g.t.Errorf("the gateway has grown by %d MiB, and may by %d", grown>>10, growth>>10)
	}
	if written > lines {
		g.t.Errorf("the log has grown by %d lines, and may by %d", written, lines)
	}
	for line := range strings.Lines(g.log.String()) {
		if len(line) > mostLine {
			g.t.Errorf("a line of the log has %d bytes: %.200q", len(line), line)
		}
	}
	if strings.Contains(g.log.String(), "panic") {
		g.t.Error("something has panicked; see the log")
	}
}

// strangers opens TCP connections to address from many addresses of this machine, each
// of which is served n times in turn. They stay open until the test ends.
func strangers(t *testing.T, address string, n, hosts int) (conns []net.Conn) {
	t.Helper()
	for i := range n {
		from := &net.TCPAddr{IP: net.IPv4(127, byte(1+i%hosts>>8), byte(i%hosts), 9)}
		conn, err := (&net.Dialer{LocalAddr: from, Timeout: patience}).Dial("tcp", address)
		if err != nil {
			t.Fatalf("connection %d from %s: %v", i, from, err)
		}
		conns = append(conns, conn)
		t.Cleanup(func() { _ = conn.Close() })
	}
	return conns
}

// says connects to the broker, says packet and returns what is answered, up to the end of
// the connection; keep leaves it open instead, after the first four bytes. When the
// machine is busy the gateway may give up on a handshake, so silence is tried again.
func (g *siege) says(cert tls.Certificate, packet []byte, keep bool) (conn *tls.Conn, answer []byte) {
	g.t.Helper()
	for range 5 {
		conn, err := tls.Dial("tcp", g.broker, g.tls(cert))
		if err != nil {
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = conn.Write(packet)
		if keep {
			answer = make([]byte, 4)
			_, err = io.ReadFull(conn, answer)
		} else if answer, _ = io.ReadAll(conn); len(answer) == 0 {
			err = io.EOF
		}
		if err == nil {
			return conn, answer
		}
		_ = conn.Close()
	}
	g.t.Fatalf("% .20x is not answered", packet)
	return nil, nil
}

// moreFiles raises the descriptor limit of this process to n at least, or skips.
func moreFiles(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= n {
		return
	}
	limit.Cur, limit.Max = n, max(n, limit.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Skipf("this needs %d descriptors: %v", n, err)
	}
}
