package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
)

func newShadowHistory(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "history THING [--name N] [--limit N]",
		Short: "print who changed a shadow, when and what, and the conflicts with the cloud",
		Long: `Prints the journal of a shadow, newest first: each change with its version and who
made it (a device with its certificate, the cloud, a function, a pin, an operator),
and each value that the gateway and the cloud had both changed: what either side
had, and whose value stands. The journal is bounded; its oldest entries go.`,
		Args: oneThing,
	}
	s := shadowFlags(cmd)
	limit := cmd.Flags().Int("limit", 20, fmt.Sprintf("the most to print: a `number` from 1 to %d", maxListed))
	cmd.RunE = s.action(a, func(daemon *client.Client, cmd *cobra.Command, args []string) error {
		if err := checkLimit(*limit); err != nil {
			return inputError{fmt.Errorf("--limit: %w", err)}
		}
		h, err := daemon.ShadowHistory(cmd.Context(), args[0], s.name, *limit)
		if err != nil {
			return refusedWithCode(err)
		}
		if *s.asJSON {
			return a.printJSON(h)
		}
		if len(h.Entries) == 0 {
			fmt.Fprintf(a.stderr, "%s: no change is on record\n", s.subject(args[0]))
			return nil
		}
		return writeHistory(a.stdout, h.Entries)
	})
	return cmd
}

// writeHistory prints a line for each value of each entry.
func writeHistory(out io.Writer, entries []client.ShadowEntry) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tVERSION\tBY\tCHANGE")
	for _, e := range entries {
		head := strings.Join([]string{clock(e.At), versions(e.First, e.Version), sourceWords(e.Source)}, "\t")
		for _, line := range entryLines(&e) {
			fmt.Fprintf(w, "%s\t%s\n", head, line)
			head = "\t\t" // once
		}
	}
	return w.Flush()
}

func versions(first, last int64) string {
	if first < last {
		return fmt.Sprintf("%d-%d", first, last)
	}
	return strconv.FormatInt(last, 10)
}

// shownDigits of a fingerprint tell two certificates apart; --json has all.
const shownDigits = 12

func sourceWords(s client.ShadowSource) string {
	words := strings.TrimSpace(s.Kind + " " + s.Name)
	if s.Detail == "" {
		return words
	}
	detail := s.Detail
	if len(detail) > shownDigits {
		detail = detail[:shownDigits] + "..."
	}
	return words + " (" + detail + ")"
}

// entryLines say what an entry is about, in at least one line.
func entryLines(e *client.ShadowEntry) (lines []string) {
	if e.Deleted {
		lines = append(lines, "deleted")
	}
	for _, c := range e.Changes {
		if e.Deleted {
			break // all of it went
		}
		lines = append(lines, fmt.Sprintf("%s %s -> %s", leafName(c.Section, c.Path), value(c.Before), value(c.After)))
	}
	for _, c := range e.Conflicts {
		winner := "the gateway's"
		if c.Winner == "cloud" {
			winner = "the cloud's"
		}
		lines = append(lines, fmt.Sprintf("conflict: %s was %s; here %s, in the cloud %s; %s stands",
			leafName(c.Section, c.Path), value(c.Base), value(c.Local), value(c.Cloud), winner))
	}
	if len(lines) == 0 {
		lines = append(lines, "nothing changed")
	}
	return lines
}

// leafName writes a section and a JSON Pointer as desired.zone.target.
func leafName(section, path string) string {
	if section == "" {
		return "the document"
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for _, step := range strings.Split(path, "/")[1:] {
		section += "." + unescape.Replace(step)
	}
	return printable(section)
}

// shownValue is how much of a value the screen has room for, in bytes.
const shownValue = 60

func value(v json.RawMessage) string {
	switch text := printable(string(v)); {
	case len(v) == 0:
		return "(none)"
	case len(text) > shownValue:
		return strings.ToValidUTF8(text[:shownValue], "") + "..."
	default:
		return text
	}
}

func newShadowDiff(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff THING [--name N]",
		Short: "print where a shadow differs from that of the cloud, as last known",
		Args:  oneThing,
	}
	s := shadowFlags(cmd)
	cmd.RunE = s.action(a, func(daemon *client.Client, cmd *cobra.Command, args []string) error {
		d, err := daemon.ShadowDiff(cmd.Context(), args[0], s.name)
		if err != nil {
			return refusedWithCode(err)
		}
		if *s.asJSON {
			return a.printJSON(d)
		}
		fmt.Fprintf(a.stderr, "%s: %s here, %s in the cloud\n", s.subject(args[0]), versionWords(d.LocalVersion), versionWords(d.CloudVersion))
		if len(d.Leaves) == 0 {
			fmt.Fprintln(a.stderr, "nothing differs")
			return nil
		}
		w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "VALUE\tHERE\tIN THE CLOUD")
		for _, l := range d.Leaves {
			fmt.Fprintf(w, "%s\t%s\t%s\n", leafName(l.Section, l.Path), value(l.Local), value(l.Cloud))
		}
		return w.Flush()
	})
	return cmd
}

func versionWords(v int64) string {
	if v == 0 {
		return "none"
	}
	return fmt.Sprintf("version %d", v)
}

func newShadowRevert(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revert THING VERSION [--name N] [--reported]",
		Short: "make a shadow's desired state what it was at a version",
		Long: `Makes the desired section of a shadow equal to what it was at a version of its
history. That is an update as any other: the shadow gets a new version, its device
hears the difference, and the cloud gets it too. The reported section belongs to
the device; --reported takes that back as well.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("name one thing and a version of its history")
			}
			return nil
		},
	}
	s := shadowFlags(cmd)
	reported := cmd.Flags().Bool("reported", false, "take the reported section back, too")
	cmd.RunE = s.action(a, func(daemon *client.Client, cmd *cobra.Command, args []string) error {
		version, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil || version < 1 {
			return inputError{fmt.Errorf("%q is no version (write a number that `greengate shadow history` shows)", args[1])}
		}
		accepted, err := daemon.RevertShadow(cmd.Context(), args[0], s.name, version, *reported)
		return s.print(a, accepted, err, func(d *shadowDocument) string {
			return fmt.Sprintf("%s: as in version %d, accepted as version %d", s.subject(args[0]), version, d.Version)
		})
	})
	return cmd
}

// refusedWithCode tells the code of the shadow service's rejection, too.
func refusedWithCode(err error) error {
	var refusal *client.Refusal
	switch {
	case !errors.As(err, &refusal):
		return err
	case refusal.Code >= 500: // the service has one word for all that ails it
		return fmt.Errorf("%w (code %d); `greengate status` may tell why", err, refusal.Code)
	}
	return fmt.Errorf("%w (code %d)", err, refusal.Code)
}
