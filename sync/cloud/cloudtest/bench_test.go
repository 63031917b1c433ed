package cloudtest_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// BenchmarkPublish measures what the stand-in can take in with its rates off,
// so that a benchmark of a client knows who is the slower one.
func BenchmarkPublish(b *testing.B) {
	for name, latency := range map[string]time.Duration{"loopback": 0, "rtt=20ms": 10 * time.Millisecond} {
		b.Run(name, func(b *testing.B) {
			c := cloudtest.Start(b, cloudtest.Options{Limits: cloudtest.NoRates(), Forget: true})
			settings, err := c.ClientTLS("w")
			if err != nil {
				b.Fatal(err)
			}
			conn, err := tls.Dial("tcp", c.Addr(), settings)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			c.Change(func(f *cloudtest.Faults) { f.Latency = latency })
			r := bufio.NewReader(conn)
			if _, err := conn.Write(connect4); err != nil {
				b.Fatal(err)
			}
			var ack [4]byte
			if _, err := io.ReadFull(r, ack[:]); err != nil { // CONNACK
				b.Fatal(err)
			}
			const window = 1000
			tokens := make(chan struct{}, window)
			go func() {
				w := bufio.NewWriter(conn)
				for i := range b.N {
					if len(tokens) == window {
						_ = w.Flush()
					}
					tokens <- struct{}{}
					_, _ = w.Write(publishPacket(uint16(i%window+1), "", "200 bytes of telemetry, more or less"))
				}
				_ = w.Flush()
			}()
			b.ResetTimer()
			for range b.N {
				if _, err := io.ReadFull(r, ack[:]); err != nil {
					b.Fatal(err)
				}
				<-tokens
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}
