package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
	"greengate/core/message"
)

func newSpoolRequeue(a *app) *cobra.Command {
	return quarantineCommand(a, &cobra.Command{
		Use:   "requeue SEQ... | --topic FILTER | --all",
		Short: "put messages in quarantine back to the end of the queue",
		Long: `Puts messages that the cloud did not take back to the end of the queue, once what
was wrong is mended: the policy, for example. SEQ is the number in the first column
of ` + "`greengate spool list`" + `. They go by the rows in force, and wait without a ttl;
what is not taken this time comes to quarantine again.`,
	}, "greengate spool list", new(string), (*client.Client).RequeueSpool, func(n client.Requeued) string {
		words := counted(int64(n.Messages), "message") + " put back"
		if n.NoRow > 0 {
			words += fmt.Sprintf("; %d stay, since no row leads them to the cloud any more", n.NoRow)
		}
		return words
	})
}

func newSpoolDiscard(a *app) *cobra.Command {
	lost := false
	ask := func(c *client.Client, ctx context.Context, which client.Quarantined) (client.Requeued, error) {
		which.Unreadable = lost
		return c.DiscardSpool(ctx, which)
	}
	cmd := quarantineCommand(a, &cobra.Command{
		Use:   "discard SEQ... | --topic FILTER | --all | --unreadable",
		Short: "delete messages in quarantine, or those whose key is lost",
		Long: `Deletes messages that the cloud did not take. SEQ is the number in the first column
of ` + "`greengate spool list`" + `; ` + "`greengate spool export`" + ` saves them before.

--unreadable deletes what is encrypted with a key that is not there, also what waits: for
when the key is lost.`,
	}, "greengate spool list", new(string), ask, func(n client.Requeued) string {
		return counted(int64(n.Messages), "message") + " deleted"
	})
	cmd.Flags().BoolVar(&lost, "unreadable", false, "those that cannot be read, since their key is lost")
	others := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if lost && len(args) == 0 && !cmd.Flags().Changed("topic") && !cmd.Flags().Changed("all") {
			return nil
		}
		if lost {
			return errors.New("--unreadable names the messages, and nothing besides")
		}
		return others(cmd, args)
	}
	return cmd
}

// quarantineCommand is a command for the messages in quarantine that its arguments name.
// list is the command that tells their numbers; function is that of calls, which no
// message of the spool has.
func quarantineCommand(a *app, cmd *cobra.Command, list string, function *string, ask func(*client.Client, context.Context, client.Quarantined) (client.Requeued, error), words func(client.Requeued) string) *cobra.Command {
	var which client.Quarantined
	cmd.Flags().StringVar(&which.Topic, "topic", "", "those whose topic matches the `filter`")
	cmd.Flags().BoolVar(&which.All, "all", false, "all in quarantine")
	asJSON := jsonFlag(cmd)
	cmd.Args = func(_ *cobra.Command, args []string) error {
		ways := min(len(args), 1)
		if which.Topic != "" {
			ways++
		}
		if which.All {
			ways++
		}
		which.Function = *function
		if which.Function != "" {
			ways++
		}
		if ways != 1 {
			return errors.New("say which messages: their numbers, or --topic FILTER, or --all")
		}
		return nil
	}
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		for _, arg := range args {
			seq, err := strconv.ParseInt(arg, 10, 64)
			if err != nil || seq < 1 {
				return badInput("%q is no number of a message (the first column of `%s`)", arg, list)
			}
			if !slices.Contains(which.Seqs, seq) {
				which.Seqs = append(which.Seqs, seq)
			}
		}
		if which.Topic != "" {
			if err := message.CheckFilter(which.Topic); err != nil {
				return inputError{fmt.Errorf("--topic: %w", err)}
			}
		}
		var done client.Requeued
		err := show(a, *asJSON,
			func(d *client.Client) (n client.Requeued, err error) {
				done, err = ask(d, cmd.Context(), which)
				return done, err
			},
			func(n client.Requeued) error { _, err := fmt.Fprintln(a.stdout, words(n)); return err })
		if missed := len(which.Seqs) - done.Messages - done.NoRow; err == nil && missed > 0 {
			return badInput("%s named that no message in quarantine has (the first column of `%s` tells them)", counted(int64(missed), "number"), list)
		}
		return err
	})
	return cmd
}
