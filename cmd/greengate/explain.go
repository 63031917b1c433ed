package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
	"greengate/core/message"
	"greengate/core/router"
	"greengate/subscriptions"
)

func newExplain(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain --from X --topic T [--to Y]",
		Short: "tell which line allows a message, or why none does and what to write",
		Long: `Tells which line of the group file allows a message, who would receive it, or
why nothing allows it and a row to paste. A running daemon answers for the table
that is in force; without one the file answers. The exit code is 0 either way.`,
		Args: cobra.NoArgs,
	}
	from := cmd.Flags().String("from", "", "who publishes: a `thing`, function:NAME, gpio:NAME, shadow or cloud")
	topic := cmd.Flags().String("topic", "", "the `topic` of the message")
	to := cmd.Flags().String("to", "", "look at this `receiver` only")
	asJSON := jsonFlag(cmd)
	_ = cmd.MarkFlagRequired("from") // fails only for a flag that does not exist
	_ = cmd.MarkFlagRequired("topic")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		if _, err := parseQuery(*from, *topic, *to); err != nil {
			return inputError{err}
		}
		e, err := a.explain(cmd.Context(), *from, *topic, *to, *asJSON)
		if err != nil {
			return err
		}
		if *asJSON {
			return a.printJSON(e)
		}
		return writeExplanation(a.stdout, a.config, *to, e)
	})
	return cmd
}

// explain asks the daemon, or the file if none runs.
func (a *app) explain(ctx context.Context, from, topic, to string, quiet bool) (*subscriptions.Explanation, error) {
	daemon, err := a.daemon()
	if err != nil {
		return nil, err
	}
	raw, err := daemon.Explain(ctx, from, topic, to)
	if errors.Is(err, client.ErrNotRunning) {
		if !quiet {
			fmt.Fprintln(a.stderr, "the daemon is not running; the answer is that of the file")
		}
		return a.explainFile(from, topic, to)
	}
	if err != nil {
		return nil, err
	}
	e := new(subscriptions.Explanation)
	if err := json.Unmarshal(raw, e); err != nil {
		return nil, fmt.Errorf("read explanation: %w", err)
	}
	return e, nil
}

func (a *app) explainFile(from, topic, to string) (*subscriptions.Explanation, error) {
	c, err := a.load()
	if err != nil {
		return nil, err
	}
	table, err := subscriptions.Compile(c.Subscriptions, c.Site())
	if err != nil {
		return nil, err
	}
	return explain(table, c.Names(), c.Cloud != nil, from, topic, to)
}

// explain answers one question out of a table: the same code for the daemon
// and for the command line. Without a cloud a row may lead there all the same.
func explain(table *subscriptions.Table, names subscriptions.Names, cloud bool, from, topic, to string) (*subscriptions.Explanation, error) {
	q, err := parseQuery(from, topic, to)
	if err != nil {
		return nil, err
	}
	e := table.Explain(q, names)
	if !cloud {
		there := message.Endpoint{Kind: message.Cloud}.String()
		if n := len(e.Receivers); n > 0 {
			e.Receivers = slices.DeleteFunc(e.Receivers, func(r string) bool { return r == there })
			if len(e.Receivers) < n {
				e.Reason = "the cloud gets nothing: the group file has no cloud section, so what a row leads there is refused (" + string(router.NoCloud) + ")"
			}
		}
	}
	return &e, nil
}

func parseQuery(from, topic, to string) (q subscriptions.Query, err error) {
	if q.From, err = message.ParseEndpoint(from); err != nil {
		return q, fmt.Errorf("--from: %w", err)
	}
	if to != "" {
		if q.To, err = message.ParseEndpoint(to); err != nil {
			return q, fmt.Errorf("--to: %w", err)
		}
		q.HasTo = true
	}
	if err := message.CheckTopic(topic); err != nil {
		return q, fmt.Errorf("--topic: %w", err)
	}
	q.Topic = topic
	return q, nil
}

func writeExplanation(out io.Writer, file, to string, e *subscriptions.Explanation) error {
	w, whom := new(bytes.Buffer), ""
	if to != "" {
		whom = " to " + to
	}
	if !e.Allowed {
		fmt.Fprintf(w, "refused: %s on %s%s\n  why      %s\n", e.From, printable(e.Topic), whom, e.Reason)
		if e.Suggest != "" {
			fmt.Fprintf(w, "  to allow it, add under subscriptions:\n    %s\n", strings.ReplaceAll(e.Suggest, "\n", "\n    "))
		}
		_, err := w.WriteTo(out)
		return err
	}
	fmt.Fprintf(w, "allowed: %s on %s%s\n", e.From, printable(e.Topic), whom)
	for _, r := range e.Rows {
		where := fmt.Sprintf("%s:%d", file, r.Line)
		if r.Line == 0 { // nobody wrote it
			where = "by default"
		}
		fmt.Fprintf(w, "  %s: %s\n", where, r.Text)
	}
	receivers := strings.Join(e.Receivers, ", ")
	if receivers == "" {
		receivers = "nobody"
	}
	fmt.Fprintf(w, "  receivers  %s\n", receivers)
	if e.Reason != "" {
		fmt.Fprintf(w, "  note       %s\n", e.Reason)
	}
	_, err := w.WriteTo(out)
	return err
}
