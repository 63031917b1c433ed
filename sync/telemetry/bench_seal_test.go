package telemetry_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"greengate/sync/telemetry"
)

// What it costs to encrypt: intake of messages of 200 bytes into two spools in turn, in
// processor time for a message, and the sealed rate over that in clear.
func BenchmarkIntakeSealed(b *testing.B) {
	key := filepath.Join(b.TempDir(), "key")
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i * 151)
	}
	if err := os.WriteFile(key, secret, 0o600); err != nil {
		b.Fatal(err)
	}
	clear, sealed := intoSpool(b), intoSpoolOf(b, telemetry.Options{Encrypt: key})
	load := intakeLoad{devices: 64, window: 100}
	const n = 64000
	var costs [2][]float64
	var ratios []float64
	b.ResetTimer()
	for range b.N {
		for range rounds {
			var took [2]time.Duration
			for i, put := range []way{clear, sealed} {
				before, start := cpu(), time.Now()
				load.run(put, n)
				took[i] = time.Since(start)
				costs[i] = append(costs[i], float64(cpu()-before)/1e3/n)
			}
			ratios = append(ratios, took[0].Seconds()/took[1].Seconds())
		}
	}
	b.ReportMetric(median(costs[0]), "clear-cpu-us/msg")
	b.ReportMetric(median(costs[1]), "sealed-cpu-us/msg")
	b.ReportMetric(median(ratios), "of-clear")
}
