package broker_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"greengate/core/broker"
	"greengate/core/router"
	"greengate/core/sqlite"
)

// disk is a database that a test opens again and again.
type disk struct {
	t    *testing.T
	file string
	stop func()
	// maxBytes is the room on it; 0: more than enough.
	maxBytes int64
	db       *sqlite.DB // while it is open
}

// open runs the database and returns what puts a broker on it.
func (d *disk) open() func(*broker.Options) {
	d.t.Helper()
	db, err := sqlite.Open(sqlite.Options{File: d.file, Migrations: broker.Migrations(), Log: slog.New(slog.DiscardHandler), MaxBytes: d.maxBytes})
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	d.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			d.t.Error(err)
		}
	}
	d.db = db
	return func(o *broker.Options) { o.DB = db }
}

// rows counts those of a table.
func (d *disk) rows(table string) (n int64) {
	d.t.Helper()
	err := d.db.View(context.Background(), func(tx *sqlite.Tx) error {
		rows, err := tx.Query("SELECT count(*) FROM " + table)
		if err != nil {
			return err
		}
		defer rows.Close()
		rows.Next()
		return rows.Scan(&n)
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

func newDisk(t *testing.T) *disk {
	return &disk{t: t, file: filepath.Join(t.TempDir(), "sessions.db")}
}

// startOn runs a broker on the disk; restart ends both.
func (d *disk) startOn(gate router.Gate, body func(s *site)) {
	d.t.Helper()
	d.t.Run("life", func(t *testing.T) {
		on := d.open()
		t.Cleanup(d.stop) // after the broker
		body(start(t, gate, on))
	})
}

var keep = connectOptions{persist: true}

// Sessions, what waits for them, and retained messages survive a restart, in
// order, and the ledger goes on from there.
func TestRestart(t *testing.T) {
	const n = 500
	d := newDisk(t)
	d.startOn(everything, func(s *site) {
		b := s.connect("b", keep)
		b.subscribe(1, "t", "gone")
		b.write(packet(0xA2, b.id(), text("gone")))
		b.expect(0xB0)
		b.conn.Close()
		s.until("b is away", func() bool { return !s.connected("b") })
		a := s.connect("a", connectOptions{v5: true})
		for i := range n {
			a.send("t", 1, fmt.Sprint(i))
		}
		for range n {
			a.expect(0x40)
		}
		a.publish("kept", 1, "retained", true)
		a.publish("kept/not", 1, "retained", true)
		a.publish("kept/not", 1, "", true)
	})
	d.startOn(everything, func(s *site) {
		if c := s.router.Ledger(); c.Waiting != n || c.Accepted != n {
			t.Errorf("after the restart: %+v", c)
		}
		b, present := s.connectSession("b", keep)
		if !present {
			t.Fatal("the session is gone")
		}
		for i := range n {
			if g := b.message(); g.payload != fmt.Sprint(i) {
				t.Fatalf("message %d is %q", i, g.payload)
			}
		}
		b.silent()
		s.settled()
		c := s.connect("c")
		c.subscribe(1, "kept/#")
		if g := c.message(); g.topic != "kept" || g.payload != "retained" || !g.retain {
			t.Errorf("got %+v", g)
		}
		c.silent()
		s.connect("a").publish("t", 1, "the subscription lives")
		b.message()
		s.settled()
	})
	d.startOn(everything, func(s *site) {
		b, present := s.connectSession("b", keep)
		if !present {
			t.Error("the session is gone")
		}
		b.silent() // what was acknowledged is not sent again
		s.connect("b").conn.Close()
	})
	d.startOn(everything, func(s *site) {
		if _, present := s.connectSession("b", keep); present {
			t.Error("a clean session left something behind")
		}
	})
}

// What waits under a row that the table of the new start lacks is dropped and
// counted; a retained message waits for a table that allows it.
func TestRestartWithAnotherTable(t *testing.T) {
	d := newDisk(t)
	d.startOn(everything, func(s *site) {
		b := s.connect("b", keep)
		b.subscribe(1, "#")
		b.conn.Close()
		s.until("b is away", func() bool { return !s.connected("b") })
		s.connect("a").publish("t", 1, "x", true)
	})
	d.startOn(rows{{"a", "other", "b"}}, func(s *site) {
		if n := s.router.Ledger(); n.Dropped != 1 || n.Waiting != 0 || !noted(s, "row-gone") {
			t.Errorf("ledger %+v", n)
		}
		b := s.connect("b", keep)
		b.subscribe(1, "t")
		b.silent()
	})
}

// A publish is acknowledged when its message is safe: acknowledged by the
// client that is there, or on disk.
func TestAcknowledgedOnDisk(t *testing.T) {
	d := newDisk(t)
	d.startOn(everything, func(s *site) {
		b := s.connect("b", keep)
		b.subscribe(1, "t")
		a := s.connect("a")
		// b does not acknowledge: the disk does.
		a.publish("t", 1, "unacknowledged")
		if first, _, err := b.read(); err != nil || first>>4 != 3 {
			t.Fatal(err)
		}
		b.conn.Close()
	})
	d.startOn(everything, func(s *site) {
		b := s.connect("b", keep)
		if g := b.message(); g.payload != "unacknowledged" {
			t.Errorf("got %+v", g)
		}
		s.settled()
	})
}

// A removed device leaves nothing on disk.
func TestRemovedDeviceIsForgotten(t *testing.T) {
	d := newDisk(t)
	d.startOn(everything, func(s *site) {
		b := s.connect("b", keep)
		b.subscribe(1, "t")
		b.conn.Close()
		s.until("b is away", func() bool { return !s.connected("b") })
		s.connect("a").publish("t", 1, "x")
		s.broker.Recheck(func(thing string) bool { return thing != "b" })
		s.settled()
	})
	d.startOn(everything, func(s *site) {
		if n := s.router.Ledger(); n != (router.Counts{}) {
			t.Errorf("left behind: %+v", n)
		}
		if _, present := s.connectSession("b", keep); present {
			t.Error("the session is still there")
		}
	})
}
