package cloud

import (
	"sync"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// What is sent within AWS's limits over a round trip of 200 ms: nothing waits but for
// the rate. A breach of a limit fails it.
func BenchmarkWithinLimits(b *testing.B) {
	const n = 1500 // 15 s at 100 a second
	cloud := cloudtest.Start(b, cloudtest.Options{Name: endpoint, NoData: true, Forget: true})
	files, err := cloud.Files(b.TempDir(), "gw")
	if err != nil {
		b.Fatal(err)
	}
	l := run(b, Options{
		Endpoint: endpoint, Port: 8883, Core: "gw", Certificate: files.Certificate, Key: files.Key, CA: files.CA,
		Dial: dialTo(cloud.Addr()), Rate: Rate{Messages: 100, Bytes: 512 << 10},
	})
	untilConnected(b, l)
	cloud.Change(func(f *cloudtest.Faults) { f.Latency = 100 * time.Millisecond })
	p := &Publish{Topic: "sensors/machine-00001/temperature", Payload: make([]byte, 200)}
	sent, start := 0, time.Now()
	for b.Loop() {
		var all sync.WaitGroup
		for range n {
			all.Add(1)
			if err := l.Send(b.Context(), p, func(err error) {
				if err != nil {
					b.Error(err)
				}
				all.Done()
			}); err != nil {
				b.Fatal(err)
			}
		}
		all.Wait()
		sent += n
	}
	b.ReportMetric(float64(sent)/time.Since(start).Seconds(), "msg/s")
	if v := cloud.Violations(); len(v) > 0 {
		b.Errorf("limits of the cloud were broken: %v", v)
	}
}
