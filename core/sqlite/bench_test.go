package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
)

// The row of a spool, 200 bytes of payload.
var benchSchema = fstest.MapFS{"01-spool.sql": {Data: []byte(`
CREATE TABLE spool (
	id      INTEGER PRIMARY KEY,
	source  TEXT NOT NULL,
	topic   TEXT NOT NULL,
	at      INTEGER NOT NULL,
	payload BLOB NOT NULL
)`)}}

var benchPayload = make([]byte, 200)

func insertRow(tx *Tx) error {
	return tx.Exec("INSERT INTO spool (source, topic, at, payload) VALUES (?, ?, ?, ?)",
		"GG_Sensor", "sensors/GG_Sensor/temperature", 1764000000000, benchPayload)
}

func benchDB(b *testing.B, batch int) *DB {
	db, err := Open(Options{File: filepath.Join(b.TempDir(), "bench.db"), Migrations: benchSchema, MaxBatch: batch})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- db.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	return db
}

// reportRows gives the rate and the rows that shared a commit.
func reportRows(b *testing.B, db *DB) {
	s := db.Stats()
	b.ReportMetric(float64(s.Functions)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(s.Functions)/float64(s.Commits), "rows/commit")
}

// BenchmarkUpdate has callers that each wait for their row to be on the disk, in
// groups and, in the same run, with a commit for each.
func BenchmarkUpdate(b *testing.B) {
	for _, callers := range []int{1, 8, 64, 512} {
		for _, way := range []struct {
			name  string
			batch int
		}{{"alone", 1}, {"grouped", 0}} {
			b.Run(fmt.Sprintf("%s/callers=%d", way.name, callers), func(b *testing.B) {
				db := benchDB(b, way.batch)
				b.ReportAllocs()
				b.ResetTimer()
				share(b, callers, func() error { return db.Update(b.Context(), insertRow) })
				reportRows(b, db)
			})
		}
	}
}

// share has b.N calls made by callers.
func share(b *testing.B, callers int, call func() error) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

// BenchmarkWrite has one caller that does not wait, as a device that publishes
// QoS 1 with a window of so many messages.
func BenchmarkWrite(b *testing.B) {
	for _, window := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			db := benchDB(b, 0)
			room := make(chan struct{}, window)
			done := func(err error) {
				if err != nil {
					b.Error(err)
				}
				<-room
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				room <- struct{}{}
				db.Write(insertRow, done)
			}
			for range window {
				room <- struct{}{}
			}
			reportRows(b, db)
		})
	}
}

// BenchmarkFile is the limit to compare with: the payloads of 64 callers appended
// to a bare file, in groups in the same way, with one fsync each.
func BenchmarkFile(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "bench.log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	queue := make(chan chan struct{}, 1024)
	go func() {
		for first := range queue {
			group := []chan struct{}{first}
			for len(queue) > 0 {
				group = append(group, <-queue)
			}
			if _, err := f.Write(make([]byte, len(group)*(len(benchPayload)+40))); err != nil {
				b.Error(err)
			}
			if err := f.Sync(); err != nil {
				b.Error(err)
			}
			for _, done := range group {
				close(done)
			}
		}
	}()
	b.ResetTimer()
	share(b, 64, func() error {
		done := make(chan struct{})
		queue <- done
		<-done
		return nil
	})
	close(queue)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
