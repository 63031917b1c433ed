package telemetry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// Wherever a bit flips in the file, the spool starts: with what SQLite cannot see, or
// restored and told.
func TestFlippedBits(t *testing.T) {
	whole := spoolFile(t)
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	restored := 0
	for n := range 300 {
		at, bit := random.IntN(len(whole)), byte(1)<<random.IntN(8)
		whole[at] ^= bit
		file := filepath.Join(dir, fmt.Sprint(n, ".db"))
		if err := os.WriteFile(file, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		whole[at] ^= bit
		db, err := sqlite.OpenKept(sqlite.Options{File: file, Migrations: telemetry.Migrations()}, sqlite.Keep{Mend: telemetry.Mend})
		if err != nil {
			t.Errorf("bit %#x of byte %d: %v", bit, at, err)
			continue
		}
		restored += len(db.Faults())
		s, err := telemetry.New(telemetry.Options{DB: db.DB, Link: newLink(t), MaxSize: 1 << 20})
		if err != nil {
			t.Errorf("bit %#x of byte %d: %v", bit, at, err)
		} else if held := s.Stats().Messages; held < 100 {
			t.Errorf("bit %#x of byte %d: %d messages are left of 300", bit, at, held)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d of 300 were seen and restored", restored)
	if restored == 0 {
		t.Error("no damage was seen")
	}
}

// spoolFile is the file of a spool with 300 messages in all lanes.
func spoolFile(t *testing.T) (data []byte) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		for i, p := range []telemetry.Priority{telemetry.High, telemetry.Normal, telemetry.Low} {
			r.number(fmt.Sprint("device", i), "t", 0, 100, telemetry.Route{Key: fmt.Sprint("row", i), Priority: p})
		}
		if err := r.db.Copy(context.Background(), r.file+".whole"); err != nil {
			t.Fatal(err)
		}
		var err error
		if data, err = os.ReadFile(r.file + ".whole"); err != nil {
			t.Fatal(err)
		}
	})
	return data
}
