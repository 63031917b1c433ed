package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
	"greengate/core/message"
)

// verdicts are the words of `watch`.
var verdicts = []string{"delivered", "queued", "refused", "dropped", "expired"}

func newWatch(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "show the live messages, a line per message and target",
		Long: `Shows what becomes of each message, a line for each target: time, verdict, from,
topic, to, bytes, and the reason of a refusal. The filters are joined: a line passes
all of them. What goes to the cloud or to a function is queued, and that is its line: how
it ends is counted in ` + "`greengate spool stats` and `greengate function list`" + `. --from, --to and --verdict take several values, separated by commas.
Colours are for a terminal only, and not with NO_COLOR.`,
		Args: cobra.NoArgs,
	}
	var f client.WatchFilter
	cmd.Flags().StringVar(&f.Topic, "topic", "", "only topics that this topic `filter` matches")
	cmd.Flags().StringSliceVar(&f.From, "from", nil, "only messages of these `endpoints`: a thing, function:NAME, gpio:NAME, shadow or cloud")
	cmd.Flags().StringSliceVar(&f.To, "to", nil, "only messages for these `endpoints`; - is for those that have no target")
	cmd.Flags().StringSliceVar(&f.Verdict, "verdict", nil, "only these `verdicts`: "+strings.Join(verdicts, ", "))
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object a line")
	cmd.Flags().BoolVar(&f.Payload, "payload", false, "with --json: the payloads too, so that messages can be kept and played to a function")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		if err := checkWatch(&f); err != nil {
			return inputError{err}
		}
		if f.Payload && !*asJSON {
			return badInput("--payload needs --json: a payload has no place in a line for people")
		}
		daemon, err := a.daemon()
		if err != nil {
			return err
		}
		attached := func() { fmt.Fprintln(a.stderr, "watching; Ctrl-C ends") }
		paint := colours(a.stdout)
		print := func(e client.Event) { writeEvent(a.stdout, e, paint) }
		if *asJSON {
			attached = nil
			lines := json.NewEncoder(safeJSON{a.stdout})
			lines.SetEscapeHTML(false)
			print = func(e client.Event) { _ = lines.Encode(e) } // a closed pipe ends the process by SIGPIPE
		}
		return daemon.WatchOnly(cmd.Context(), f, attached, print)
	})
	return cmd
}

// checkWatch checks the filter and writes its ends as events have them.
func checkWatch(f *client.WatchFilter) error {
	for _, side := range []struct {
		flag string
		list []string
	}{{"--from", f.From}, {"--to", f.To}} {
		for i, text := range side.list {
			if text == "-" && side.flag == "--to" {
				side.list[i] = ""
				continue
			}
			e, err := message.ParseEndpoint(text)
			if err != nil {
				return fmt.Errorf("%s: %w", side.flag, err)
			}
			side.list[i] = e.String()
		}
	}
	for _, v := range f.Verdict {
		if !slices.Contains(verdicts, v) {
			return fmt.Errorf("--verdict: %q is no verdict (write %s)", v, strings.Join(verdicts, ", "))
		}
	}
	return nil
}

// verdictColours are those of a traffic light.
var verdictColours = map[string]string{"delivered": green, "queued": yellow, "refused": red, "dropped": red, "expired": red}

// writeEvent writes one line: time, verdict, from, topic, to, bytes. Columns
// are as wide as usual names; a longer one pushes the rest to the right, for a
// live view cannot wait to see which is longest.
func writeEvent(w io.Writer, e client.Event, paint bool) {
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
	verdict := fmt.Sprintf("%-9s", e.Verdict)
	if colour := verdictColours[e.Verdict]; paint && colour != "" {
		verdict = colour + verdict + plain
	}
	fmt.Fprintf(w, "%s  %s  %-20s  %-32s  %-20s %6d B%s\n",
		e.Time.Local().Format("15:04:05.000"), verdict, e.From, printable(e.Topic), to, e.Bytes, why)
}
