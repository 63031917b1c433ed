package telemetry_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"greengate/core/message"
	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// newBench runs a spool without a policy in the way.
func newBench(b testing.TB, file string, o telemetry.Options) (*telemetry.Spool, *sqlite.DB) {
	db, err := sqlite.Open(sqlite.Options{File: file, Migrations: telemetry.Migrations()})
	if err != nil {
		b.Fatal(err)
	}
	o.DB, o.MaxSize = db, 64<<30
	if o.Link == nil {
		o.Link = newLink(b)
	}
	s, err := telemetry.New(o)
	if err != nil {
		b.Fatal(err)
	}
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	dbCtx, cancelDB := context.WithCancel(context.Background())
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			b.Error(err)
		}
		cancelDB()
	})
	running.Go(func() {
		if err := db.Run(dbCtx); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(func() { cancel(); running.Wait() })
	return s, db
}

var benchPayload = bytes.Repeat([]byte("p"), 200)

// Drain of a backlog with a round trip and nothing but the window as limit.
func BenchmarkDrainFar(b *testing.B) {
	for _, window := range []int{100, 1000} {
		b.Run(fmt.Sprintf("rtt=20ms/window=%d", window), func(b *testing.B) {
			l := newLink(b)
			l.window = window
			settled := make(chan int, 1024)
			s, _ := newBench(b, filepath.Join(b.TempDir(), "spool.db"), telemetry.Options{
				Link: l, Settled: func(s telemetry.Settlement) { settled <- s.N }, Bounds: telemetry.Bounds{Unsettled: window + 200},
			})
			spool(b, s, b.N)
			b.ResetTimer()
			start := time.Now()
			l.connect()
			for n := 0; n < b.N; n += <-settled {
			}
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "msg/s")
		})
	}
}

// spool puts n messages onto the disk.
func spool(b testing.TB, s *telemetry.Spool, n int) {
	slots := make(chan struct{}, 2000)
	for i := range n {
		slots <- struct{}{}
		m := message.Message{Source: message.DeviceEndpoint("d"), Topic: fmt.Sprint("t", i%10), Payload: benchPayload}
		if err := s.Put(&m, telemetry.Route{Key: "r"}, func(error) { <-slots }); err != nil {
			b.Fatal(err)
		}
	}
	for range cap(slots) {
		slots <- struct{}{}
	}
}

// A backlog of a million: what it takes of memory, and the time until a new start is
// ready and has sent its first message.
func BenchmarkMillion(b *testing.B) {
	const n = 1_000_000
	file := filepath.Join(b.TempDir(), "spool.db")
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	before := heap()
	b.Run("fill", func(b *testing.B) {
		s, _ := newBench(b, file, telemetry.Options{})
		start := time.Now()
		for range b.N {
			spool(b, s, n)
		}
		b.ReportMetric(float64(b.N*n)/time.Since(start).Seconds(), "msg/s")
		b.ReportMetric(heap()-before, "MiB-heap")
		b.ReportMetric(float64(s.Stats().Messages), "waiting")
	})
	b.Run("restart", func(b *testing.B) {
		for range b.N {
			l := newLink(b)
			l.rtt = 0
			l.connect()
			first := make(chan struct{})
			var once sync.Once
			l.fate = func(*telemetry.Publish, int) fate { once.Do(func() { close(first) }); return fate{} }
			start := time.Now()
			db, err := sqlite.Open(sqlite.Options{File: file, Migrations: telemetry.Migrations()})
			if err != nil {
				b.Fatal(err)
			}
			s, err := telemetry.New(telemetry.Options{DB: db, Link: l, MaxSize: 64 << 30})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			var running sync.WaitGroup
			running.Go(func() { _ = s.Run(ctx) })
			dbCtx, cancelDB := context.WithCancel(context.Background())
			running.Go(func() { _ = db.Run(dbCtx) })
			<-first
			b.ReportMetric(time.Since(start).Seconds()*1000, "ms-to-first")
			start = time.Now()
			st := s.Stats()
			b.ReportMetric(time.Since(start).Seconds()*1000, "ms-stats")
			b.ReportMetric(float64(st.Messages), "waiting")
			cancel()
			cancelDB()
			running.Wait()
		}
	})
}
