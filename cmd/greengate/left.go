package main

import (
	"context"
	"fmt"
	"path/filepath"

	"greengate/configs"
	"greengate/core/admin/client"
	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// left is what waits for a cloud that the file has no more. It goes nowhere, and is told and
// counted as what it is; nobody but its owner may give it up.
type left struct {
	telemetry.Left
	file string
	db   *sqlite.Kept // nil: there is nothing to tell of
	err  error        // of the start
}

func spoolFile(c *configs.Config) string { return filepath.Join(c.Data, "spool.db") }

// openLeft looks whether a former cloud section has left messages behind. The spool stays
// open then, so that a backup has it. That it cannot be opened is no reason not to start.
func (g *gateway) openLeft(c *configs.Config) error {
	g.left.file = spoolFile(c)
	if files, err := filesIn(c.Data, "spool.db*"); err != nil || len(files) == 0 {
		return err
	}
	db, err := sqlite.OpenKept(sqlite.Options{File: g.left.file, Log: g.log, Migrations: telemetry.Migrations(), Readers: 1},
		sqlite.Keep{Mend: telemetry.Mend})
	if err == nil {
		err = db.View(context.Background(), func(tx *sqlite.Tx) (err error) {
			g.left.Left, err = telemetry.ReadLeft(tx)
			return err
		})
	}
	if err != nil {
		g.left.err = err
		g.log.Error("it is not known whether messages wait for the cloud", "component", "spool", "err", err)
	}
	if db == nil {
		return nil
	}
	if err == nil && g.left.Messages()+g.left.Quarantined == 0 && len(db.Faults()) == 0 {
		return db.Close()
	}
	g.left.db = db
	g.stores = append(g.stores, store{"spool", g.left.file, db})
	for key, n := range g.left.Content {
		g.router.RestoreRow(key, n)
	}
	if g.left.there() {
		g.log.Warn(g.left.words(), "component", "spool")
	}
	return nil
}

// there tells whether anything is left.
func (l *left) there() bool { return l.Messages()+l.Quarantined > 0 }

// words says what is left.
func (l *left) words() string {
	text := waits(l.Messages()) + " for the cloud"
	switch {
	case l.Messages() == 0:
		text = counted(l.Quarantined, "message") + " in quarantine"
	case l.Quarantined > 0:
		text += fmt.Sprintf(", %d more in quarantine,", l.Quarantined)
	}
	return fmt.Sprintf("%s in %s, and the group file has no cloud section", text, l.file)
}

// next is what to do about it.
func (l *left) next() string {
	if l.Messages() == 0 {
		return "put the cloud section back for `greengate spool requeue` or `discard`; to give them up, stop greengate and delete " + l.file + "*"
	}
	return "put the cloud section back, and they go up; to give them up, stop greengate and delete " + l.file + "*"
}

// waits is "100 messages wait".
func waits(n int64) string {
	verb := " wait"
	if n == 1 {
		verb = " waits"
	}
	return counted(n, "message") + verb
}

// report tells of what is left.
func (l *left) report(s *client.Status) {
	s.Spool.Messages, s.Spool.Bytes, s.Spool.Quarantined = l.Messages(), l.Bytes, l.Quarantined
	switch {
	case l.err != nil:
		s.Faults = append(s.Faults, client.Fault{
			Component: "spool", Message: "it is not known whether messages wait for the cloud: " + l.err.Error(), NextStep: aboutDisk(l.err.Error()),
		})
	case l.there():
		s.Faults = append(s.Faults, client.Fault{Component: "spool", Message: l.words(), NextStep: l.next()})
	}
}

// refusal is why the commands for the spool do nothing without a cloud section.
func (l *left) refusal() error {
	switch {
	case l.err != nil:
		return fmt.Errorf("the group file has no cloud section, and it is not known whether messages wait for one: %w", l.err)
	case l.there():
		return fmt.Errorf("%s (%s)", l.words(), l.next())
	}
	return errNoCloud
}
