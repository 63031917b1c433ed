// Command greengate is the gateway and its own command line. It is the one
// place that wires the rooms together: main.go holds signals and exit codes,
// gateway.go the running gateway, and each subcommand has a file of its name.
//
// The rules of its terminal: results go to stdout, everything else to stderr;
// an error is `greengate: ` and one line per fault, lower case, without a full
// stop, saying what to write instead where that is known; --json prints one
// JSON document and nothing else on stdout.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"greengate/core/admin/client"
	"greengate/functions/sandbox"
)

// The exit codes of every command.
const (
	exitDone       = 0
	exitInput      = 1 // wrong input or configuration
	exitFailed     = 2 // failed at run time
	exitNotRunning = 3 // the daemon is not running
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == sandbox.LaunchCommand {
		sandbox.LaunchMain() // this process becomes a function
	}
	ctx, cancel := context.WithCancel(context.Background())
	trapSignals(cancel)
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	code := a.main(ctx, os.Args[1:])
	cancel()
	os.Exit(code)
}

// impatience is how long after the first signal a second one is still the same wish: a
// wrapper such as timeout(1) sends it to its child and to the group.
const impatience = time.Second

// trapSignals ends the command cleanly at the first SIGINT or SIGTERM. A later
// one ends the process on the spot, for a person who will not wait.
func trapSignals(cancel context.CancelFunc) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		for first := time.Now(); time.Since(first) < impatience; {
			<-signals
		}
		os.Exit(exitFailed)
	}()
}

// app is one run of the command line.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	config         string // --config
	scryptWork     int    // of backups; 0: passphraseWork
}

// main runs one command and returns its exit code.
func (a *app) main(ctx context.Context, args []string) int {
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	a.complain(err)
	return exitCode(err)
}

// complain writes an error, each of its lines a fault.
func (a *app) complain(err error) {
	if err == nil {
		return
	}
	for line := range strings.SplitSeq(strings.TrimRight(err.Error(), "\n"), "\n") {
		fmt.Fprintf(a.stderr, "greengate: %s\n", line)
	}
}

// inputError marks an error that the caller of the command has to mend.
type inputError struct{ error }

func (e inputError) Unwrap() error { return e.error }

func badInput(format string, args ...any) error { return inputError{fmt.Errorf(format, args...)} }

// failure marks an error of a command that had begun its work.
type failure struct{ error }

func (e failure) Unwrap() error { return e.error }

// exitCode finds the code of an error. What does not come out of a command's
// own work, such as an unknown flag, is wrong input.
func exitCode(err error) int {
	var refusal *client.Refusal
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, client.ErrNotRunning):
		return exitNotRunning
	case errors.As(err, new(inputError)):
		return exitInput
	case errors.As(err, &refusal) && refusal.Code < 500:
		return exitInput
	case errors.As(err, new(failure)):
		return exitFailed
	}
	return exitInput
}
