package telemetry_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"greengate/sync/telemetry"
)

// diskWrites is how many bytes this process has caused to be written to disks (proc(5),
// /proc/pid/io: write_bytes).
func diskWrites(b testing.TB) float64 {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("\nwrite_bytes: "))
	digits, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseFloat(string(digits), 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// What 500 messages a second of 200 bytes cost the disk, come one by one or in bursts,
// with the cloud 20 ms away or gone; beside a bare append-only file that gets the same
// messages at the same moments.
func BenchmarkWear(b *testing.B) {
	const rate, n = 500, 2000
	for _, connected := range []bool{true, false} {
		for _, burst := range []int{1, 50} {
			b.Run(fmt.Sprintf("connected=%v/burst=%d", connected, burst), func(b *testing.B) {
				l := newLink(b)
				if connected {
					l.connect()
				}
				s, db := newBench(b, filepath.Join(b.TempDir(), "spool.db"), telemetry.Options{Link: l})
				spool, file := spoolWay(b, s), intoFile(b)
				var told atomic.Int64
				before, all := db.Stats(), diskWrites(b)
				b.ResetTimer()
				tick := time.NewTicker(time.Second * time.Duration(burst) / rate)
				defer tick.Stop()
				for i := 0; i < n; i++ {
					if i%burst == 0 {
						<-tick.C
					}
					spool(i, func() { told.Add(1) })
					file(i, func() { told.Add(1) })
				}
				for told.Load() < 2*n || connected && s.Stats().Messages > 0 {
					<-tick.C
				}
				after := db.Stats()
				written := float64(after.WrittenBytes - before.WrittenBytes)
				b.ReportMetric(written/n, "B/msg")
				b.ReportMetric((diskWrites(b)-all-written)/n, "B/msg-file")
				b.ReportMetric(float64(after.Commits-before.Commits)/n, "commits/msg")
			})
		}
	}
}
