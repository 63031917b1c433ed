package cloud

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// Sending with a full window over a round trip of 20 ms, the rate not shaped.
// The window bounds it: 100 in 20 ms are 5,000 a second. It runs over loopback
// and TLS, with the stand-in in the same process.
func BenchmarkSend(b *testing.B) {
	for _, window := range []int{100, 1000} {
		for _, rtt := range []time.Duration{0, 20 * time.Millisecond} {
			b.Run(fmt.Sprintf("window=%d/rtt=%v", window, rtt), func(b *testing.B) {
				cloud := cloudtest.Start(b, cloudtest.Options{Name: endpoint, NoData: true, Limits: cloudtest.NoRates(), Forget: true})
				files, err := cloud.Files(b.TempDir(), "gw")
				if err != nil {
					b.Fatal(err)
				}
				l := run(b, Options{
					Endpoint: endpoint, Port: 8883, Core: "gw", Certificate: files.Certificate, Key: files.Key, CA: files.CA,
					Dial: dialTo(cloud.Addr()), Limits: Limits{Unacked: window},
				})
				untilConnected(b, l)
				cloud.Change(func(f *cloudtest.Faults) { f.Latency = rtt / 2 })
				p := &Publish{Topic: "sensors/machine-00001/temperature", Payload: make([]byte, 200)}
				var all sync.WaitGroup
				b.ReportAllocs()
				for b.Loop() {
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
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			})
		}
	}
}
