package broker_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"greengate/core/broker"
	"greengate/core/sqlite"
)

// Wherever a bit flips in the file, the broker starts, and devices are served.
func TestFlippedBits(t *testing.T) {
	d := newDisk(t)
	d.startOn(everything, func(s *site) {
		b := s.connect("b", keep)
		b.subscribe(1, "t", "u", "v/#")
		b.conn.Close()
		s.until("b is away", func() bool { return !s.connected("b") })
		a := s.connect("a")
		for i := range 50 {
			a.publish("t", 1, fmt.Sprint(i), i%10 == 0)
		}
	})
	whole, err := os.ReadFile(d.file)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 60 {
		at, bit := random.IntN(len(whole)), byte(1)<<random.IntN(8)
		t.Run(fmt.Sprintf("bit %#x of byte %d", bit, at), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "sessions.db")
			whole[at] ^= bit
			err := os.WriteFile(file, whole, 0o600)
			whole[at] ^= bit
			if err != nil {
				t.Fatal(err)
			}
			db, err := sqlite.OpenKept(sqlite.Options{File: file, Migrations: broker.Migrations()}, sqlite.Keep{Mend: broker.Mend})
			if err != nil {
				t.Fatal(err)
			}
			restored := &disk{t: t, file: file}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			restored.startOn(everything, func(s *site) {
				s.connect("b", keep)
				c := s.connect("c", keep)
				c.subscribe(1, fmt.Sprint("new/", n))
				s.connect("a").send(fmt.Sprint("new/", n), 1, "word")
				if g := c.message(); g.payload != "word" {
					t.Errorf("got %+v", g)
				}
			})
		})
	}
}

// A session whose row is lost is there again, for the sake of what waits for it.
func TestMend(t *testing.T) {
	d := newDisk(t)
	d.startOn(everything, func(s *site) {
		for _, thing := range []string{"b", "c"} {
			x := s.connect(thing, keep)
			x.subscribe(1, thing)
			x.conn.Close()
		}
		s.until("both are away", func() bool { return !s.connected("b") && !s.connected("c") })
		s.connect("a").publish("b", 1, "word")
	})
	db, err := sqlite.Open(sqlite.Options{File: d.file, Migrations: broker.Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = db.Run(t.Context()) }()
	if err := db.Update(t.Context(), func(tx *sqlite.Tx) error {
		if err := tx.Exec("DELETE FROM sessions"); err != nil {
			return err
		}
		return broker.Mend(tx)
	}); err != nil {
		t.Fatal(err)
	}
	var things string
	if err := db.View(t.Context(), func(tx *sqlite.Tx) error {
		return tx.QueryRow("SELECT group_concat(thing || ' ' || expiry, ', ') FROM (SELECT * FROM sessions ORDER BY thing)").Scan(&things)
	}); err != nil || things != "b 604800, c 604800" {
		t.Errorf("sessions %q (%v)", things, err)
	}
}
