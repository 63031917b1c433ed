package shadows_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
	"greengate/sync/shadows"
)

// unlimited is a site in real time without limits on rates, over TLS in memory.
func unlimited(b *testing.B, things map[string]shadows.Direction) *site {
	b.Helper()
	s := &site{TB: b, things: things}
	s.unlimited()
	s.open(cloudtest.Options{Limits: cloudtest.NoRates()})
	s.within(time.Minute, "connected", s.inStep)
	return s
}

// BenchmarkThousandInStep is the time from the connection until 1,000 shadows are
// in step that were changed while the link was away, a half here and a half there,
// with 20 ms of round trip; and how many local transactions that takes.
func BenchmarkThousandInStep(b *testing.B) {
	const n = 1000
	s := unlimited(b, manyThings(n))
	change := func(round int) {
		for i := range n {
			side, section := "local", "reported"
			if i%2 > 0 {
				side, section = "cloud", "desired"
			}
			s.change(side, fmt.Sprintf("T%d", i), "", fmt.Sprintf(`{"%s":{"round":%d,"mode":"auto","zone":{"target":19.5,"on":true}}}`, section, round))
		}
	}
	change(-1)
	s.within(time.Minute, "in step", func() bool { return s.inStep() && s.allEqual(s.things) })
	var took time.Duration
	var transactions uint64
	rounds := 0
	for b.Loop() {
		b.StopTimer()
		s.away()
		change(rounds)
		s.cloud.Change(func(f *cloudtest.Faults) { f.Latency = 10 * time.Millisecond })
		before := s.db.Stats().Functions
		s.back()
		s.within(time.Minute, "connected", s.link.Connected)
		b.StartTimer()
		start := time.Now()
		s.within(time.Minute, "in step", s.inStep)
		took += time.Since(start)
		b.StopTimer()
		transactions += s.db.Stats().Functions - before
		if !s.allEqual(s.things) {
			b.Fatal("not all are equal")
		}
		rounds++
		b.StartTimer()
	}
	b.ReportMetric(took.Seconds()/float64(rounds), "s/1000-shadows")
	b.ReportMetric(float64(transactions)/float64(rounds)/n, "transactions/shadow")
}

// BenchmarkIdle is the CPU and the memory that the gateway and its cloud take
// with 10,000 shadows in step, against the same with none.
func BenchmarkIdle(b *testing.B) {
	for _, n := range []int{0, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			things := manyThings(max(n/10, 1))
			s := unlimited(b, things)
			for i := range n {
				s.change("cloud", fmt.Sprintf("T%d", i/10), fmt.Sprintf("n%d", i%10), `{"desired":{"a":1}}`)
			}
			s.within(5*time.Minute, "in step", s.inStep)
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			var cpu, wall time.Duration
			for b.Loop() {
				start, used := time.Now(), cpuTime(b)
				<-time.After(2 * time.Second)
				cpu, wall = cpu+cpuTime(b)-used, wall+time.Since(start)
			}
			b.ReportMetric(float64(cpu.Microseconds())/wall.Seconds(), "cpu-us/s")
			b.ReportMetric(float64(m.HeapAlloc)/1e6, "heap-MB")
		})
	}
}

func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
