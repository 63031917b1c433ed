package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"greengate/core/admin/client"
	"greengate/core/audit"
)

// auditFile is the audit log in the data folder.
const auditFile = "audit.log"

// auditEvery is how often the rights in force are compared with the audit log when nobody has
// asked for a change: a certificate counts no more once its successor was used.
const auditEvery = time.Hour

// auditor keeps the audit log: what anybody may do, since when, and who asked for it. What it
// cannot write it writes with the next change, for it compares with what the log has.
type auditor struct {
	log    *audit.Log
	rights func() ([]string, error)
	say    *slog.Logger

	mu     sync.Mutex
	failed error
	since  time.Time
}

func (g *gateway) newAuditor(data string) *auditor {
	return &auditor{
		log: audit.At(filepath.Join(data, auditFile)),
		rights: func() ([]string, error) {
			now := g.current()
			now.config = working(g.begun, now.config) // what waits for a restart gives no right yet
			return rights(now, g.identities.Admitted())
		},
		say: g.log.With("component", "audit"),
	}
}

// Run writes what has changed since the gateway last ran, and looks again each hour.
func (a *auditor) Run(ctx context.Context) error {
	a.record("start", "")
	tick := time.NewTicker(auditEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.record("found", "")
		case <-ctx.Done():
			return nil
		}
	}
}

// record writes down what may be done now and might not before, and the other way round. A log
// that cannot be written stops nothing, and is a fault in the status until it can.
func (a *auditor) record(event, by string) {
	list, err := a.rights()
	var e audit.Entry
	var changed bool
	if err == nil {
		e, changed, err = a.log.Change(audit.Entry{Time: time.Now().UTC(), Event: event, By: by}, list)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		if a.failed == nil {
			a.since = time.Now()
			a.say.Error("a change of rights was not written down; it will be with the next one", "err", err)
		}
		a.failed = err
		return
	}
	a.failed = nil
	if changed {
		a.say.Info("rights have changed", "event", e.Event, "by", by, "seq", e.Seq,
			"added", len(e.Added), "removed", len(e.Removed), "sum", e.Sum)
	}
}

func (a *auditor) report(s *client.Status) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed != nil {
		s.Faults = append(s.Faults, client.Fault{
			Component: "audit", Message: "a change of rights was not written down: " + a.failed.Error(), Since: &a.since,
			NextStep: "make room on the disk, or look at the file with `greengate audit`",
		})
	}
}
