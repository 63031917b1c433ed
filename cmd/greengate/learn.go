package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
)

func newLearn(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "learn",
		Short: "record what is refused, and propose the rows that would allow it",
		Long: `Records the flows that no row allows, with who would have received them, and
proposes few rows that would: with labels, device:*, ${from}, ${to} and + instead of
a row for each device. Nothing is allowed by it: rows are for a person to paste.
A recording lasts a day, holds a bounded number of flows, and goes on after a
restart of the daemon.`,
		Args: cobra.NoArgs,
		RunE: help,
	}
	cmd.AddCommand(newLearnStart(a), newLearnStop(a), newLearnShow(a))
	return cmd
}

func newLearnStart(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start",
		Short: "begin a recording, in place of the one before",
		Args:  cobra.NoArgs,
	}
	length := cmd.Flags().String("for", "1d", "how long it lasts: a `time` such as 30m, 12h or 7d, up to 30d")
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		d, err := parseDays(*length)
		if err == nil && (d < minLearn || d > maxLearn) {
			err = fmt.Errorf("%s is not between %s and 30d", *length, minLearn)
		}
		if err != nil {
			return badInput("--for: %w", err)
		}
		return show(a, *asJSON,
			func(c *client.Client) (client.LearnState, error) { return c.LearnStart(cmd.Context(), d) },
			func(client.LearnState) error {
				_, err := fmt.Fprintf(a.stdout, "recording for %s; see what was found so far with: greengate learn show\n", *length)
				return err
			})
	})
	return cmd
}

// parseDays reads a time that may be in days.
func parseDays(s string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		if days, err := strconv.ParseFloat(n, 64); err == nil && days >= 0 && days < 36500 {
			return time.Duration(days * 24 * float64(time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is no time (write 30m, 12h or 7d)", s)
	}
	return d, nil
}

func newLearnStop(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "end the recording; it can still be shown",
		Args:  cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		return show(a, *asJSON,
			func(c *client.Client) (client.LearnState, error) { return c.LearnStop(cmd.Context()) },
			func(s client.LearnState) error {
				_, err := fmt.Fprintf(a.stdout, "recorded for %s, %s; see the rows with: greengate learn show\n", span(s.ElapsedSeconds), counted(int64(s.Messages), "message"))
				return err
			})
	})
	return cmd
}

func newLearnShow(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "print the smallest table that would allow what was refused",
		Long: `Prints rows to paste under subscriptions. They allow every flow that was refused
and is still refused, which is checked with the gate's own lookup, except those that
are listed at the end. What a row allows besides is said above it. All but the rows
is comment, so that the whole output can be pasted.`,
		Args: cobra.NoArgs,
	}
	exact := cmd.Flags().Bool("exact", false, "no + and no #: more rows, which allow little but what was seen")
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		return show(a, *asJSON,
			func(c *client.Client) (*client.Learned, error) { return c.Learned(cmd.Context(), *exact) },
			func(l *client.Learned) error { return writeLearned(a.stdout, l) })
	})
	return cmd
}

// topStill is how many refused flows the screen has room for.
const topStill = 20

func writeLearned(out io.Writer, l *client.Learned) error {
	w := &strings.Builder{}
	state := "it has ended"
	if l.Recording {
		state = "it goes on"
	}
	fmt.Fprintf(w, "# recorded for %s of %s, %s: %s, %s refused", span(l.ElapsedSeconds), span(l.ForSeconds), state, counted(int64(l.Messages), "message"), counted(int64(l.Refused), "flow"))
	if l.Since > 0 {
		fmt.Fprintf(w, ", %d of them allowed by rows since", l.Since)
	}
	fmt.Fprintln(w)
	for _, n := range l.Notes {
		fmt.Fprintf(w, "# note: %s\n", printable(n))
	}
	if len(l.Rows) > 0 {
		fmt.Fprintln(w, "# under subscriptions:")
	} else {
		fmt.Fprintln(w, "# no row to propose")
	}
	for _, r := range l.Rows {
		fmt.Fprintf(w, "  # allows %s", counted(int64(r.Flows), "recorded flow"))
		if len(r.Besides) == 0 {
			fmt.Fprint(w, " and nothing else")
		}
		fmt.Fprintln(w)
		for _, b := range r.Besides {
			fmt.Fprintf(w, "  # besides: %s\n", printable(b))
		}
		fmt.Fprintf(w, "  - %s\n", r.Text)
	}
	writeStill(w, l)
	_, err := io.WriteString(out, w.String())
	return err
}

func writeStill(w io.Writer, l *client.Learned) {
	if len(l.Open) > 0 {
		fmt.Fprintln(w, "# nobody had subscribed to what these would allow; say who is to receive it, if anybody:")
		for _, r := range l.Open {
			fmt.Fprintf(w, "  # - %s\n", r.Text)
		}
	}
	if len(l.Still) == 0 {
		fmt.Fprintln(w, "# with these rows nothing that was recorded is refused")
		return
	}
	fmt.Fprintf(w, "# still refused with these rows: %s\n", counted(int64(len(l.Still)), "flow"))
	for _, f := range l.Still[:min(len(l.Still), topStill)] {
		to := ""
		if f.To != "" {
			to = " to " + f.To
		}
		fmt.Fprintf(w, "#   %s on %s%s, %s: %s\n", f.From, printable(f.Topic), to, counted(int64(f.Count), "message"), f.Reason)
	}
	if more := len(l.Still) - topStill; more > 0 {
		fmt.Fprintf(w, "#   (%d more in --json)\n", more)
	}
}
