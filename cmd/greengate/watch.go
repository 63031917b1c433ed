package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
)

func newWatch(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "show the live messages, a line per message and target",
		Args:  cobra.NoArgs,
	}
	filter := cmd.Flags().String("topic", "", "only topics that this topic `filter` matches")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a line")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		daemon, err := a.daemon()
		if err != nil {
			return err
		}
		attached := func() { fmt.Fprintln(a.stderr, "watching; Ctrl-C ends") }
		print := func(e client.Event) { writeEvent(a.stdout, e) }
		if *asJSON {
			attached = nil
			lines := json.NewEncoder(a.stdout)
			lines.SetEscapeHTML(false)
			print = func(e client.Event) { _ = lines.Encode(e) } // a closed pipe ends the process by SIGPIPE
		}
		return daemon.Watch(cmd.Context(), *filter, attached, print)
	})
	return cmd
}

// writeEvent writes one line: time, verdict, from, topic, to, bytes. Columns
// are as wide as usual names; a longer one pushes the rest to the right, for a
// live view cannot wait to see which is longest.
func writeEvent(w io.Writer, e client.Event) {
	if e.Dropped > 0 {
		fmt.Fprintf(w, "(%d messages not shown: this terminal is too slow)\n", e.Dropped)
		return
	}
	to := e.To
	if to == "" {
		to = "-"
	}
	why := ""
	if e.Reason != "" {
		why = "  " + e.Reason
	}
	fmt.Fprintf(w, "%s  %-9s  %-20s  %-32s  %-20s %6d B%s\n",
		e.Time.Local().Format("15:04:05.000"), e.Verdict, e.From, e.Topic, to, e.Bytes, why)
}
