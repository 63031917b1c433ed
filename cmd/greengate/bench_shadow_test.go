package main_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// BenchmarkShadowUpdates is how many updates of 1 KiB documents a second 50
// devices get accepted over MQTT, QoS 1, and beside it, on the same disk, what
// the same store comes to without MQTT but with a transaction for each update.
func BenchmarkShadowUpdates(b *testing.B) {
	site := newBenchSite(b, true)
	var ours, alone runs
	var ratios []float64
	for range diskRounds {
		s := startGreengate(b, site)
		t, err := runUpdates(s, site)
		if err != nil {
			b.Fatalf("%v\n%s", err, s.log)
		}
		s.stop()
		peer := updatesAlone(b)
		b.Logf("over MQTT %8.0f updates/s, %5.1f us of CPU for one; one transaction each %8.0f updates/s",
			t.rate(), t.perMessage(), peer.rate())
		ours, alone, ratios = append(ours, t), append(alone, peer), append(ratios, t.rate()/peer.rate())
	}
	slices.Sort(ratios)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours.median(traffic.rate), "updates/s")
	b.ReportMetric(alone.median(traffic.rate), "alone-updates/s")
	b.ReportMetric(ratios[diskRounds/2], "of-alone")
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
