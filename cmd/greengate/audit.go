package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"greengate/configs"
	"greengate/core/audit"
)

func newAudit(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "show who was given which right, and when, and prove that nobody changed the record",
		Long: `Shows the audit log: rows, devices, certificates, functions and doors that came and
went, in order, with who asked for it as far as that is known. Each entry has the
SHA-256 of the one before it; a line that was changed, taken out or put in is told, at
the begin, too. The journal has the sum of the newest entry: compare it to notice an end
that was cut off, or a record that was written anew. It needs no running daemon.

Exit codes: 0 the record is whole, 1 there is none yet or you may not read it, 2 it has
no entry, or somebody or something has changed it.`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	last := cmd.Flags().Int("last", 0, "show the last `N` entries only; all are checked")
	cmd.RunE = action(func(*cobra.Command, []string) error {
		if *last < 0 {
			return badInput("--last: %d entries have no meaning", *last)
		}
		data, err := dataOf(a.config)
		if err != nil {
			return inputError{a.explainMissing(err)}
		}
		l, err := readAudit(filepath.Join(data, auditFile))
		if err != nil {
			return err
		}
		if *last > 0 && len(l.Entries) > *last {
			l.Entries = l.Entries[len(l.Entries)-*last:]
		}
		if *asJSON {
			err = a.printJSON(l)
		} else {
			err = writeAudit(a.stdout, l)
		}
		if err == nil && !l.Whole {
			err = errors.New("the audit log is not whole")
		}
		return err
	})
	return cmd
}

// auditLog is the answer of `audit --json`.
type auditLog struct {
	Whole   bool          `json:"whole"`
	Sum     string        `json:"sum"` // of the newest entry
	Entries []audit.Entry `json:"entries"`
	Broken  []string      `json:"broken"` // where the chain does not hold
}

func readAudit(path string) (*auditLog, error) {
	l := &auditLog{Entries: []audit.Entry{}, Broken: []string{}}
	var broken *audit.Broken
	for e, err := range audit.At(path).Read() {
		switch {
		case errors.Is(err, os.ErrNotExist):
			return nil, badInput("there is no audit log yet: the daemon begins it at its first start (%s)", path)
		case errors.Is(err, os.ErrPermission):
			return nil, badInput("%w (run as root)", err)
		case errors.As(err, &broken):
			l.Broken = append(l.Broken, broken.Error())
			if broken.Line == 0 {
				continue // there is no entry with it
			}
		case err != nil:
			return nil, err
		}
		l.Entries = append(l.Entries, e)
		l.Sum = e.Sum
	}
	l.Whole = len(l.Broken) == 0
	return l, nil
}

func writeAudit(w io.Writer, l *auditLog) error {
	for _, e := range l.Entries {
		by := e.By
		if by == "" {
			by = "nobody that is known"
		}
		if _, err := fmt.Fprintf(w, "%d  %s  %s, by %s\n", e.Seq, e.Time.Local().Format(time.DateTime), e.Event, by); err != nil {
			return err
		}
		for _, r := range e.Added {
			fmt.Fprintln(w, "  +", r)
		}
		for _, r := range e.Removed {
			fmt.Fprintln(w, "  -", r)
		}
		if e.Note != "" {
			fmt.Fprintln(w, "  !", e.Note)
		}
	}
	for _, b := range l.Broken {
		fmt.Fprintln(w, "WRONG", b)
	}
	if !l.Whole {
		return nil
	}
	_, err := fmt.Fprintf(w, "the record is whole; its newest entry has the sum %s\n", l.Sum)
	return err
}

// auditCommand writes down a change that a command has made without the daemon. Before the
// daemon has begun the log there is nothing to do: its first entry has all rights.
func auditCommand(c *configs.Config, event string, before, after []string) error {
	path := filepath.Join(c.Data, auditFile)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || slices.Equal(before, after) {
		return nil
	}
	_, err := audit.At(path).Append(audit.Entry{Time: time.Now().UTC(), Event: event, By: thisUser(), Added: after, Removed: before})
	return err
}

// thisUser is who runs this command.
func thisUser() string {
	by := fmt.Sprintf("uid %d", os.Getuid())
	if name := os.Getenv("SUDO_USER"); name != "" {
		by += ", sudo by " + name
	}
	return by
}
