package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal returns a terminal, and the side at which a person sits.
func openTerminal(t *testing.T) (terminal, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return terminal, person
}

func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0
}

// prompted ends its context when somebody is asked for something.
type prompted func()

func (p prompted) Write(text []byte) (int, error) {
	if strings.HasPrefix(string(text), "passphrase") {
		p()
	}
	return len(text), nil
}

// Ctrl-C, which ends the context of the command, ends a prompt at once, and what is typed
// shows again.
func TestPassphrasePromptEndsAtCtrlC(t *testing.T) {
	t.Setenv("GREENGATE_PASSPHRASE", "")
	terminal, _ := openTerminal(t)
	ctx, interrupt := context.WithCancel(t.Context())
	a := &app{stdin: terminal, stdout: io.Discard, stderr: prompted(interrupt)}
	ended := make(chan error, 1)
	go func() {
		_, err := a.passphrase(ctx, "", true)
		ended <- err
	}()
	select {
	case err := <-ended:
		if code := exitCode(failure{err}); err == nil || code != exitInput {
			t.Errorf("it ended with %v, exit code %d", err, code)
		}
	case <-time.After(patience):
		t.Fatal("it waits on")
	}
	if !echoes(t, terminal) {
		t.Error("what is typed does not show any more")
	}
}

func TestPassphraseIsTypedTwice(t *testing.T) {
	t.Setenv("GREENGATE_PASSPHRASE", "")
	terminal, person := openTerminal(t)
	if _, err := person.WriteString("correct horse\ncorrect horse\n"); err != nil {
		t.Fatal(err)
	}
	a := &app{stdin: terminal, stdout: io.Discard, stderr: io.Discard}
	if phrase, err := a.passphrase(t.Context(), "", true); phrase != "correct horse" || err != nil {
		t.Errorf("got %q, %v", phrase, err)
	}
}
