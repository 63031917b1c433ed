package broker_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
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

// TestQueueOfAnOlderVersion: what waited before places were kept comes in its order after
// the upgrade, and after another start under the same ids.
func TestQueueOfAnOlderVersion(t *testing.T) {
	file, log := filepath.Join(t.TempDir(), "sessions.db"), slog.New(slog.DiscardHandler)
	steps := fstest.MapFS{}
	for _, name := range []string{"01-sessions.sql", "02-retained-time.sql"} {
		text, err := os.ReadFile("migrations/" + name)
		if err != nil {
			t.Fatal(err)
		}
		steps[name] = &fstest.MapFile{Data: text}
	}
	old, err := sqlite.Open(sqlite.Options{File: file, Migrations: steps, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	const n = 300 // more than may be under way at once
	run(t, old, func() {
		if err := old.Update(t.Context(), func(tx *sqlite.Tx) error {
			for _, thing := range []string{"b", "c"} {
				if err := tx.Exec("INSERT INTO sessions VALUES (?, 4294967295)", thing); err != nil {
					return err
				}
			}
			for i := range int64(n) {
				for k, thing := range []string{"b", "c"} {
					err := tx.Exec("INSERT INTO queue (n, thing, qos, retain, ids, source, topic, payload, properties, expires)"+
						" VALUES (?, ?, ?, 0, '', 'a', 't', ?, '', 0)", 2*i+int64(k)+1, thing, 1+i%2, strconv.FormatInt(i, 10))
					if err != nil {
						return err
					}
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
	d := &disk{t: t, file: file}
	var first uint16
	d.startOn(everything, func(s *site) {
		b := s.connect("b", keep)
		if g := b.next(); g.payload != "0" {
			t.Errorf("got %+v", g)
		} else {
			first = g.id
		}
	})
	d.startOn(everything, func(s *site) {
		for _, thing := range []string{"b", "c"} {
			c := s.connect(thing, oneByOne)
			for i := range n {
				g := c.next()
				if want := strconv.Itoa(i); g.payload != want || g.qos != byte(1+i%2) || thing == "b" && i == 0 && g.id != first {
					t.Fatalf("%s gets %+v, want %s", thing, g, want)
				}
				if g.qos == 1 {
					c.ack(0x40, g.id)
					continue
				}
				c.ack(0x50, g.id)
				c.expectID(0x62, g.id)
				c.ack(0x70, g.id)
			}
			c.silent()
		}
		s.settled()
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
