package broker_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A broker that is killed at any step loses nothing that it acknowledged: messages for
// a device that is away, in order; subscriptions; retained messages. It may send again
// what the device had, QoS 2 too, since these publishers keep no session (see
// TestKilledExactlyOnce), but nothing that left the disk: what a device had finished with
// before another publish was acknowledged.
func TestKillAtEveryStep(t *testing.T) {
	for _, c := range []struct{ phase, step string }{
		{"subscribe", "remembered 1"}, {"subscribe", "remembered 3"}, {"subscribe", "written 2"}, {"subscribe", "committed 1"}, {"subscribe", "told 2"},
		{"publish", "accepted 1"}, {"publish", "accepted 43"}, {"publish", "written 3"}, {"publish", "committed 6"}, {"publish", "told 5"}, {"publish", "out 9"},
		{"retain", "retained 3"}, {"retain", "written 2"}, {"retain", "committed 7"},
		{"reload", "judged 4"}, {"reload", "forgotten 3"}, {"reload", "written 1"}, {"reload", "committed 1"},
		{"restart", "restored 37"}, {"restart", "forgotten 2"}, {"restart", "written 1"}, {"restart", "committed 1"},
		{"drain", "sent 11"}, {"drain", "out 7"}, {"drain", "recorded 4"}, {"drain", "acknowledged 9"}, {"drain", "forgotten 8"},
		{"drain", "written 1"}, {"drain", "committed 1"}, {"drain", "told 2"},
		{"end", "ended 1"}, {"end", "written 1"}, {"end", "committed 1"},
	} {
		t.Run(c.phase+"/"+c.step, func(t *testing.T) {
			t.Parallel()
			k := newKilled(t)
			k.phase = c.phase
			k.survive("start", k.start)
			for _, p := range []struct {
				name string
				work func()
			}{
				{"subscribe", k.subscribe}, {"publish", k.publish}, {"retain", k.retain}, {"reload", k.reload},
				{"restart", k.restart}, {"drain", k.drain}, {"end", k.end}, {"again", k.again},
			} {
				if p.name != c.phase {
					k.survive(p.name, p.work)
					continue
				}
				k.arm(c.step)
				if !k.dies(p.work) {
					t.Fatal("the step was never reached")
				}
				k.survive("start after the kill", k.start)
				k.survive(p.name+" after the kill", p.work)
			}
		})
	}
}

// killed is a broker of another process, and what its clients know.
type killed struct {
	*site
	dir, table string
	phase      string // in which it dies
	step       string // of the next start
	process    *exec.Cmd
	orders     io.Writer
	answers    *bufio.Scanner
	known      bool            // b has a session
	granted    map[string]bool // its filters
	next       map[string]int  // of each stream, the number that is not acknowledged
	retained   map[string]int
	app        app // of b
}

// dead is the panic of a client whose broker has gone.
type dead string

// mourner has its clients end a phase, and not the test, when the broker is gone.
type mourner struct{ testing.TB }

func (m mourner) Fatal(args ...any)                 { panic(dead(fmt.Sprint(args...))) }
func (m mourner) Fatalf(format string, args ...any) { panic(dead(fmt.Sprintf(format, args...))) }

func newKilled(t *testing.T) *killed {
	k := &killed{
		site: &site{t: mourner{t}, ca: testCA()}, dir: t.TempDir(), table: "wide",
		granted: map[string]bool{}, next: map[string]int{}, retained: map[string]int{}, app: newApp(t),
	}
	if err := writeAuthority(k.ca, k.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.kill)
	return k
}

// start starts the broker, which may end at its step before it listens.
func (k *killed) start() {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victim+"="+k.dir, victim+"_TABLE="+k.table, victim+"_STEP="+k.step)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	k.step = ""
	in, out := must(cmd.StdinPipe()), must(cmd.StdoutPipe())
	k.orders, k.answers = in, bufio.NewScanner(out)
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	k.process = cmd
	k.addr = k.answer()
}

func (k *killed) answer() string {
	if !k.answers.Scan() {
		k.t.Fatal("no answer of the broker")
	}
	return k.answers.Text()
}

// order has the broker do something; the answer is how many messages wait.
func (k *killed) order(words ...string) string {
	_, _ = fmt.Fprintln(k.orders, strings.Join(words, " "))
	return k.answer()
}

// kill ends the broker, unless it has ended, and waits for that.
func (k *killed) kill() {
	if k.process != nil {
		_ = k.process.Process.Kill()
		_ = k.process.Wait()
		k.process = nil
	}
}

// arm has the broker end itself: at a step of its next start, when the phase is one.
func (k *killed) arm(step string) {
	if k.phase == "restart" {
		k.step = step
		return
	}
	k.order("arm", step)
}

// dies does a piece of work and tells whether the broker has killed itself meanwhile.
func (k *killed) dies(work func()) (died bool) {
	defer func() {
		why, is := recover().(dead)
		if !is {
			return
		}
		died = true
		ended := make(chan error, 1)
		go func() { ended <- k.process.Wait() }()
		select {
		case err := <-ended:
			k.process = nil
			if err == nil || err.Error() != "signal: killed" {
				k.app.t.Fatalf("the broker ended with %v (%s)", err, why)
			}
		case <-time.After(5 * time.Second):
			_ = k.process.Process.Kill()
			<-ended
			k.process = nil
			k.app.t.Fatalf("the broker lives, and its client says: %s", why)
		}
	}()
	work()
	return false
}

func (k *killed) survive(name string, work func()) {
	if k.dies(work) {
		k.app.t.Fatalf("the broker died in %q", name)
	}
}
