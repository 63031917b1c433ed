package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
)

func newFunction(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "function",
		Short: "list the local functions, read what they write, and try them out",
		Args:  cobra.NoArgs,
		RunE:  help,
	}
	cmd.AddCommand(newFunctionList(a), newFunctionLogs(a), newFunctionInvoke(a), newFunctionTest(a),
		newFunctionQuarantine(a), newFunctionRequeue(a), newFunctionDiscard(a))
	return cmd
}

func newFunctionList(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the functions: state, calls, errors, durations, memory",
		Long: `Lists the functions of the group file with their figures since the start of the
gateway, and what closes them in on this machine.`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		return show(a, *asJSON,
			func(d *client.Client) (client.FunctionList, error) { return d.Functions(cmd.Context()) },
			func(list client.FunctionList) error { return writeFunctionList(a.stdout, &list) })
	})
	return cmd
}

func writeFunctionList(out io.Writer, list *client.FunctionList) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tSTATE\tINSTANCES\tCALLS\tERRORS\tWAITING\tP50\tP99\tMAX\tMEMORY")
	for i := range list.Functions {
		f := &list.Functions[i]
		kind := "on demand"
		if f.Pinned {
			kind = "pinned"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\n", f.Name, kind, f.State, f.Instances, f.Calls, f.Errors, f.Queued+f.Running,
			shortSpan(f.P50), shortSpan(f.P99), shortSpan(f.Max), functionMemory(f))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i := range list.Functions {
		writeFunctionNotes(out, &list.Functions[i])
	}
	_, err := fmt.Fprintf(out, "\nclosed in by: %s\n", isolationWords(&list.Isolation))
	for _, missing := range list.Isolation.Missing {
		_, err = fmt.Fprintf(out, "  not closed: %s\n", missing)
	}
	return err
}

// writeFunctionNotes prints what is to say of some functions.
func writeFunctionNotes(out io.Writer, f *client.Function) {
	if f.LastError != "" {
		at := ""
		if f.LastErrorAt != nil {
			at = " (" + clock(*f.LastErrorAt) + ")"
		}
		fmt.Fprintf(out, "%s failed last: %s%s\n", f.Name, printable(f.LastError), at)
	}
	if f.NextStart != nil {
		fmt.Fprintf(out, "%s is started again at %s\n", f.Name, clock(*f.NextStart))
	}
	if f.NextTime != nil {
		fmt.Fprintf(out, "%s is called by the clock at %s\n", f.Name, clock(*f.NextTime))
	}
	for _, n := range []struct {
		n    int64
		what string
		said string
	}{
		{int64(f.Quarantined), "call", "in quarantine: greengate function quarantine " + f.Name},
		{int64(f.Durable), "call", "on the disk, until answered"},
		{int64(f.Dropped), "call", "given up, since its queue was full"},
		{int64(f.Skipped), "time", "of the clock passed over, since the last call was not done"},
		{int64(f.Restarts), "instance", "ended unasked"},
		{int64(f.ReplyErrors), "answer", "not published to reply_to"},
		{int64(f.Refused), "request", "refused at its endpoint"},
		{int64(f.LogsDropped), "line", "left out of the log, which it flooded"},
	} {
		if n.n > 0 {
			fmt.Fprintf(out, "%s: %s %s\n", f.Name, counted(n.n, n.what), n.said)
		}
	}
}

// isolationWords names what closes functions in.
func isolationWords(i *client.Isolation) string {
	var words []string
	if i.Landlock > 0 {
		words = append(words, fmt.Sprintf("Landlock %d", i.Landlock))
	}
	for _, w := range []struct {
		has  bool
		word string
	}{{i.Namespace, "namespaces"}, {i.Seccomp, "seccomp"}, {i.Cgroup, "cgroup v2"}} {
		if w.has {
			words = append(words, w.word)
		}
	}
	if len(words) == 0 {
		return "nothing of the kernel"
	}
	return strings.Join(words, ", ")
}

func newFunctionLogs(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logs NAME [--lines N] [--follow]",
		Short: "print what a function wrote",
		Long: `Prints the last lines that a function wrote to stdout and stderr, and what the gateway
says of its starts and ends, also of former runs of the gateway. The journal has them
too; this needs none.`,
		Args: oneFunction,
	}
	n := cmd.Flags().IntP("lines", "n", 100, fmt.Sprintf("the most lines of before: a `number` from 0 to %d", maxLines))
	follow := cmd.Flags().BoolP("follow", "f", false, "go on with the lines that come, until Ctrl-C")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON document; with --follow an object a line")
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		if *n < 0 || *n > maxLines {
			return badInput("--lines: %d is out of range (write 0 to %d)", *n, maxLines)
		}
		daemon, err := a.daemon()
		if err != nil {
			return err
		}
		lines := []client.FunctionLine{} // of one document
		ctx, enough := context.WithCancel(cmd.Context())
		defer enough()
		var unwritten error
		err = daemon.FunctionLogs(ctx, args[0], *n, *follow, func(l client.FunctionLine) {
			var err error
			switch {
			case *asJSON && *follow:
				err = writeLine(a.stdout, l)
			case *asJSON:
				lines = append(lines, l)
			default:
				_, err = fmt.Fprintf(a.stdout, "%s  %-14s  %-7s  %s\n", l.Time.Local().Format("2006-01-02 15:04:05.000"), l.Instance, l.Stream, logText(l.Text))
			}
			if err != nil { // and nobody sees what comes after it
				unwritten = cmp.Or(unwritten, err)
				enough()
			}
		})
		if unwritten != nil {
			return unwritten
		}
		if err == nil && *asJSON && !*follow {
			err = a.printJSON(lines)
		}
		return err
	})
	return cmd
}

// logText is a line of a function for a terminal. Tabs stay: AWS's form of a line has them.
func logText(line string) string {
	parts := strings.Split(line, "\t")
	for i := range parts {
		parts[i] = printable(parts[i])
	}
	return strings.Join(parts, "\t")
}

func oneFunction(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one function")
	}
	return nil
}
