package telemetry_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
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

// callers has n messages given to put by so many callers, each with so many that wait
// for their done.
func callers(b *testing.B, number, window int, put func(caller int, done func())) {
	b.ResetTimer()
	start := time.Now()
	var all sync.WaitGroup
	for c := range number {
		share := b.N / number
		if c < b.N%number {
			share++
		}
		all.Go(func() {
			slots := make(chan struct{}, window)
			for range share {
				slots <- struct{}{}
				put(c, func() { <-slots })
			}
			for range window {
				slots <- struct{}{}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "msg/s")
}

// intoSpool is the put of the spool.
func intoSpool(b *testing.B) func(int, func()) {
	s, _ := newBench(b, filepath.Join(b.TempDir(), "spool.db"), telemetry.Options{})
	return func(c int, done func()) {
		m := message.Message{Source: message.DeviceEndpoint(fmt.Sprint("device", c)), Topic: fmt.Sprint("sensors/device", c), Payload: benchPayload}
		err := s.Put(&m, telemetry.Route{Key: "sensors/${from}/# to cloud"}, func(err error) {
			if err != nil {
				b.Error(err)
			}
			done()
		})
		if err != nil {
			b.Error(err)
		}
	}
}

// intoCommits is the peer that commits each message by itself, in the same database.
func intoCommits(b *testing.B) func(int, func()) {
	_, db := newBench(b, filepath.Join(b.TempDir(), "spool.db"), telemetry.Options{})
	var one sync.Mutex
	seq := 0
	return func(c int, done func()) {
		one.Lock()
		defer one.Unlock()
		seq++
		err := db.Update(context.Background(), func(tx *sqlite.Tx) error {
			return tx.Exec("INSERT INTO messages_low VALUES (?, ?, ?)", seq, make([]byte, 37), benchPayload)
		})
		if err != nil {
			b.Error(err)
		}
		done()
	}
}

// intoFile is the bare append-only file with the same batching of fsync.
func intoFile(b *testing.B) func(int, func()) {
	f, err := os.OpenFile(filepath.Join(b.TempDir(), "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	var staged []byte
	var waiting []func()
	kick := make(chan struct{}, 1)
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			select {
			case <-kick:
			case <-stop:
				return
			}
			mu.Lock()
			batch, told := staged, waiting
			staged, waiting = nil, nil
			mu.Unlock()
			if _, err := f.Write(batch); err != nil {
				b.Error(err)
			}
			if err := f.Sync(); err != nil {
				b.Error(err)
			}
			for _, done := range told {
				done()
			}
		}
	})
	b.Cleanup(func() { close(stop); writer.Wait(); f.Close() })
	return func(c int, done func()) {
		mu.Lock()
		staged = fmt.Appendf(staged, "%d sensors/device%d %d ", c, c, len(benchPayload))
		staged = append(staged, benchPayload...)
		waiting = append(waiting, done)
		mu.Unlock()
		select {
		case kick <- struct{}{}:
		default:
		}
	}
}

// Intake of 200-byte messages, durable. 50 devices with one message in flight each, and
// one with a window of 100.
func BenchmarkIntake(b *testing.B) {
	for _, way := range []struct {
		name string
		put  func(*testing.B) func(int, func())
	}{{"spool", intoSpool}, {"file", intoFile}, {"commits", intoCommits}} {
		for _, load := range []struct{ callers, window int }{{50, 1}, {50, 100}, {1, 100}} {
			b.Run(fmt.Sprintf("%s/callers=%d/window=%d", way.name, load.callers, load.window), func(b *testing.B) {
				callers(b, load.callers, load.window, way.put(b))
			})
		}
	}
}

// Drain of a backlog with a round trip of 20 ms and nothing but the window as limit.
func BenchmarkDrain(b *testing.B) {
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
