package telemetry_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"greengate/core/message"
	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// way is somewhere to put messages of 200 bytes: done is called when that of a device is
// on the disk.
type way func(device int, done func())

// devices are the messages that so many devices publish over and over.
func devices(n int) (messages []message.Message) {
	for d := range n {
		messages = append(messages, message.Message{
			Source: message.DeviceEndpoint(fmt.Sprint("device", d)), Topic: fmt.Sprint("sensors/device", d), Payload: benchPayload,
		})
	}
	return messages
}

// intoSpool is the way that is measured.
func intoSpool(b *testing.B) way { return intoSpoolOf(b, telemetry.Options{}) }

func intoSpoolOf(b *testing.B, o telemetry.Options) way {
	s, _ := newBench(b, filepath.Join(b.TempDir(), "spool.db"), o)
	return spoolWay(b, s)
}

func spoolWay(b *testing.B, s *telemetry.Spool) way {
	messages := devices(64)
	return func(device int, done func()) {
		m := messages[device%len(messages)] // a copy, as each publish has
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
func intoCommits(b *testing.B) way {
	_, db := newBench(b, filepath.Join(b.TempDir(), "spool.db"), telemetry.Options{})
	var one sync.Mutex
	seq := 0
	return func(_ int, done func()) {
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

// intoFile is the bare append-only file with the same grouping: what has gathered during
// an fsync goes with the next one.
func intoFile(b *testing.B) way {
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
	messages := devices(64)
	return func(device int, done func()) {
		m := &messages[device%len(messages)]
		mu.Lock()
		staged = append(staged, m.Source.Name...)
		staged = append(staged, m.Topic...)
		staged = append(staged, m.Payload...)
		waiting = append(waiting, done)
		mu.Unlock()
		select {
		case kick <- struct{}{}:
		default:
		}
	}
}

// intakeLoad is how messages come: from so many devices, each with so many that wait to be
// told. In step it publishes all of these together, and then waits for all of them.
type intakeLoad struct {
	devices, window int
	inStep          bool
}

func (l intakeLoad) run(put way, n int) {
	var all sync.WaitGroup
	for d := range l.devices {
		all.Go(func() {
			slots := make(chan struct{}, l.window)
			done := func() { <-slots }
			wait := func() {
				for range l.window {
					slots <- struct{}{}
				}
				for range l.window {
					<-slots
				}
			}
			for i := range n / l.devices {
				slots <- struct{}{}
				put(d, done)
				if l.inStep && i%l.window == l.window-1 {
					wait()
				}
			}
			wait()
		})
	}
	all.Wait()
}

// cpu is the processor time that this process has taken.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// contest runs ways in turn, several rounds of them, so that they meet the same disk and
// the same neighbours, and reports the medians: the rate of the first, the time of the
// processor for one of its messages, and its rate over that of each other.
type contest struct {
	names []string // the first is the one that is measured
	each  []func(n int)
	sizes []int         // messages for one turn
	fill  []func(n int) // what each begins with, not measured; optional
}

const rounds = 9

func (c *contest) run(b *testing.B) {
	rates := make([][]float64, len(c.each))
	var cost []float64
	b.ResetTimer()
	for range b.N {
		for range rounds {
			for i, run := range c.each {
				if c.fill != nil {
					c.fill[i](c.sizes[i])
				}
				before, start := cpu(), time.Now()
				run(c.sizes[i])
				rates[i] = append(rates[i], float64(c.sizes[i])/time.Since(start).Seconds())
				if i == 0 {
					cost = append(cost, float64(cpu()-before)/1e3/float64(c.sizes[0]))
				}
			}
		}
	}
	b.ReportMetric(median(rates[0]), "msg/s")
	b.ReportMetric(median(cost), "cpu-us/msg")
	for i := 1; i < len(rates); i++ {
		ratios := slices.Clone(rates[0])
		for j := range ratios {
			ratios[j] /= rates[i][j]
		}
		b.ReportMetric(median(ratios), "of-"+c.names[i])
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// Intake of messages of 200 bytes, durable, beside a bare append-only file and beside a
// commit for each message.
func BenchmarkIntake(b *testing.B) {
	for _, load := range []struct {
		name string
		intakeLoad
		n int // messages a turn
	}{
		{"64-waiting", intakeLoad{devices: 64, window: 1}, 6400},
		{"100-a-commit", intakeLoad{devices: 1, window: 100, inStep: true}, 10000},
		{"window-100", intakeLoad{devices: 1, window: 100}, 10000},
		{"64-with-window-100", intakeLoad{devices: 64, window: 100}, 64000},
	} {
		b.Run(load.name, func(b *testing.B) {
			spool, file, commits := intoSpool(b), intoFile(b), intoCommits(b)
			c := contest{
				names: []string{"spool", "file", "commits"},
				each: []func(int){
					func(n int) { load.run(spool, n) },
					func(n int) { load.run(file, n) },
					func(n int) { intakeLoad{devices: 1, window: 1}.run(commits, n) },
				},
				sizes: []int{load.n, load.n, 100},
			}
			c.run(b)
		})
	}
}
