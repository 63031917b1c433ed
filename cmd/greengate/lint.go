package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"greengate/configs"
	"greengate/core/admin/client"
	"greengate/core/message"
	"greengate/subscriptions"
)

// linted is what --lint found.
type linted struct {
	Daemon   bool           `json:"daemon"` // a running one was asked
	Notes    []string       `json:"notes"`  // what was not looked at
	Warnings []checkedFault `json:"warnings"`

	faults configs.Faults
}

// tell writes the warnings to stderr and what they come to.
func (l *linted) tell(a *app) {
	for _, f := range l.faults {
		a.complain(f)
	}
	for _, n := range l.Notes {
		a.complain(errors.New("note: " + n))
	}
	fmt.Fprintf(a.stderr, "lint: %s\n", counted(int64(len(l.faults)), "warning"))
}

// lint looks for what is legal in a valid file and hardly meant.
func (a *app) lint(ctx context.Context, c *configs.Config, least time.Duration) (*linted, error) {
	l := &linter{app: a, c: c, linted: linted{Notes: []string{}}}
	faults, err := subscriptions.Lint(c.Subscriptions, l.site())
	if err != nil {
		return nil, err
	}
	l.rows(faults)
	l.pins()
	if err := l.use(ctx, least); err != nil {
		return nil, err
	}
	l.Warnings = faultList(l.faults)
	return &l.linted, nil
}

type linter struct {
	app *app
	c   *configs.Config
	linted
}

// site tells the rows' linter what pins publish and take.
func (l *linter) site() subscriptions.LintSite {
	s := subscriptions.LintSite{Site: l.c.Site(), Cloud: l.c.Cloud != nil, Publishes: map[string][]string{}, Outputs: map[string]bool{}}
	g := l.c.GPIO
	if g == nil {
		return s
	}
	publishes := func(name, topic string) {
		if topic != "" {
			s.Publishes[name] = append(s.Publishes[name], topic)
		}
	}
	for _, b := range g.Buttons {
		publishes(b.Name, b.Topic)
	}
	for _, i := range g.Inputs {
		publishes(i.Name, i.Topic)
	}
	for _, n := range g.Counters {
		publishes(n.Name, n.Topic)
	}
	for _, n := range g.Sensors {
		publishes(n.Name, n.Topic)
	}
	for _, o := range append(g.LEDs, g.Outputs...) {
		s.Outputs[o.Name] = true
	}
	for _, p := range g.PWM {
		s.Outputs[p.Name] = true
	}
	for _, v := range g.Servos {
		s.Outputs[v.Name] = true
	}
	return s
}

// maxPlaced bounds for how many warnings the file is read again to find the
// column of a key; the others have that of their row.
const maxPlaced = 50

// rows enters the warnings of rows.
func (l *linter) rows(faults []subscriptions.Fault) {
	for _, f := range faults {
		path := fmt.Sprintf("subscriptions[%d]", f.Row)
		if f.Key != "" {
			path += "." + f.Key
		}
		row := &l.c.Subscriptions[f.Row]
		fault := configs.Fault{File: l.app.config, Line: row.Line, Column: row.Column, Path: path, Problem: f.Problem, Hint: f.Hint}
		if f.Key != "" && len(l.faults) < maxPlaced {
			fault = l.c.FaultAt(path, f.Problem, f.Hint)
		}
		fault.Value, fault.Warning = f.Value, true
		l.faults = append(l.faults, fault)
	}
}

func (l *linter) warnAt(path, hint, problem string, args ...any) {
	f := l.c.FaultAt(path, fmt.Sprintf(problem, args...), hint)
	f.Warning = true
	l.faults = append(l.faults, f)
}

// seldom is how often a shadow may be written without a warning: each time is a
// commit to the card, and a message to the cloud.
const seldom = 10 * time.Second

// pins warns of readings that are written into a shadow at a short interval.
func (l *linter) pins() {
	if l.c.GPIO == nil {
		return
	}
	warn := func(path, name, thing, topic string, every time.Duration, quiet bool, hint string) {
		if parts := strings.Split(topic, "/"); thing == "" && len(parts) > 4 && parts[0] == "$aws" && parts[3] == "shadow" {
			thing = parts[2]
		}
		if thing != "" && every < seldom && !quiet {
			l.warnAt(path, "a shadow is for a state: send readings to a topic, or write "+hint,
				"%s writes the shadow of %s every %s, %d times a day", name, thing, every, 24*time.Hour/every)
		}
	}
	for i, s := range l.c.GPIO.Sensors {
		quiet := s.Deadband > 0
		for _, q := range s.Calibrate {
			quiet = quiet || q.Deadband > 0
		}
		warn(fmt.Sprintf("gpio.sensors[%d].every", i), "the sensor", s.Thing, s.Topic, max(s.Every, s.MinInterval), quiet, "min_interval or deadband")
	}
	for i, n := range l.c.GPIO.Counters {
		warn(fmt.Sprintf("gpio.counters[%d].every", i), "the counter", n.Thing, n.Topic, n.Every, false, "a longer every")
	}
}

// use asks the running daemon, if there is one, what of the rows was used.
func (l *linter) use(ctx context.Context, least time.Duration) error {
	daemon, err := l.app.daemon()
	if err != nil {
		return err
	}
	status, err := daemon.Status(ctx)
	if err != nil {
		l.note("%v, so it was not looked at what rows are used for", err)
		return nil
	}
	l.Daemon = true
	if info, err := os.Stat(l.c.File); err != nil || info.ModTime().After(status.Config.LoadedAt) {
		l.note("the file was changed after the daemon has read it, so it was not looked at what rows are used for")
		return nil
	}
	use := subscriptions.Use{Since: time.Since(status.Config.LoadedAt), Counted: map[string]bool{}}
	for _, r := range status.Routes {
		use.Counted[r.Text] = true
	}
	if use.Since < least {
		l.note("the daemon has these rows for %s only; unused ones are told after %s (--unused-after)", span(int64(use.Since/time.Second)), span(int64(least/time.Second)))
	}
	if err := l.recorded(ctx, daemon, &use); err != nil {
		return err
	}
	faults, err := subscriptions.LintUse(l.c.Subscriptions, l.c.Site(), use, least)
	if err != nil {
		return err
	}
	l.rows(faults)
	return l.busyShadows(&use)
}

func (l *linter) note(format string, args ...any) {
	l.Notes = append(l.Notes, fmt.Sprintf(format, args...))
}

// recorded adds what `learn` has recorded, when nothing of it was left out.
func (l *linter) recorded(ctx context.Context, daemon *client.Client, use *subscriptions.Use) error {
	recorded, err := daemon.Usage(ctx)
	var none *client.Refusal
	switch {
	case errors.As(err, &none):
		l.note("nothing was recorded, so it was not looked at who uses a row; record with `greengate learn start`")
		return nil
	case err != nil:
		return err
	case !recorded.Complete:
		l.note("the recording had no room for all flows, so it was not looked at who uses a row")
		return nil
	}
	use.Recorded = time.Duration(recorded.ElapsedSeconds) * time.Second
	for _, f := range recorded.Flows {
		from, err := message.ParseEndpoint(f.From)
		if err != nil {
			return fmt.Errorf("read the recording: %w", err)
		}
		flow := subscriptions.RecordedFlow{From: from, Topic: f.Topic, Count: f.Count}
		for _, name := range f.To {
			to, err := message.ParseEndpoint(name)
			if err != nil {
				return fmt.Errorf("read the recording: %w", err)
			}
			flow.Allowed = append(flow.Allowed, to)
		}
		use.Flows = append(use.Flows, flow)
	}
	return nil
}

// leastRate is for how long must be recorded before a rate says something.
const leastRate = time.Minute

// busyShadows warns of who writes a shadow every few seconds.
func (l *linter) busyShadows(use *subscriptions.Use) error {
	if use.Recorded < leastRate {
		return nil
	}
	table, err := subscriptions.Compile(l.c.Subscriptions, l.c.Site())
	if err != nil {
		return err
	}
	for _, f := range use.Flows {
		m := table.Lookup(f.From, f.Topic)
		if m == nil || !strings.HasPrefix(f.Topic, "$aws/things/") || !strings.HasSuffix(f.Topic, "/update") {
			continue
		}
		every := use.Recorded / time.Duration(max(f.Count, 1))
		row, ok := m.Allows(message.Endpoint{Kind: message.Shadow})
		if !ok || every >= seldom {
			continue
		}
		path := fmt.Sprintf("subscriptions[%d]", row)
		if row >= len(l.c.Subscriptions) {
			path = l.devicePath(f.From.Name)
		}
		l.warnAt(path, "a shadow is for a state: send readings to a topic",
			"%s writes a shadow every %s on average (%s)", f.From, every.Round(100*time.Millisecond), f.Topic)
	}
	return nil
}

// devicePath is where the file has a device.
func (l *linter) devicePath(thing string) string {
	for i, d := range l.c.Devices {
		if d.Thing == thing {
			return fmt.Sprintf("devices[%d]", i)
		}
	}
	return "devices"
}
