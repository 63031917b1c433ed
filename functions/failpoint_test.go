package functions

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"greengate/functions/endpoint"
)

// doomed, in the environment, names a folder, a failpoint, and at which time that is
// reached this program ends there.
const doomed = "GREENGATE_FUNCTIONS_DOOMED"

// doomedCalls is how many durable calls a doomed process puts. Every tenth fails.
const doomedCalls = 150

func failsAlways(n int) bool { return n%10 == 9 }

// answering is a program that says which calls it has answered.
func answering(say func(string)) program {
	return serve(func(_ *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
		n, err := strconv.Atoi(string(v.Payload))
		if err != nil || failsAlways(n) {
			return nil, errors.New("it always fails")
		}
		say(fmt.Sprint("answered ", n))
		return nil, nil
	})
}

// callUntilFailpoint puts calls and ends itself at the failpoint.
func callUntilFailpoint(order string) error {
	words := strings.Fields(order)
	times, err := strconv.Atoi(words[2])
	if err != nil {
		return err
	}
	t := &testing.T{} // for the rig, which has nobody to tell
	say := func(s string) { fmt.Println(s) }
	r := newRig(t, words[0], answering(say), Options{Bounds: Bounds{FirstRetry: 1, LastRetry: 1}}, config("f", func(c *Config) { c.Retries = 1 }))
	r.m.store.reached = func(p failpoint) {
		if string(p) == words[1] {
			if times--; times == 0 {
				say("at")
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	}
	ctx := context.Background()
	go func() { _ = r.db.Run(ctx) }()
	go func() { _ = r.m.Run(ctx) }()
	for n := range doomedCalls {
		stored := make(chan error, 1)
		r.put("f", fmt.Sprint(n), durable, func(c *Call) { c.Stored = func(err error) { stored <- err } })
		if n%7 == 0 { // now and then it waits, so that there are several groups
			<-stored
			say(fmt.Sprint("stored ", n))
		}
	}
	select {}
}

// A process that ends at any point between two states of a call loses none that was
// stored, and the next makes again only what was not settled.
func TestFailpoints(t *testing.T) {
	for _, p := range []failpoint{pointStaged, pointTaken, pointInserted, pointRemoved, pointCommitted, pointTold, pointAnswered} {
		for _, times := range []int{1, 5} {
			t.Run(fmt.Sprint(p, times), func(t *testing.T) { testFailpoint(t, p, times) })
		}
	}
}

func testFailpoint(t *testing.T, p failpoint, times int) {
	dir := t.TempDir()
	stored, answered := 0, map[int]int{}
	note := func(line string) {
		var n int
		if _, err := fmt.Sscanf(line, "answered %d", &n); err == nil {
			answered[n]++
		} else if _, err := fmt.Sscanf(line, "stored %d", &n); err == nil {
			stored = n + 1 // and all before it: they are written in order
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", doomed, dir, p, times))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		note(lines.Text())
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("the process ended with %v", err)
	}

	lines := make(chan string, 10*doomedCalls)
	r := newRig(t, dir, answering(func(s string) { lines <- s }), Options{Bounds: Bounds{FirstRetry: 1, LastRetry: 1}}, config("f", func(c *Config) { c.Retries = 1 }))
	left := r.m.Content()["row"]
	r.start()
	r.until("what was left is settled", func() bool {
		n := 0
		for _, count := range r.verdicts() {
			n += count
		}
		return n >= left
	})
	isolated, err := r.m.Quarantined(context.Background(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	close(lines)
	for line := range lines {
		note(line)
	}
	for _, c := range isolated {
		n, err := strconv.Atoi(string(c.Payload))
		if err != nil || !failsAlways(n) || c.Reason != ReasonError {
			t.Errorf("in quarantine: %+v", c)
		}
		answered[n]++
	}
	twice := 0
	for n := range stored {
		if answered[n] == 0 {
			t.Errorf("%d was stored, and is neither answered nor in quarantine", n)
		}
	}
	for _, times := range answered {
		twice += times - 1
	}
	if most := 2 * removeMany; twice > most {
		t.Errorf("%d calls came twice, at most %d may", twice, most)
	}
	if again := newRig(t, dir, nil, Options{}, config("f")); len(again.m.Content()) != 0 {
		t.Errorf("left: %v", again.m.Content())
	}
}
