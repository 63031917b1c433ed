package main_test

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkMessageToPin is the time from a device's publish with QoS 1 until it
// has the acknowledgement, which leaves when the simulated pin has its level:
// one message at a time, each of which changes the level. Beside it stands the
// PINGREQ of MQTT, which takes the same way to the gateway and back, but goes
// neither through the gate nor to a pin.
func BenchmarkMessageToPin(b *testing.B) {
	site := newBenchSite(b, false)
	s := startGreengate(b, site)
	c, err := site.dial(s, publisher(0))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.NetConn().Close() }()
	const pingreq, pingresp = 0xc0, 0xd0
	on := appendPublish(nil, lampTopic, 1, 1, []byte("on"))
	off := appendPublish(nil, lampTopic, 1, 1, []byte("off"))
	message := roundTrips(b, c, puback, on, off)
	ping := roundTrips(b, c, pingresp, []byte{pingreq, 0})
	for _, level := range []string{"on", "off"} {
		packet := on
		if level == "off" {
			packet = off
		}
		roundTrips(b, c, puback, packet)
		if pins := s.status(site).GPIO; len(pins) != 1 || pins[0].Level != level {
			b.Errorf("the pins are not %s: %+v", level, pins)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(microseconds(message[len(message)/2]), "us-median")
	b.ReportMetric(microseconds(message[len(message)*99/100]), "us-p99")
	b.ReportMetric(microseconds(ping[len(ping)/2]), "us-median-ping")
}

// roundTrips sends the packets in turn, each when the one before is answered,
// and returns the times that it took, sorted. The first tenth warms up.
func roundTrips(b *testing.B, c *loadClient, answer byte, packets ...[]byte) []time.Duration {
	b.Helper()
	const n = 20_000
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		b.Fatal(err)
	}
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		if _, err := c.Write(packets[i%len(packets)]); err != nil {
			b.Fatal(err)
		}
		first, length, err := c.head()
		if err == nil {
			_, err = c.r.Discard(length)
		}
		took[i] = time.Since(began)
		if err != nil || first != answer {
			b.Fatalf("packet %#x instead of %#x, %v", first, answer, err)
		}
	}
	took = took[n/10:]
	slices.Sort(took)
	return took
}

func microseconds(d time.Duration) float64 { return d.Seconds() * 1e6 }
