package main_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// BenchmarkShadowUpdates is how many updates of 1 KiB documents a second 50
// devices get accepted over MQTT, QoS 1, and beside it, on the same disk, what
// the same store comes to without MQTT but with a transaction for each update, and
// the bare UPDATE of a row with such a document, 100 a commit.
func BenchmarkShadowUpdates(b *testing.B) {
	site := newBenchSite(b, true)
	var ours, alone, bare runs
	var ofAlone, ofBare []float64
	for range diskRounds {
		s := startGreengate(b, site)
		t, err := runUpdates(s, site)
		if err != nil {
			b.Fatalf("%v\n%s", err, s.log)
		}
		s.stop()
		one, row := updatesAlone(b), updatesBare(b)
		b.Logf("over MQTT %8.0f updates/s, %5.1f us of CPU for one; one transaction each %8.0f updates/s; bare rows %8.0f/s",
			t.rate(), t.perMessage(), one.rate(), row.rate())
		ours, alone, bare = append(ours, t), append(alone, one), append(bare, row)
		ofAlone, ofBare = append(ofAlone, t.rate()/one.rate()), append(ofBare, t.rate()/row.rate())
	}
	slices.Sort(ofAlone)
	slices.Sort(ofBare)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours.median(traffic.rate), "updates/s")
	b.ReportMetric(alone.median(traffic.rate), "alone-updates/s")
	b.ReportMetric(bare.median(traffic.rate), "bare-updates/s")
	b.ReportMetric(ofAlone[diskRounds/2], "of-alone")
	b.ReportMetric(ofBare[diskRounds/2], "of-bare")
	b.ReportMetric(ours.median(traffic.perMessage), "cpu-us/update")
}

// diskRounds are the rounds of what waits for the disk. A virtual one is three
// times as fast in one minute as in the next, so that the two are compared in
// each round, and the median of that counts.
const diskRounds = 5

// updatesAlone has as many callers as there are devices update one shadow each,
// with a commit for every update.
func updatesAlone(b *testing.B) traffic {
	b.Helper()
	store := openStore(b, filepath.Join(b.TempDir(), "shadows.db"), 1)
	defer store.stop()
	var accepted atomic.Uint64
	var stopped atomic.Bool
	var callers sync.WaitGroup
	for i := range shadowDevices {
		callers.Go(func() {
			update := kilobyte()
			for n := uint64(0); !stopped.Load(); n++ {
				if _, err := store.Update(context.Background(), machine(i), "", update, benched); err != nil {
					b.Error(err)
					return
				}
				accepted.Add(1)
				update = appendPatch(update[:0], n)
			}
		})
	}
	<-time.After(warmUp)
	began, before := time.Now(), accepted.Load()
	<-time.After(measured)
	t := traffic{delivered: accepted.Load() - before, took: time.Since(began)}
	stopped.Store(true)
	callers.Wait()
	return t
}

// The bare rows: as many as there are devices in a large group, of the size of a
// document, so many a commit.
const (
	bareRows   = 1000
	bareBytes  = 914
	bareCommit = 100
)

// updatesBare writes rows of such a table, prepared, each commit handed in while the
// one before is on its way. SQLite writes no page that stays as it is, so that no
// document is like the one before.
func updatesBare(b *testing.B) traffic {
	b.Helper()
	db, err := sqlite.Open(sqlite.Options{
		File: filepath.Join(b.TempDir(), "bare.db"), MaxBatch: 1, Queue: 2, Log: slog.New(slog.DiscardHandler),
		Migrations: fstest.MapFS{"01-bare.sql": {Data: []byte(`CREATE TABLE documents (id INTEGER PRIMARY KEY, document BLOB NOT NULL) STRICT`)}},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ran sync.WaitGroup
	ran.Go(func() {
		if err := db.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	defer ran.Wait()
	defer cancel()
	document := make([]byte, bareBytes)
	write := func(sql string, from, n int) func(*sqlite.Tx) error {
		return func(tx *sqlite.Tx) error {
			for i := range n {
				rand.Read(document[:16])
				if err := tx.Exec(sql, document, (from+i)%bareRows); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if err := db.Update(ctx, write(`INSERT INTO documents (document, id) VALUES (?, ?)`, 0, bareRows)); err != nil {
		b.Fatal(err)
	}
	var rows atomic.Uint64
	var stopped atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		for from := 0; !stopped.Load(); from += bareCommit {
			db.Write(write(`UPDATE documents SET document = ? WHERE id = ?`, from, bareCommit), func(err error) {
				if err != nil {
					b.Error(err)
				}
				rows.Add(bareCommit)
			})
		}
	})
	<-time.After(warmUp)
	began, before := time.Now(), rows.Load()
	<-time.After(measured)
	t := traffic{delivered: rows.Load() - before, took: time.Since(began)}
	stopped.Store(true)
	writer.Wait()
	return t
}

// benched is whom the updates of the measurements are from.
var benched = localshadow.Source{Kind: "device", Name: "bench"}

// store is the shadow service on a database of its own.
type store struct {
	*localshadow.Service
	stop func()
}

// openStore opens the store in file. batch is how many updates may share a
// commit, 0 for as many as the gateway lets.
func openStore(tb testing.TB, file string, batch int) store {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(sqlite.Options{
		File: file, Migrations: localshadow.Migrations(), Log: log, MaxBatch: batch,
		Queue: 2 * localshadow.DefaultBounds().Pending,
	})
	if err != nil {
		tb.Fatal(err)
	}
	service, err := localshadow.New(localshadow.Options{DB: db, Publish: func(string, []byte) {}, Log: log})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	serving, cancelServing := context.WithCancel(ctx)
	errs := make([]error, 2)
	var ran, served sync.WaitGroup
	ran.Go(func() { errs[0] = db.Run(ctx) })
	served.Go(func() { errs[1] = service.Run(serving) })
	return store{service, func() { // the database runs longest
		cancelServing()
		served.Wait()
		cancel()
		ran.Wait()
		if err := errors.Join(errs...); err != nil {
			tb.Error(err)
		}
	}}
}

// BenchmarkManyShadows is the start of the gateway, until its first MQTT
// connection, with 10,000 shadows of 1 KiB in its store, ten for each of the
// 1,000 devices, and its memory some seconds later.
func BenchmarkManyShadows(b *testing.B) {
	const each = 10
	site := newBenchSite(b, true)
	data := filepath.Join(site.dir, "data")
	if err := os.MkdirAll(data, 0o750); err != nil {
		b.Fatal(err)
	}
	store := openStore(b, filepath.Join(data, "shadows.db"), 0)
	var writers sync.WaitGroup
	for part := range each {
		writers.Go(func() {
			name := fmt.Sprint("part", part)
			if part == 0 {
				name = "" // the classic one
			}
			for _, thing := range site.things {
				if _, err := store.Update(b.Context(), thing, name, kilobyte(), benched); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	store.stop()
	var starts []float64
	var idle float64
	for range rounds {
		began := time.Now()
		s := startGreengate(b, site)
		starts = append(starts, time.Since(began).Seconds()*1e3)
		<-time.After(settled)
		idle = max(idle, s.resident())
		if n := s.status(site).Shadows.Count; n != int64(each*len(site.things)) {
			b.Fatalf("the gateway has %d shadows", n)
		}
		s.stop()
	}
	slices.Sort(starts)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(starts[rounds/2], "ms/start")
	b.ReportMetric(starts[rounds-1], "ms-longest")
	b.ReportMetric(idle, "idle-MB")
}
