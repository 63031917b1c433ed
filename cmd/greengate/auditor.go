package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"greengate/core/admin/client"
	"greengate/core/audit"
)

// auditFile is the audit log in the data folder.
const auditFile = "audit.log"

const (
	// auditEvery is how often the rights in force are compared with the audit log when nobody has
	// asked for a change: a certificate counts no more once its successor was used.
	auditEvery = time.Hour
	// auditRetry is how often a log that could not be written is tried again.
	auditRetry = 10 * time.Second
)

// auditor keeps the audit log: what anybody may do, since when, and who asked for it. What it
// cannot write waits in memory, each change by itself, until it can.
type auditor struct {
	log    rightsLog
	rights func() ([]string, error)
	say    *slog.Logger
	wake   chan struct{} // has Run try again soon

	writing sync.Mutex // one entry after the other
	begun   bool
	waiting waitingRights

	mu     sync.Mutex // of what the status shows, which does not wait for the disk
	failed error
	since  time.Time
	waits  int // changes
}

// rightsLog is what the auditor asks of the audit log.
type rightsLog interface {
	Append(audit.Entry) (audit.Entry, error)
	Change(e audit.Entry, rights []string) (written audit.Entry, ok bool, err error)
	Rights() (map[string]bool, error)
}

func (g *gateway) newAuditor(data string) *auditor {
	return &auditor{
		log: audit.At(filepath.Join(data, auditFile)),
		rights: func() ([]string, error) {
			now := g.current()
			now.config = working(g.begun, now.config) // what waits for a restart gives no right yet
			return rights(now, g.identities.Admitted())
		},
		say:  g.log.With("component", "audit"),
		wake: make(chan struct{}, 1),
	}
}

// Run writes what has changed since the gateway last ran, and looks again each hour.
func (a *auditor) Run(ctx context.Context) error {
	a.record("found", "")
	for {
		select {
		case <-time.After(a.pause()):
			a.look()
		case <-a.wake: // the pause is shorter now
		case <-ctx.Done():
			a.end()
			return nil
		}
	}
}

func (a *auditor) pause() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed != nil {
		return auditRetry
	}
	return auditEvery
}

// look writes what waits, and when it can, what has changed though nobody has asked.
func (a *auditor) look() {
	a.writing.Lock()
	err := a.writeWaiting()
	if err != nil {
		a.tell(err)
	}
	a.writing.Unlock()
	if err == nil {
		a.record("found", "")
	}
}

// record writes down what may be done now and might not before, and the other way round. The first
// of a run is its start. A log that cannot be written stops nothing, and is a fault in the status
// until it can.
func (a *auditor) record(event, by string) {
	a.writing.Lock()
	defer a.writing.Unlock()
	if !a.begun {
		event, by, a.begun = "start", "", true
	}
	list, err := a.rights()
	if err == nil {
		err = a.write(audit.Entry{Time: time.Now().UTC(), Event: event, By: by}, list)
	}
	a.tell(err)
}

// write writes what waits and then what has changed; or it waits, too. The caller holds a.writing.
func (a *auditor) write(e audit.Entry, list []string) error {
	err := a.writeWaiting()
	if err == nil {
		var written audit.Entry
		var changed bool
		if written, changed, err = a.log.Change(e, list); err == nil {
			a.waiting = waitingRights{}
			if changed {
				a.sayChanged(written)
			}
			return nil
		}
	}
	if kept, ok := a.waiting.keep(a.log, e, list); ok {
		a.say.Warn("a change of rights waits to be written down", "event", kept.Event, "by", kept.By,
			"added", len(kept.Added), "removed", len(kept.Removed), "err", err)
	}
	return err
}

// writeWaiting writes the entries that wait, in their order, as far as it can. The caller holds
// a.writing.
func (a *auditor) writeWaiting() error {
	for len(a.waiting.entries) > 0 {
		written, err := a.log.Append(a.waiting.entries[0])
		if err != nil {
			return err
		}
		a.waiting.entries = a.waiting.entries[1:]
		a.sayChanged(written)
	}
	return nil
}

// sayChanged gives the journal the sum of an entry; see the security guide.
func (a *auditor) sayChanged(e audit.Entry) {
	a.say.Info("rights have changed", "event", e.Event, "by", e.By, "seq", e.Seq,
		"added", len(e.Added), "removed", len(e.Removed), "sum", e.Sum)
}

// tell keeps for the status how it went. The caller holds a.writing.
func (a *auditor) tell(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil && a.failed == nil {
		a.since = time.Now()
		a.say.Error("the audit log cannot be written; what changes waits in memory until it can", "err", err)
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
	a.failed, a.waits = err, len(a.waiting.entries)
}

// end tries once more to write what waits, and says what is lost.
func (a *auditor) end() {
	a.writing.Lock()
	defer a.writing.Unlock()
	if err := a.writeWaiting(); err != nil {
		a.say.Error("changes of rights were not written down; the next start finds what they add up to",
			"changes", len(a.waiting.entries), "err", err)
	}
}

func (a *auditor) report(s *client.Status) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed != nil {
		s.Faults = append(s.Faults, client.Fault{
			Component: "audit", Message: fmt.Sprintf("the audit log cannot be written, %s: %v", a.what(), a.failed), Since: &a.since,
			NextStep: "make room on the disk, or look at the file with `greengate audit`",
		})
	}
}

// what tells what waits. The caller holds a.mu.
func (a *auditor) what() string {
	if a.waits == 1 {
		return "and a change of rights waits"
	}
	return fmt.Sprintf("and %s of rights wait", counted(int64(a.waits), "change"))
}
