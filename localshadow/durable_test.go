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
	updates := seed(b, st)
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
				err := st.Deliver(topic, updates[i%len(updates)], func(err error) {
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

func seed(b *testing.B, st *station) [][]byte {
	d, updates := kilobyte(b)
	for thing := range benchThings {
		if _, err := st.Update(context.Background(), fmt.Sprint(thing), "", []byte(`{"state":{"desired":`+d.Desired+`,"reported":`+d.Reported+`}}`)); err != nil {
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
	updates := seed(b, st)
	ctx := context.Background()
	b.ResetTimer()
	for i := range b.N {
		// One at a time: the service has nothing to gather.
		if _, err := st.Update(ctx, fmt.Sprint(i%benchThings), "", updates[i%len(updates)]); err != nil {
			b.Fatal(err)
		}
		st.take()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
}

// BenchmarkOpen10000 measures the start with 10,000 shadows of 1 KiB, and what the
// process holds then.
func BenchmarkOpen10000(b *testing.B) {
	file := filepath.Join(b.TempDir(), "shadows.db")
	d, _ := kilobyte(b)
	st := openStationAt(b, file, func(_ *sqlite.Options, o *localshadow.Options) { o.Publish = func(string, []byte) {} })
	var wait sync.WaitGroup
	for i := range 10_000 {
		wait.Add(1)
		payload := []byte(`{"state":{"desired":` + d.Desired + `,"reported":` + d.Reported + `}}`)
		for st.Deliver(updateTopic(fmt.Sprint(i)), payload, func(error) { wait.Done() }) != nil {
			runtime.Gosched() // as many wait as may
		}
	}
	wait.Wait()
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
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
