package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// leastPassphrase is how many bytes a passphrase has at least: a backup holds the key
// of the group CA, and whoever has that is every device.
const leastPassphrase = 8

// passphraseFlag adds --passphrase-file to cmd.
func passphraseFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("passphrase-file", "", "take the passphrase from the first line of a `file`")
}

// passphrase takes the passphrase from the file, from $GREENGATE_PASSPHRASE, or asks
// for it at the terminal, twice for a new one.
func (a *app) passphrase(ctx context.Context, file string, isNew bool) (string, error) {
	phrase, err := a.findPassphrase(ctx, file, isNew)
	if err == nil && isNew && len(phrase) < leastPassphrase {
		err = badInput("a passphrase has %d characters at least", leastPassphrase)
	}
	return phrase, err
}

func (a *app) findPassphrase(ctx context.Context, file string, isNew bool) (string, error) {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", inputError{fmt.Errorf("read the passphrase: %w", err)}
		}
		line, _, _ := strings.Cut(string(text), "\n")
		return strings.TrimSuffix(line, "\r"), nil
	}
	if phrase := os.Getenv("GREENGATE_PASSPHRASE"); phrase != "" {
		return phrase, nil
	}
	terminal, ok := a.stdin.(*os.File)
	if !ok || !isTerminal(terminal) {
		return "", badInput("there is no passphrase (--passphrase-file FILE, $GREENGATE_PASSPHRASE, or a terminal to type it at)")
	}
	phrase, err := ask(ctx, terminal, a.stderr, "passphrase: ")
	if err != nil || !isNew {
		return phrase, err
	}
	again, err := ask(ctx, terminal, a.stderr, "again: ")
	if err == nil && again != phrase {
		err = badInput("the two are not the same")
	}
	return phrase, err
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// ask reads a line that does not show. The end of ctx, which is how Ctrl-C comes, ends it.
func ask(ctx context.Context, terminal *os.File, out io.Writer, prompt string) (string, error) {
	fd := int(terminal.Fd())
	shown, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", fmt.Errorf("read the passphrase: %w", err)
	}
	hidden := *shown
	hidden.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &hidden); err != nil {
		return "", fmt.Errorf("read the passphrase: %w", err)
	}
	defer func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, shown) }()
	fmt.Fprint(out, prompt)
	defer fmt.Fprintln(out)
	line, err := typed(ctx, terminal)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the passphrase: %w", err)
	}
	return line, nil
}

// typed reads a line from a terminal. Nothing wakes who reads there: after the end of ctx a
// goroutine stays behind until the process has ended, or a line comes.
func typed(ctx context.Context, terminal io.Reader) (string, error) {
	type answer struct {
		line string
		err  error
	}
	read := make(chan answer, 1)
	go func() {
		line, err := readLine(terminal)
		read <- answer{line, err}
	}()
	select {
	case a := <-read:
		return a.line, a.err
	case <-ctx.Done():
		return "", badInput("nothing was typed")
	}
}
