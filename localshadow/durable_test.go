package localshadow_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

const benchThings = 50

// BenchmarkUpdateDurable measures updates of 1 KiB documents that are on disk when
// they are answered: through the service with 50 things, each with a number of
// requests under way, and beside it one transaction for each update.
func BenchmarkUpdateDurable(b *testing.B) {
	for _, window := range []int{1, 10} {
		b.Run(fmt.Sprintf("50-things-window-%d", window), func(b *testing.B) { benchService(b, window) })
	}
	b.Run("one-transaction-each", benchEach)
}

func benchService(b *testing.B, window int) {
	st := openStation(b, func(_ *sqlite.Options, o *localshadow.Options) { o.Publish = func(string, []byte) {} })
	updates := seed(b, st, benchThings)
	b.ReportAllocs()
	b.ResetTimer()
	var wait sync.WaitGroup
	for thing := range benchThings {
		wait.Add(1)
		go func() {
			defer wait.Done()
			free := make(chan struct{}, window)
			topic := updateTopic(fmt.Sprint(thing))
			for i := thing; i < b.N; i += benchThings {
				free <- struct{}{}
				err := st.Deliver(topic, updates[i%len(updates)], device, func(err error) {
					if err != nil {
						b.Error(err)
					}
					<-free
				})
				if err != nil {
					b.Error(err)
				}
			}
			for range window {
				free <- struct{}{}
			}
		}()
	}
	wait.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
	if commits := st.DB.Stats().Commits; commits > 0 {
		b.ReportMetric(float64(b.N)/float64(commits), "updates/commit")
	}
}

func seed(b *testing.B, st *station, things int) [][]byte {
	d, updates := kilobyte(b)
	for thing := range things {
		if _, err := st.Update(context.Background(), fmt.Sprint(thing), "", []byte(`{"state":{"desired":`+d.Desired+`,"reported":`+d.Reported+`}}`), device); err != nil {
			b.Fatal(err)
		}
	}
	all := make([][]byte, len(updates))
	for i, u := range updates {
		all[i] = []byte(u)
	}
	return all
}

func benchEach(b *testing.B) {
	st := openStation(b)
	updates := seed(b, st, benchThings)
	ctx := context.Background()
	b.ResetTimer()
	for i := range b.N {
		// One at a time: the service has nothing to gather.
		if _, err := st.Update(ctx, fmt.Sprint(i%benchThings), "", updates[i%len(updates)], device); err != nil {
			b.Fatal(err)
		}
		st.take()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
}

// BenchmarkOpen10000 measures the start with 10,000 shadows of 1 KiB, and what the
// process holds then: once with a journal of their first updates only, which is as large
// as they are, and once with a journal that is full.
func BenchmarkOpen10000(b *testing.B) {
	b.Run("young", func(b *testing.B) { benchOpen(b, 0) })
	b.Run("full-journal", func(b *testing.B) { benchOpen(b, 12) })
}

// benchOpen measures the start after a number of rounds in which each shadow was
// updated.
func benchOpen(b *testing.B, rounds int) {
	file := filepath.Join(b.TempDir(), "shadows.db")
	d, updates := kilobyte(b)
	st := openStationAt(b, file, func(_ *sqlite.Options, o *localshadow.Options) { o.Publish = func(string, []byte) {} })
	var wait sync.WaitGroup
	deliver := func(thing int, payload string) {
		wait.Add(1)
		for st.Deliver(updateTopic(fmt.Sprint(thing)), []byte(payload), device, func(error) { wait.Done() }) != nil {
			runtime.Gosched() // as many wait as may
		}
	}
	for i := range 10_000 {
		deliver(i, `{"state":{"desired":`+d.Desired+`,"reported":`+d.Reported+`}}`)
	}
	for round := range rounds {
		for i := range 10_000 {
			deliver(i, updates[round])
		}
	}
	wait.Wait()
	journal := st.Stats().JournalBytes
	st.stop()
	for b.Loop() {
		db, err := sqlite.Open(sqlite.Options{File: file, Migrations: localshadow.Migrations(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		s, err := localshadow.New(localshadow.Options{DB: db, Log: slog.New(slog.DiscardHandler), Now: time.Now})
		if err != nil || s.Stats().Shadows != 10_000 {
			b.Fatal(err, s.Stats())
		}
		b.StopTimer()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MiB-heap")
		b.ReportMetric(residentMiB(b), "MiB-resident")
		b.ReportMetric(float64(journal)/(1<<20), "MiB-journal")
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkAt measures how long it takes to go back over a journal of 200 entries.
func BenchmarkAt(b *testing.B) {
	st := openStation(b, func(_ *sqlite.Options, o *localshadow.Options) { o.Publish = func(string, []byte) {} })
	updates := seed(b, st, benchThings)
	for i := range 199 {
		if _, err := st.Update(context.Background(), "0", "", updates[i%len(updates)], device); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if s, err := st.At(context.Background(), "0", "", 1); err != nil || s.Desired == "" {
			b.Fatal(s, err)
		}
	}
}
