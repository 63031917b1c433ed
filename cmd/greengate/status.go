package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
	"greengate/sync/shadows"
)

func newStatus(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "show how the running daemon is: devices, routes, ledger, faults",
		Args:  cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	follow := followFlags(a, cmd, asJSON)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		if done, err := follow(); done {
			return err
		}
		return show(a, *asJSON,
			func(d *client.Client) (*client.Status, error) { return d.Status(cmd.Context()) },
			func(s *client.Status) error { return writeStatus(a.stdout, s) })
	})
	return cmd
}

// topRoutes is how many routes the screen has room for.
const topRoutes = 10

// writeStatus is the view for a person: one screen on a site of usual size.
func writeStatus(out io.Writer, s *client.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	up := (time.Duration(s.UptimeSeconds) * time.Second).String()
	fmt.Fprintf(w, "group\t%s, core %s, greengate %s, up %s\n", s.Group, s.Core, s.Version, up)
	fmt.Fprintf(w, "table\t%s, generation %d of %s, loaded %s\n", counted(int64(s.Config.Rows), "row"), s.Config.Generation, s.Config.File, clock(s.Config.LoadedAt))
	fmt.Fprintf(w, "listens\t%s\n", listeners(s.Listeners))
	fmt.Fprintf(w, "cloud\t%s\n", cloudLine(&s.Cloud, time.Now()))
	l := s.Ledger
	fmt.Fprintf(w, "messages\t%d accepted = %d delivered + %d refused + %d expired + %d dropped + %d waiting\n",
		l.Accepted, l.Delivered, l.Refused, l.Expired, l.Dropped, l.Waiting)
	writeReasons(w, "refused", s.Refusals)
	writeReasons(w, "dropped", s.Drops)
	writeReasons(w, "turned away", s.TurnedAway)
	writeReasons(w, "not logged", s.LogDropped)
	fmt.Fprintf(w, "written\t%s\n", writtenLine(&s.Writes))
	switch {
	case s.Cloud.Configured:
		fmt.Fprintf(w, "spool\t%s\n", spoolLine(&s.Spool, s.Cloud.Connected))
	case s.Spool.Messages > 0:
		fmt.Fprintf(w, "spool\t%s, %s, and no cloud to go to\n", counted(s.Spool.Messages, "message"), size(s.Spool.Bytes))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := writeDevices(out, s.Devices); err != nil {
		return err
	}
	if err := writeRoutes(out, s.Routes); err != nil {
		return err
	}
	if err := writeShadows(out, s.Shadows); err != nil {
		return err
	}
	if err := writePins(out, s.GPIO); err != nil {
		return err
	}
	if err := writeFunctions(out, s.Functions); err != nil {
		return err
	}
	return writeFaults(out, s.Faults)
}

func writeReasons(w io.Writer, verdict string, reasons []client.Reason) {
	if len(reasons) == 0 {
		return
	}
	words := make([]string, len(reasons))
	for i, r := range reasons {
		words[i] = fmt.Sprintf("%s %d", r.Reason, r.Count)
	}
	fmt.Fprintf(w, "%s\t%s\n", verdict, strings.Join(words, ", "))
}

func writeDevices(out io.Writer, devices []client.Device) error {
	connected := 0
	for _, d := range devices {
		if d.Connected {
			connected++
		}
	}
	fmt.Fprintf(out, "\ndevices (%d of %d connected)\n", connected, len(devices))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, d := range devices {
		state, since := "away", ""
		if d.Connected {
			state = "connected"
		}
		if d.Since != nil {
			since = "since " + clock(*d.Since)
		}
		line := strings.Join([]string{"  " + d.Thing, state, since, d.Address, d.Protocol}, "\t")
		fmt.Fprintln(w, strings.TrimRight(line, "\t"))
	}
	return w.Flush()
}

func writeRoutes(out io.Writer, routes []client.Route) error {
	used := slices.Clone(routes)
	slices.SortStableFunc(used, func(a, b client.Route) int { return cmp.Compare(b.Accepted, a.Accepted) })
	fmt.Fprintf(out, "\nroutes in use: %d\n", len(used))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(used) > 0 {
		fmt.Fprintln(w, "  line\tdelivered\twaiting\tdropped\trow")
	}
	for _, r := range used[:min(len(used), topRoutes)] {
		fmt.Fprintf(w, "  %d\t%d\t%d\t%d\t%s\n", r.Line, r.Delivered, r.Waiting, r.Dropped+r.Expired, r.Text)
	}
	if more := len(used) - topRoutes; more > 0 {
		fmt.Fprintf(w, "  (%d more in --json)\n", more)
	}
	return w.Flush()
}

// topShadows is how many shadows the screen has room for; those that somebody should
// look at come first.
const topShadows = 10

// urgency of a shadow: the cloud blocks it, it is not in step with the cloud, it has a
// delta, or all is well.
func urgency(s *client.Shadow) int {
	switch {
	case s.Sync != nil && s.Sync.State == shadows.Blocked:
		return 0
	case s.Sync != nil && s.Sync.State != shadows.InStep:
		return 1
	case s.Delta:
		return 2
	}
	return 3
}

func writeShadows(out io.Writer, s client.Shadows) error {
	if s.Count == 0 && len(s.List) == 0 {
		return nil
	}
	list := slices.Clone(s.List)
	slices.SortStableFunc(list, func(a, b client.Shadow) int { return cmp.Compare(urgency(&a), urgency(&b)) })
	fmt.Fprintf(out, "\nshadows: %d\n", s.Count)
	writeSync(out, s.Sync)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, i := range list[:min(len(list), topShadows)] {
		version, state, since := versionWords(i.Version), "no delta", "since "+clock(i.Updated)
		switch {
		case i.Version == 0:
			version, state, since = "none here", "", ""
		case i.Updated.IsZero():
			state, since = "", ""
		case i.Delta:
			state = "has a delta"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", strings.TrimSuffix(i.Thing+" "+i.Name, " "), version, state, since, syncWords(i.Sync))
	}
	if more := s.Count - int64(min(len(list), topShadows)); more > 0 {
		fmt.Fprintf(w, "  (%d more: greengate shadow list)\n", more)
	}
	return w.Flush()
}

func writePins(out io.Writer, pins []client.Pin) error {
	if len(pins) == 0 {
		return nil
	}
	fmt.Fprintln(out, "\npins")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range pins {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", p.Name, p.Kind, p.Pin, p.Level, p.Mode)
	}
	return w.Flush()
}

func writeFaults(out io.Writer, faults []client.Fault) error {
	if len(faults) == 0 {
		_, err := fmt.Fprintln(out, "\nfaults: none")
		return err
	}
	fmt.Fprintln(out, "\nfaults")
	for _, f := range faults {
		since := ""
		if f.Since != nil {
			since = " (since " + clock(*f.Since) + ")"
		}
		fmt.Fprintf(out, "  %s: %s%s\n", f.Component, printableLines(f.Message, "    "), since)
		if f.NextStep != "" {
			fmt.Fprintf(out, "    next: %s\n", f.NextStep)
		}
	}
	return nil
}

func listeners(list []client.Address) string {
	words := make([]string, len(list))
	for i, l := range list {
		words[i] = l.Service + " " + l.Address
	}
	return strings.Join(words, ", ")
}

func cloudLine(c *client.Cloud, now time.Time) string {
	if !c.Configured {
		return "not configured"
	}
	return cloudWords(c, now)
}

// spoolLine tells what waits for the cloud and what comes of it.
func spoolLine(s *client.Spool, connected bool) string {
	text := "nothing waits"
	if s.Messages > 0 {
		text = fmt.Sprintf("%s, %s, oldest %s", counted(s.Messages, "message"), size(s.Bytes), span(s.OldestSeconds))
		switch {
		case s.DrainedInSeconds < 0:
			text += "; more comes in than may go out"
		case connected:
			text += "; drained in about " + span(s.DrainedInSeconds)
		default:
			text += "; drained about " + span(s.DrainedInSeconds) + " after the cloud is back"
		}
		if s.FullInSeconds >= 0 {
			text += "; full in about " + span(s.FullInSeconds)
		}
	}
	if s.Quarantined > 0 {
		text += fmt.Sprintf("; %d in quarantine", s.Quarantined)
	}
	return text
}

// clock writes a time as the reader's wall shows it.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }
