package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"greengate/core/admin/client"
)

// probation watches a daemon that has taken up a new group file.
type probation struct {
	daemon *client.Client
	before *client.Status
	file   string
	cut    []client.PlanCut // devices that the file is meant to cut off
	applyOptions
}

// Times of a probation.
const (
	lookAgain = 500 * time.Millisecond
	// settling is how long what is wrong may last: a client whose connection
	// broke comes back, a daemon that is busy answers later.
	settling = 10 * time.Second
)

var errInterrupted = errors.New("the command was interrupted before the end of the probation")

// watch has the daemon take the file up, and returns the generation in force
// once the probation is over. The error says why the file should go.
func (p *probation) watch(ctx context.Context) (uint64, error) {
	done, err := p.daemon.Reload(ctx)
	if ctx.Err() != nil {
		return 0, errInterrupted
	}
	if err != nil {
		return 0, fmt.Errorf("the daemon did not take it up: %w", err)
	}
	end := time.Now().Add(p.probation)
	if p.probation > 0 {
		fmt.Fprintf(p.progress, "%s is in force on probation, generation %d, until %s; Ctrl-C goes back\n", p.file, done.Generation, end.Format(until(p.probation)))
	}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	var wrongSince time.Time
	for p.probation > 0 {
		wrong := p.look(ctx, done.Generation)
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return 0, errInterrupted
		case wrong == nil && now.After(end):
			return done.Generation, nil
		case wrong == nil:
			wrongSince = time.Time{}
		case wrongSince.IsZero():
			wrongSince = now
		}
		if wrong != nil && (now.After(end) || now.Sub(wrongSince) >= settling) {
			return 0, wrong
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return done.Generation, nil
}

// until is how an end is written that is so far away.
func until(left time.Duration) string {
	if left < 12*time.Hour {
		return time.TimeOnly
	}
	return time.DateTime
}

// look returns what is wrong now and was not before.
func (p *probation) look(ctx context.Context, generation uint64) error {
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	now, err := p.daemon.Status(ctx)
	if err != nil {
		return err
	}
	if now.Config.Generation < generation {
		return errors.New("the daemon has started anew") // its tables are counted from the start
	}
	var wrong []string
	for _, l := range p.before.Listeners {
		if !slices.Contains(now.Listeners, l) {
			wrong = append(wrong, fmt.Sprintf("nobody listens on %s any more (%s)", l.Address, l.Service))
		}
	}
	if p.before.Cloud.Connected && !now.Cloud.Connected {
		wrong = append(wrong, "the link to the cloud is lost: "+now.Cloud.Error)
	}
	if lost := p.lost(now); len(lost) > p.away {
		wrong = append(wrong, "devices have lost their connection: "+strings.Join(lost, ", "))
	}
	for _, f := range now.Faults {
		if p.isNew(f) {
			wrong = append(wrong, f.Component+": "+f.Message)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, "\n"))
}

// lost lists the devices that were connected, should be and are not.
func (p *probation) lost(now *client.Status) (lost []string) {
	connected := map[string]bool{}
	for _, d := range now.Devices {
		connected[d.Thing] = d.Connected
	}
	for _, c := range p.cut {
		connected[c.Thing] = true // as it should be
	}
	for _, d := range p.before.Devices {
		if d.Connected && !connected[d.Thing] {
			lost = append(lost, d.Thing)
		}
	}
	return lost
}

// isNew reports whether a fault came with the file. That a key waits for a
// restart was in the plan.
func (p *probation) isNew(f client.Fault) bool {
	if f.Component == "config" && strings.HasSuffix(f.Message, notInForce) {
		return false
	}
	return !slices.ContainsFunc(p.before.Faults, func(b client.Fault) bool {
		return b.Component == f.Component && kindOf(b.Message) == kindOf(f.Message)
	})
}

// kindOf is a fault without its figures: that more messages wait than before does
// not make it another one.
func kindOf(message string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, message)
}
