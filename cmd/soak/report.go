package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"greengate/core/admin/client"
)

// report is what a soak found.
type report struct {
	Wrong  []string // what must not be; empty when all is well
	Errors []string // lines of the gateway's log
	text   strings.Builder
}

// The bounds of what a gateway may use more of in the last quarter of a run than in
// the second: a part of it, and so many besides, for what comes and goes.
var bounds = []struct {
	name   string
	of     func(*sample) int64
	part   float64
	more   int64
	inMiB  bool
	reason string
}{
	{"resident memory", func(s *sample) int64 { return s.RSS }, 0.05, 0, true, "5 %"},
	{"of it anonymous", func(s *sample) int64 { return s.Anon }, 0.10, 0, true, "10 %"},
	{"heap in use", func(s *sample) int64 { return s.Heap }, 0.25, 1 << 20, true, "25 %: between two collections"},
	{"goroutines", func(s *sample) int64 { return s.Goroutines }, 0.05, 10, false, "5 % and 10: devices come and go"},
	{"descriptors", func(s *sample) int64 { return s.Files }, 0.05, 8, false, "5 % and 8"},
	{"threads", func(s *sample) int64 { return s.Threads }, 0.10, 2, false, "10 % and 2"},
	{"files in the data folder", func(s *sample) int64 { return s.DataFiles }, 0, 4, false, "4: second copies of databases"},
	{"bytes in the data folder", func(s *sample) int64 { return s.DataBytes }, 0.10, 8 << 20, true, "10 % and 8 MiB: what waits"},
}

// A message may cost the disk so many times its payload, and so many bytes besides.
const (
	writtenTimes = 2.5
	writtenMore  = 100
)

func (s *soak) report(took time.Duration, st *client.Status, wrong []string) *report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &report{Wrong: slices.Clone(wrong)}
	slices.Sort(r.Wrong)
	r.Wrong = append(r.Wrong, s.faultTexts...)
	if n := s.faults - len(s.faultTexts); n > 0 {
		r.Wrong = append(r.Wrong, fmt.Sprintf("and %d more", n))
	}
	sent := s.published()
	r.line("# Soak of %v: %d messages, %.0f a second\n", took.Round(time.Second), sent.Sent, float64(sent.Sent)/took.Seconds())
	r.line("%s, greengate %s\n", time.Now().UTC().Format("2006-01-02 15:04 MST"), st.Version)
	r.messages(s.accounts, st)
	l := st.Ledger
	r.line("In all: accepted %d = delivered %d + refused %d + expired %d + dropped %d + waiting %d.\n",
		l.Accepted, l.Delivered, l.Refused, l.Expired, l.Dropped, l.Waiting)
	r.resources(s.o.Judge, s.samples)
	r.disk(s.o.Judge, s.samples, sent)
	r.line("## What happened meanwhile\n")
	for _, what := range slices.Sorted(maps.Keys(s.events)) {
		r.line("- %s: %d", what, s.events[what])
	}
	for _, f := range st.Functions {
		r.line("- function %s: %d calls, %d of its instances exited", f.Name, f.Calls, f.Restarts)
	}
	for _, d := range append(st.Refusals, st.Drops...) {
		r.line("- %s: %d", d.Reason, d.Count)
	}
	r.line("- spool: %d sent, %d sent again; shadows: %+v\n", st.Spool.Sent, st.Spool.Resent, *st.Shadows.Sync)
	return r
}

// published is all that was published, without the flood, whose size would make
// every figure of a message look good.
func (s *soak) published() tally {
	var counted []*flow
	for name, f := range s.flows {
		if name != "flood" {
			counted = append(counted, f)
		}
	}
	return sum(counted)
}

func (r *report) line(format string, args ...any) { fmt.Fprintf(&r.text, format+"\n", args...) }

// bad notes what is not as it must be.
func (r *report) bad(judge bool, format string, args ...any) string {
	if !judge {
		return "not judged"
	}
	r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
	return "**no**"
}

// messages is the table of rows.
func (r *report) messages(accounts []*account, st *client.Status) {
	routes := map[string]client.Ledger{}
	for _, route := range st.Routes {
		routes[route.Text] = route.Ledger
	}
	r.line("| row | sent | acknowledged | arrived | again | lost | accepted | delivered | dropped |")
	r.line("|---|---|---|---|---|---|---|---|---|")
	for _, a := range accounts {
		t, l := sum(a.flows), routes[a.row]
		lost := fmt.Sprint(t.Lost)
		if a.heard == nil || a.lossy {
			lost = "-"
		}
		r.line("| `%s` | %d | %d | %d | %d | %s | %d | %d | %d |", a.row, t.Sent, t.Acked, t.Arrived, t.Again, lost, l.Accepted, l.Delivered, l.Dropped)
	}
	r.line("")
}

// resources is the table of what the gateway used.
func (r *report) resources(judge bool, samples []sample) {
	r.line("| of %d samples | second quarter | last quarter | change | may grow by | within |", len(samples))
	r.line("|---|---|---|---|---|---|")
	for _, b := range bounds {
		before, after := quarter(samples, 2, b.of), quarter(samples, 4, b.of)
		within := "yes"
		if float64(after) > float64(before)*(1+b.part)+float64(b.more) {
			within = r.bad(judge, "%s grew from %d to %d", b.name, before, after)
		}
		change := "0"
		if before > 0 {
			change = fmt.Sprintf("%+.1f %%", (float64(after)/float64(before)-1)*100)
		}
		one, two := fmt.Sprint(before), fmt.Sprint(after)
		if b.inMiB {
			one, two = fmt.Sprintf("%.1f MiB", mib(before)), fmt.Sprintf("%.1f MiB", mib(after))
		}
		r.line("| %s | %s | %s | %s | %s | %s |", b.name, one, two, change, b.reason, within)
	}
	r.line("")
}

// disk tells what a message cost the disk.
func (r *report) disk(judge bool, samples []sample, sent tally) {
	if len(samples) < 2 || sent.Sent == 0 {
		return
	}
	first, last := samples[0], samples[len(samples)-1]
	payload := float64(sent.Bytes) / float64(sent.Sent)
	each := float64(last.Written-first.Written) / float64(sent.Sent)
	limit := writtenTimes*payload + writtenMore
	within := "yes"
	if each > limit {
		within = r.bad(judge, "%.0f bytes written to the disk for each message, may be %.0f", each, limit)
	}
	r.line("Written to the disk: %.1f MiB, %.0f bytes for each message of %.0f bytes on average (may be %.0f: %s). CPU of the gateway: %.0f µs a message.\n",
		mib(last.Written-first.Written), each, payload, limit, within, float64((last.CPU-first.CPU).Microseconds())/float64(sent.Sent))
	r.line("| database | written | commits | bytes a commit |")
	r.line("|---|---|---|---|")
	for _, name := range slices.Sorted(maps.Keys(last.Stores)) {
		x := last.Stores[name]
		x.Written -= first.Stores[name].Written
		x.Commits -= first.Stores[name].Commits
		r.line("| %s | %.1f MiB | %d | %d |", name, mib(x.Written), x.Commits, x.Written/max(1, x.Commits))
	}
	r.line("")
}

// well tells whether nothing is wrong, by the gateway's own account either.
func (r *report) well() bool { return len(r.Wrong)+len(r.Errors) == 0 }

// String is the report in Markdown.
func (r *report) String() string {
	var b strings.Builder
	b.WriteString(r.text.String())
	if len(r.Errors) > 0 {
		fmt.Fprintf(&b, "Errors in the log of the gateway: %d, the first:\n\n", len(r.Errors))
		for _, line := range r.Errors[:min(len(r.Errors), 10)] {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	if r.well() {
		b.WriteString("All is well.\n")
	}
	if len(r.Wrong) == 0 {
		return b.String()
	}
	fmt.Fprintf(&b, "\n**%d faults:**\n\n", len(r.Wrong))
	for _, line := range r.Wrong {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	return b.String()
}
