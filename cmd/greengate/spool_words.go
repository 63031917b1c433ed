package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"greengate/core/admin/client"
)

// The view of the spool for a person: in words, and what to do.

// topRows is how many rows of the table the view has room for.
const topRows = 5

func writeSpoolStats(out io.Writer, s *client.SpoolStats, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "waiting\t%s\n", waitingWords(s))
	fmt.Fprintf(w, "cloud\t%s%s\n", cloudWords(&s.Cloud, now), silenceWords(s))
	if s.Messages > 0 {
		fmt.Fprintf(w, "drains\t%s\n", drainWords(s))
	}
	fmt.Fprintf(w, "fills\t%s\n", fillWords(s))
	for _, p := range s.Priorities {
		if p.Messages > 0 {
			fmt.Fprintf(w, "%s\t%s, %s\n", p.Priority, counted(p.Messages, "message"), size(p.Bytes))
		}
	}
	fmt.Fprintf(w, "sent\t%d since the start, each acknowledged by the cloud; %d times one was sent again\n", s.Sent, s.Resent)
	if s.Expired > 0 {
		fmt.Fprintf(w, "expired\t%d since the start: their ttl ran out while they waited\n", s.Expired)
	}
	for _, d := range s.Dropped {
		fmt.Fprintf(w, "dropped\t%d since the start, %s: %s\n", d.Count, d.Reason, cmp.Or(dropWords[d.Reason], "given up"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	writeWaitingRows(out, s.Rows)
	writeQuarantine(out, s)
	writeSpoolFaults(out, s.Faults)
	return nil
}

// writeSpoolFaults leaves out the faults that the view has told by then.
func writeSpoolFaults(out io.Writer, faults []string) {
	head := "\nfaults\n"
	for _, text := range faults {
		told := strings.HasPrefix(text, "not connected to the cloud") || strings.HasPrefix(text, "the spool gives messages up") ||
			strings.Contains(text, " are in quarantine")
		if !told {
			fmt.Fprintf(out, "%s  %s\n", head, text)
			if next := aboutDisk(text); next != "" {
				fmt.Fprintf(out, "    next: %s\n", next)
			}
			head = ""
		}
	}
}

func waitingWords(s *client.SpoolStats) string {
	if s.Messages == 0 {
		return "nothing"
	}
	text := fmt.Sprintf("%s, %s", counted(s.Messages, "message"), size(s.Bytes))
	if s.OldestAt != nil {
		text += fmt.Sprintf("; the oldest since %s (%s)", stamp(*s.OldestAt, s.Clock), span(s.OldestSeconds))
	}
	if s.InFlight > 0 && s.Cloud.Connected {
		text += fmt.Sprintf("; %d under way", s.InFlight)
	}
	return text
}

// cloudWords tells how the link is, and what comes next.
func cloudWords(c *client.Cloud, now time.Time) string {
	since := ""
	if c.Since != nil {
		since = " since " + clock(*c.Since)
	}
	if c.Connected {
		return "connected to " + c.Endpoint + since
	}
	text := "not connected to " + c.Endpoint + since
	if c.Attempts > 0 {
		text += ", " + counted(int64(c.Attempts), "attempt") + " failed"
	}
	if c.NextAttempt != nil {
		if wait := c.NextAttempt.Sub(now); wait > time.Second {
			text += ", the next one in " + span(int64(wait/time.Second))
		} else {
			text += ", the next one now"
		}
	}
	if c.Error != "" {
		text += "\n\tlast error: " + c.Error
	}
	return text
}

// silentAfter is how long an acknowledgement may take before it is told, in seconds.
const silentAfter = 5

// silenceWords tell of a link that looks well and takes nothing: until a dead one is
// noticed, that is all there is to see.
func silenceWords(s *client.SpoolStats) string {
	if !s.Cloud.Connected || s.UnackedSeconds < silentAfter {
		return ""
	}
	return ", but what was sent " + span(s.UnackedSeconds) + " ago is not acknowledged"
}

func drainWords(s *client.SpoolStats) string {
	allowed := fmt.Sprintf("%d messages and %s a second, which cloud.rate allows", s.AllowedMessages, size(s.AllowedBytes))
	condition := ""
	if !s.Cloud.Connected {
		condition = " once connected"
	} else if silenceWords(s) != "" {
		condition = " once the cloud answers"
	}
	if s.DrainedInSeconds < 0 {
		return fmt.Sprintf("never%s: more comes in (%s messages a second) than goes out at %s", condition, trimmed(s.IntakeRate), allowed)
	}
	return fmt.Sprintf("in about %s%s, at %s", span(s.DrainedInSeconds), condition, allowed)
}

func fillWords(s *client.SpoolStats) string {
	on := fmt.Sprintf("%s of %s on disk", size(s.DiskBytes), size(s.MaxBytes))
	if s.FullInSeconds < 0 || s.Messages == 0 {
		return fmt.Sprintf("not at this rate: %s messages a second in, %s out; %s", trimmed(s.IntakeRate), trimmed(s.DrainRate), on)
	}
	return fmt.Sprintf("in about %s: %s messages a second in, %s out; %s", span(s.FullInSeconds), trimmed(s.IntakeRate), trimmed(s.DrainRate), on)
}

// dropWords tell which policy gave messages up. The keys are the spool's words.
var dropWords = map[string]string{
	"full-oldest":   "the spool was full, and they were the oldest (when_full: drop_oldest)",
	"full-newest":   "the spool was full when they came (when_full: drop_newest, or nothing of lower worth was left)",
	"full-thinned":  "the spool was full, and every n-th message was kept (when_full: thin)",
	"full-priority": "the spool was full, and messages of higher priority came",
	"row-gone":      "no row of the group file leads them to the cloud any more",
	"unreadable":    "their key was lost, and somebody has deleted them (greengate spool discard --unreadable)",
	"not-stored":    "the gateway ended before they were on the disk; their devices were not told that they are safe",
}

func writeWaitingRows(out io.Writer, rows []client.SpoolRow) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintln(out, "\nwaiting by row")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range rows[:min(len(rows), topRows)] {
		fmt.Fprintf(w, "  %d\t%s\t%s\n", r.Messages, size(r.Bytes), r.Row)
	}
	_ = w.Flush() // the writer before has told an error of stdout
	if more := len(rows) - topRows; more > 0 {
		fmt.Fprintf(out, "  (%d more in --json)\n", more)
	}
}

func writeQuarantine(out io.Writer, s *client.SpoolStats) {
	if s.Quarantined == 0 {
		return
	}
	fmt.Fprintf(out, "\nin quarantine: %s that the cloud never takes\n", counted(s.Quarantined, "message"))
	advice, given := "", map[string]bool{}
	for _, m := range s.Quarantine {
		fmt.Fprintf(out, "  %s  %s on %s, %d bytes\n    %s\n", stamp(m.Time, m.Clock), m.Source, printable(m.Topic), m.Bytes, printable(m.Quarantine))
		if todo := quarantineAdvice(m.Quarantine); todo != "" && !given[todo] {
			given[todo] = true
			advice += "  " + todo + "\n"
		}
	}
	if more := s.Quarantined - int64(len(s.Quarantine)); more > 0 {
		fmt.Fprintf(out, "  (%d more: greengate spool list)\n", more)
	}
	fmt.Fprint(out, "what to do\n"+advice+
		"  they stop nothing, are not sent again, and make room for later ones: save them with `greengate spool export FILE`,\n"+
		"  and once the cause is mended put them back with `greengate spool requeue --all`\n")
}

// quarantineAdvice says what to do about a reason, "" when there is nothing more
// to say than the reason itself. The words are those of the link and the spool.
func quarantineAdvice(reason string) string {
	for _, a := range []struct{ in, todo string }{
		{"0x87", "not authorized: give the core the policy that `greengate cloud policy` prints"},
		{"each time it was sent alone", "the cloud cuts the connection for it: with MQTT 3.1.1 that is how a policy says no (`greengate cloud policy`)"},
		{"slashes", "topic too deep: AWS takes 7 slashes; let the device use a shorter topic"},
		{"bytes long", "topic too long: AWS takes 256 bytes; let the device use a shorter topic"},
		{"than the", "too large: AWS takes 128 KiB; let the device send less at once"},
		{"checksum", "damaged: the disk or SD card loses data; replace it"},
	} {
		if strings.Contains(reason, a.in) {
			return a.todo
		}
	}
	return ""
}

// counted writes a number of things.
func counted(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// size writes bytes as the group file would, rounded.
func size(n int64) string {
	const kib = 1 << 10
	switch {
	case n < kib:
		return counted(n, "byte")
	case n < kib*kib:
		return trimmed(float64(n)/kib) + " KiB"
	case n < kib*kib*kib:
		return trimmed(float64(n)/kib/kib) + " MiB"
	}
	return trimmed(float64(n)/kib/kib/kib) + " GiB"
}

// trimmed writes a number with one digit after the point, unless that is 0.
func trimmed(f float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") }

// span writes seconds in the two largest units that they have.
func span(seconds int64) string {
	d := time.Duration(seconds) * time.Second
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", seconds)
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), seconds%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}
