package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
)

// follower shows the status again and again.
type follower struct {
	out    io.Writer
	every  time.Duration
	json   bool
	screen bool // out is a terminal: each view takes the place of the last
	daemon *client.Client
	last   *client.Status
	at     time.Time // of last
}

// followFlags adds --follow and --every to `status`; the function returned tells
// whether it was asked for, and does it.
func followFlags(a *app, cmd *cobra.Command, asJSON *bool) (follow func() (bool, error)) {
	on := cmd.Flags().BoolP("follow", "f", false, "show it again and again, with rates, until Ctrl-C")
	every := cmd.Flags().Duration("every", 2*time.Second, "how often --follow asks, a `time` from 100ms")
	return func() (bool, error) {
		if !*on {
			return false, nil
		}
		if *every < 100*time.Millisecond {
			return true, badInput("--every: %s is less than 100ms", *every)
		}
		daemon, err := a.daemon()
		if err != nil {
			return true, err
		}
		f := &follower{out: a.stdout, every: *every, json: *asJSON, screen: !*asJSON && onTerminal(a.stdout), daemon: daemon}
		return true, f.run(cmd.Context())
	}
}

// run shows views until ctx is cancelled. A terminal waits for a daemon that
// goes away meanwhile; a pipe ends with it.
func (f *follower) run(ctx context.Context) error {
	first, err := f.daemon.Status(ctx)
	if err != nil {
		return err
	}
	if f.screen {
		fmt.Fprint(f.out, otherPage+hide)
		defer fmt.Fprint(f.out, unhide+firstPage)
	}
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	for status := first; ; {
		if err := f.show(status, time.Now()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		status, err = f.daemon.Status(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !(f.screen && errors.Is(err, client.ErrNotRunning)):
			return err
		}
	}
}

// show writes one view. A nil status is that nobody answers.
func (f *follower) show(s *client.Status, now time.Time) error {
	if f.json {
		// One document a line, so that a program can read them one by one.
		e := json.NewEncoder(safeJSON{f.out})
		e.SetEscapeHTML(false)
		if err := e.Encode(s); err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
		return nil
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s   %s%s\n", clock(now), f.rates(s, now), faultWords(s))
	shown := s
	if shown == nil {
		shown = f.last
	}
	if shown != nil {
		if err := writeStatus(&b, shown); err != nil {
			return err
		}
	}
	if s != nil {
		f.last, f.at = s, now
	}
	if f.screen {
		columns, rows := screenSize(f.out)
		_, err := io.WriteString(f.out, fitScreen(b.String(), columns, rows))
		return err
	}
	_, err := fmt.Fprintf(f.out, "%s\n", b.String())
	return err
}

// rates says what became of messages each second since the last view.
func (f *follower) rates(s *client.Status, now time.Time) string {
	seconds := now.Sub(f.at).Seconds()
	switch {
	case s == nil:
		return "the daemon is not running; this was its last state"
	case f.last == nil || seconds <= 0:
		return "every " + f.every.String()
	case s.UptimeSeconds < f.last.UptimeSeconds || s.Ledger.Accepted < f.last.Ledger.Accepted:
		return "the daemon was restarted"
	}
	per := func(n, before uint64) string { return fmt.Sprintf("%.4g", float64(n-min(n, before))/seconds) }
	was, is := &f.last.Ledger, &s.Ledger
	return fmt.Sprintf("per second: %s accepted, %s delivered, %s refused, %s dropped", per(is.Accepted, was.Accepted),
		per(is.Delivered, was.Delivered), per(is.Refused, was.Refused), per(is.Dropped+is.Expired, was.Dropped+was.Expired))
}

// faultWords tells of faults in the first line: on a small screen the list of them,
// the last of the view, is cut off.
func faultWords(s *client.Status) string {
	if s == nil || len(s.Faults) == 0 {
		return ""
	}
	return "; " + counted(int64(len(s.Faults)), "fault")
}

// fitScreen cuts a view to the screen and paints it over the last one, without a
// flicker: no line is emptied before its new text stands there.
func fitScreen(view string, columns, rows int) string {
	var b strings.Builder
	b.WriteString(cursorTop)
	lines := strings.Split(strings.TrimRight(view, "\n"), "\n")
	cut := len(lines) > rows
	if cut {
		lines = append(lines[:rows-1], fmt.Sprintf("(%d lines more: greengate status)", len(lines)-rows+1))
	}
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		line = printable(line)
		if utf8.RuneCountInString(line) > columns {
			line = string([]rune(line)[:columns-1]) + "…"
		}
		b.WriteString(line + clearLine)
	}
	b.WriteString(clearRest)
	return b.String()
}
