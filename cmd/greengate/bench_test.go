package main_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// The benchmarks run the built program as a process, and where there is
// something to compare, a bare mochi server in the same run: same keys, same
// TLS settings, same load, in turns, since the machine is not the same from one
// minute to the next. `make bench` runs them and holds them against the goals
// in bench_goals_test.go.

// rounds is how often each of two that are compared is measured. The median
// counts.
const rounds = 3

// runs are the figures of all rounds of one of the two.
type runs []traffic

// median is the middle figure of the rounds.
func (r runs) median(figure func(traffic) float64) float64 {
	figures := make([]float64, len(r))
	for i, t := range r {
		figures[i] = figure(t)
	}
	slices.Sort(figures)
	return figures[len(figures)/2]
}

// report shows every round.
func (r runs) report(b *testing.B, name string) {
	b.Helper()
	for _, t := range r {
		b.Logf("%-18s %8.0f msg/s, %5.2f us of CPU for a message; %d lost, %d repeated, %d unacknowledged",
			name, t.rate(), t.perMessage(), t.lost, t.repeated, t.unacked)
	}
}

// safe fails the benchmark when a round was fast because messages were lost.
func (r runs) safe(b *testing.B) {
	b.Helper()
	for _, t := range r {
		if t.lost+t.repeated+t.unacked > 0 {
			b.Errorf("greengate lost %d messages, repeated %d and did not acknowledge %d", t.lost, t.repeated, t.unacked)
		}
	}
}

// underLoad puts the load on a server.
func underLoad(b *testing.B, s *server, site *benchSite, qos byte) traffic {
	b.Helper()
	t, err := runLoad(s, site, qos)
	if err != nil {
		b.Fatalf("%s: %v\n%s", s.name, err, s.log)
	}
	return t
}

// round is underLoad for a server of its own.
func round(b *testing.B, start func(testing.TB, *benchSite) *server, site *benchSite, qos byte) traffic {
	b.Helper()
	s := start(b, site)
	defer s.stop()
	return underLoad(b, s, site, qos)
}

// BenchmarkDelivered is the cost of a message from a publisher to a subscriber
// in the server's CPU time. The gateway judges each by a table of 10,000 rows,
// mochi lets everything pass.
func BenchmarkDelivered(b *testing.B) {
	site := newBenchSite(b, false)
	for _, qos := range []byte{0, 1} {
		b.Run(fmt.Sprintf("qos%d", qos), func(b *testing.B) {
			var ours, theirs runs
			for range rounds {
				ours = append(ours, round(b, startGreengate, site, qos))
				theirs = append(theirs, round(b, startMochi, site, qos))
			}
			ours.report(b, "greengate")
			theirs.report(b, "mochi")
			ours.safe(b)
			cost, mochi := ours.median(traffic.perMessage), theirs.median(traffic.perMessage)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(cost, "cpu-us/msg")
			b.ReportMetric(mochi, "mochi-cpu-us/msg")
			b.ReportMetric(cost/mochi, "of-mochi")
			b.ReportMetric(ours.median(traffic.rate), "msg/s")
			b.ReportMetric(theirs.median(traffic.rate), "mochi-msg/s")
		})
	}
}

// BenchmarkStuckSubscriber is what one more subscriber of all topics costs the
// pairs, when it never reads.
func BenchmarkStuckSubscriber(b *testing.B) {
	site := newBenchSite(b, false)
	var alone, beside runs
	for range rounds {
		alone = append(alone, round(b, startGreengate, site, 1))
		s := startGreengate(b, site)
		c := subscribed(b, s, site, stuck, "load/#")
		beside = append(beside, underLoad(b, s, site, 1))
		if first, _, err := c.head(); err != nil || first&0xf0 != publish {
			b.Fatalf("the stuck subscriber was sent nothing: packet %#x, %v", first, err)
		}
		s.stop()
	}
	alone.report(b, "without")
	beside.report(b, "beside a stuck one")
	alone.safe(b)
	beside.safe(b)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(beside.median(traffic.rate), "msg/s")
	b.ReportMetric(alone.median(traffic.rate), "msg/s-without")
	b.ReportMetric(beside.median(traffic.rate)/alone.median(traffic.rate), "of-rate")
	b.ReportMetric(beside.median(traffic.perMessage)/alone.median(traffic.perMessage), "of-cpu")
}

// BenchmarkStart is the time from the start of the process to the first MQTT
// connection that it accepts, in a group of 1,000 devices with certificates on
// record and 10,000 rows.
func BenchmarkStart(b *testing.B) {
	site := newBenchSite(b, true)
	var longest time.Duration
	for b.Loop() {
		began := time.Now()
		s := startGreengate(b, site)
		longest = max(longest, time.Since(began))
		b.StopTimer()
		s.stop()
		b.StartTimer()
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(b.N), "ms/start")
	b.ReportMetric(longest.Seconds()*1e3, "ms-longest")
	b.ReportMetric(0, "ns/op")
}

// subscribed connects a thing, subscribes, and stays until the benchmark ends.
func subscribed(b *testing.B, s *server, site *benchSite, thing, filter string) *loadClient {
	b.Helper()
	c, err := site.dial(s, thing)
	if err == nil {
		b.Cleanup(func() { _ = c.NetConn().Close() })
		err = c.subscribe(filter, 1)
	}
	if err != nil {
		b.Fatalf("%s: %v\n%s", s.name, err, s.log)
	}
	return c
}
