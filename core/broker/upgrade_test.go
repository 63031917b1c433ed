package broker_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"greengate/core/broker"
	"greengate/core/sqlite"
)

// TestRetainedOfAnOlderVersion: a retained message from before its time was
// kept is there after the upgrade, and its time is not known.
func TestRetainedOfAnOlderVersion(t *testing.T) {
	file, log := filepath.Join(t.TempDir(), "sessions.db"), slog.New(slog.DiscardHandler)
	first, err := os.ReadFile("migrations/01-sessions.sql")
	if err != nil {
		t.Fatal(err)
	}
	old, err := sqlite.Open(sqlite.Options{File: file, Migrations: fstest.MapFS{"01-sessions.sql": {Data: first}}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	run(t, old, func() {
		done := make(chan error, 1)
		old.Write(func(tx *sqlite.Tx) error {
			return tx.Exec("INSERT INTO retained (topic, source, qos, payload, properties, expires) VALUES ('t', 'a', 1, x'31', '', 0)")
		}, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
	db, err := sqlite.Open(sqlite.Options{File: file, Migrations: broker.Migrations(), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	run(t, db, func() {
		_, b := build(newAuthority(), everything, func(o *broker.Options) { o.DB = db })
		m, stored, ok := b.RetainedOn("t")
		if !ok || string(m.Payload) != "1" || !stored.IsZero() {
			t.Errorf("got %+v %v %v", m, stored, ok)
		}
	})
}

// run runs a database while f works.
func run(t *testing.T, db *sqlite.DB, f func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	f()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
