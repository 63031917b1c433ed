package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// settled is how long after the last connection memory is read.
const settled = 10 * time.Second

// BenchmarkMemory is the resident memory of a group with 10,000 rows, idle and with all
// its 1,000 devices connected and subscribed, some seconds after the last of them.
func BenchmarkMemory(b *testing.B) {
	site := newBenchSite(b, true)
	for _, kind := range []struct {
		name  string
		start func(testing.TB, *benchSite) *server
	}{{"", startGreengate}, {"mochi-", startMochi}} {
		s := kind.start(b, site)
		<-time.After(settled)
		idle := s.resident()
		for _, thing := range site.things {
			subscribed(b, s, site, thing, "cmd/"+thing+"/#")
		}
		<-time.After(settled)
		connected := s.resident()
		b.ReportMetric(idle, kind.name+"idle-MB")
		b.ReportMetric(connected, kind.name+"connected-MB")
		b.ReportMetric((connected-idle)*1e6/1024/float64(len(site.things)), kind.name+"KiB/connection")
		s.stop()
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkMemoryOfSmallGroup is the resident memory of a gateway with all switched on
// that it can do, shadows, the spool of a cloud that is not reached, the page, pins, and
// next to nothing to do.
func BenchmarkMemoryOfSmallGroup(b *testing.B) {
	site := newBenchSite(b, false)
	keys := filepath.Join(site.dir, "pki")
	group := fmt.Sprintf(`version: 1
group: bench
core: bench_Core
broker: {listen: [%q]}
discovery: {listen: [%q], announce: false}
admin: {listen: %q}
cloud: {endpoint: 127.0.0.1, port: 9, certificate: %q, key: %q, ca: %q}
gpio: {driver: sim, leds: [{name: lamp, pin: GPIO17, thing: %[7]s, key: property, on: R}]}
devices: [{thing: %[7]s}, {thing: %[8]s}]
subscriptions:
  - {from: "device:*", topic: "telemetry/${from}/#", to: cloud}
  - {from: %[7]s, topic: hello, to: %[8]s}
`, site.broker, site.discovery, freeAddress(b, "127.0.0.1"),
		filepath.Join(keys, "server.pem"), filepath.Join(keys, "server.key"), filepath.Join(keys, "root-ca.pem"), publisher(0), subscriber(0))
	if err := os.WriteFile(site.file, []byte(group), 0o644); err != nil {
		b.Fatal(err)
	}
	s := startGreengate(b, site)
	<-time.After(settled)
	b.ReportMetric(s.resident()*1e6/(1<<20), "MiB")
	b.ReportMetric(0, "ns/op")
	s.stop()
}
