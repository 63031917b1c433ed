package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
)

func newFunctionQuarantine(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quarantine [NAME] [--limit N]",
		Short: "list the durable calls that failed as often as they were tried",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("name one function, or none for all")
			}
			return nil
		},
	}
	limit := cmd.Flags().Int("limit", 20, fmt.Sprintf("the most to list: a `number` from 1 to %d", maxListed))
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		if err := checkLimit(*limit); err != nil {
			return inputError{fmt.Errorf("--limit: %w", err)}
		}
		return show(a, *asJSON,
			func(d *client.Client) (client.QuarantineList, error) {
				return d.QuarantinedCalls(cmd.Context(), strings.Join(args, ""), *limit)
			},
			func(list client.QuarantineList) error { return writeQuarantinedCalls(a.stdout, &list) })
	})
	return cmd
}

func writeQuarantinedCalls(out io.Writer, list *client.QuarantineList) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SEQ\tSINCE\tFUNCTION\tFROM\tTOPIC\tBYTES\tREASON")
	for _, q := range list.Calls {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%s: %s\n", q.Seq, clock(q.At), q.Function, q.Source, printable(q.Topic), len(q.Payload), q.Reason, printable(q.Cause))
	}
	return w.Flush()
}

func newFunctionRequeue(a *app) *cobra.Command {
	return callsCommand(a, &cobra.Command{
		Use:   "requeue SEQ... | --function NAME | --topic FILTER | --all",
		Short: "put calls in quarantine back to the ends of their queues",
		Long: `Puts durable calls that failed back to the ends of their queues, once what was wrong is
mended. SEQ is the number in the first column of ` + "`greengate function quarantine`" + `.
They go by the rows in force; what fails again comes to quarantine again.`,
	}, (*client.Client).RequeueCalls, func(n client.Requeued) string {
		words := counted(int64(n.Messages), "call") + " put back"
		if n.NoRow > 0 {
			words += fmt.Sprintf("; %d stay, since no row leads them to their function any more", n.NoRow)
		}
		return words
	})
}

func newFunctionDiscard(a *app) *cobra.Command {
	return callsCommand(a, &cobra.Command{
		Use:   "discard SEQ... | --function NAME | --topic FILTER | --all",
		Short: "delete calls in quarantine",
		Long: `Deletes durable calls that failed. SEQ is the number in the first column of
` + "`greengate function quarantine`" + `; its --json saves them before.`,
	}, (*client.Client).DiscardCalls, func(n client.Requeued) string {
		return counted(int64(n.Messages), "call") + " deleted"
	})
}

// callsCommand is quarantineCommand with --function besides.
func callsCommand(a *app, cmd *cobra.Command, ask func(*client.Client, context.Context, client.Quarantined) (client.Requeued, error), words func(client.Requeued) string) *cobra.Command {
	function := cmd.Flags().String("function", "", "those of the function of that `name`")
	return quarantineCommand(a, cmd, "greengate function quarantine", function, ask, words)
}

// writeLine writes v as one line of JSON.
func writeLine(out io.Writer, v any) error {
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	return lines.Encode(v)
}
