package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
)

func newSpool(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "spool",
		Short: "show and export what waits for the cloud, and what it did not take",
		Args:  cobra.NoArgs,
		RunE:  help,
	}
	cmd.AddCommand(newSpoolStats(a), newSpoolList(a), newSpoolExport(a), newSpoolRequeue(a), newSpoolDiscard(a))
	return cmd
}

func newSpoolStats(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "tell what waits, since when, why, and how long it will take",
		Args:  cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		return show(a, *asJSON,
			func(d *client.Client) (client.SpoolStats, error) { return d.SpoolStats(cmd.Context()) },
			func(st client.SpoolStats) error { return writeSpoolStats(a.stdout, &st, time.Now()) })
	})
	return cmd
}

func newSpoolList(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [--limit N]",
		Short: "list the messages, in the order in which they will go",
		Long: `Lists the messages that wait, in the order in which they will go: by priority, then
as they came. Those in quarantine, which the cloud never takes, come last.`,
		Args: cobra.NoArgs,
	}
	limit := cmd.Flags().Int("limit", 20, fmt.Sprintf("the most to list: a `number` from 1 to %d", maxListed))
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		if err := checkLimit(*limit); err != nil {
			return inputError{fmt.Errorf("--limit: %w", err)}
		}
		daemon, err := a.daemon()
		if err != nil {
			return err
		}
		list, err := daemon.SpoolList(cmd.Context(), *limit)
		if err != nil {
			return err
		}
		if *asJSON {
			return a.printJSON(list)
		}
		return writeSpoolList(a.stdout, &list)
	})
	return cmd
}

func checkLimit(n int) error {
	if n < 1 || n > maxListed {
		return fmt.Errorf("%d cannot be listed (write 1 to %d)", n, maxListed)
	}
	return nil
}

func writeSpoolList(out io.Writer, list *client.SpoolList) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SEQ\tTIME\tPRIORITY\tFROM\tTOPIC\tBYTES\tSTATE")
	for _, m := range list.Messages {
		state := "waits"
		if m.Quarantine != "" {
			state = "quarantine: " + m.Quarantine
		}
		if m.Locked != "" {
			state += "; encrypted with the key " + m.Locked + ", which is not there"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%s\n", m.Seq, stamp(m.Time, m.Clock), m.Priority, m.Source, printable(m.Topic), m.Bytes, printable(state))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if more := list.Waiting + list.Quarantined - int64(len(list.Messages)); more > 0 {
		fmt.Fprintf(out, "(%d more: --limit N, or greengate spool export)\n", more)
	}
	return nil
}

// stamp writes a time, with a ? when the clock was not right then.
func stamp(t time.Time, quality string) string {
	if quality == "unsynced" {
		return clock(t) + "?"
	}
	return clock(t)
}

func newSpoolExport(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [FILE]",
		Short: "write all messages with their payloads, as JSON lines",
		Long: `Writes all messages that wait and those in quarantine, one JSON document a line, to
FILE, which must not exist, or to stdout. A payload that is text stands in
"payload", another in "payload_base64"; "quarantine" tells why a message is there.
What waits goes on waiting: an export takes nothing out.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("name one file, or none for stdout")
			}
			return nil
		},
	}
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		daemon, err := a.daemon()
		if err != nil {
			return err
		}
		file := strings.Join(args, "")
		if file == "" || file == "-" {
			_, err := daemon.ExportSpool(cmd.Context(), a.stdout)
			return err
		}
		n, err := exportTo(cmd.Context(), daemon, file)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stderr, "%s written to %s\n", counted(n, "message"), file)
		return err
	})
	return cmd
}

// exportTo writes a new file. After an error there is none: half an export would
// look like a whole one.
func exportTo(ctx context.Context, daemon *client.Client, file string) (lines int64, err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return 0, badInput("%s exists already (name a new file)", file)
	}
	if err != nil {
		return 0, inputError{err}
	}
	w := bufio.NewWriter(f)
	lines, err = daemon.ExportSpool(ctx, w)
	if err == nil {
		err = w.Flush()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(file)
	}
	return lines, err
}
