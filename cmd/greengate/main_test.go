package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"greengate/core/admin/client"
	"greengate/functions/sandbox"
)

// TestMain lets the scripts call this program as `greengate`, which is its own launcher
// of functions.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.LaunchCommand {
		sandbox.LaunchMain()
	}
	testscript.Main(m, map[string]func(){"greengate": main})
}

// TestScripts runs testdata/script: the command line as a person sees it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":   exits,
			"reports": reports,
			"signal":  sendSignal,
		},
	})
}

// exits runs a command that must end with an exit code: exits CODE COMMAND...
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// patience is how long a script waits for what must come at once.
const patience = time.Minute

// reports waits until the status of the daemon, as JSON, matches: reports FILE
// REGEXP.
func reports(ts *testscript.TestScript, _ bool, args []string) {
	want, err := regexp.Compile(args[1])
	ts.Check(err)
	socket, err := socketOf(ts.MkAbs(args[0]))
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	last := "no answer"
	for again := time.NewTicker(10 * time.Millisecond); ; {
		if status, err := client.New(socket).Status(ctx); err == nil {
			text, err := json.Marshal(status)
			ts.Check(err)
			if last = string(text); want.MatchString(last) {
				return
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			ts.Fatalf("the status does not match %s: %s", want, last)
		}
	}
}

// sendSignal sends HUP or TERM to the program that the script has started last.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	started := ts.BackgroundCmds()
	if len(started) == 0 {
		ts.Fatalf("nothing runs")
	}
	which := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}[args[0]]
	if err := started[len(started)-1].Process.Signal(which); !errors.Is(err, os.ErrProcessDone) {
		ts.Check(err)
	}
}
