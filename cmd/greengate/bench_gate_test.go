package main

import (
	"fmt"
	"log/slog"
	"math"
	"testing"
	"time"

	"greengate/core/message"
	"greengate/core/router"
	"greengate/gpio"
	"greengate/subscriptions"
)

// BenchmarkGateToPin is the way of a message from its source through the gate to
// a simulated pin, wired as in the gateway. Each changes the level.
func BenchmarkGateToPin(b *testing.B) {
	changes := 0
	pins := gpio.New(gpio.Options{
		Config:  gpio.Config{Driver: "sim", LEDs: []gpio.Output{{Name: "lamp", Pin: "GPIO17", Safe: "off"}}},
		Changed: func(string, bool) { changes++ },
	})
	if err := pins.Open(); err != nil {
		b.Fatal(err)
	}
	defer pins.Close()
	table, err := subscriptions.Compile([]subscriptions.Row{
		{From: subscriptions.Ends{"switch"}, Topic: "lamp/set", To: subscriptions.Ends{"gpio:lamp"}, Line: 1},
	}, subscriptions.Site{Devices: []subscriptions.Device{{Thing: "switch"}}})
	if err != nil {
		b.Fatal(err)
	}
	r := router.New(slog.New(slog.DiscardHandler))
	r.Register(message.GPIO, pinTarget{pins})
	r.SetGate(gate{table})
	port, topic := r.Port(message.DeviceEndpoint("switch")), []byte("lamp/set")
	before := changes
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		way, err := port.Route(topic, message.CheckTopic)
		if err != nil {
			b.Fatal(err)
		}
		port.Publish(&message.Message{Topic: way.Topic, Payload: []byte("toggle"), QoS: 1}, way)
		n++
	}
	if changes-before != n {
		b.Fatalf("%d messages changed the level %d times", n, changes-before)
	}
}

// BenchmarkGateRatio is what a message costs in the gate of a table of 100,000 rows over
// that of 10: on the topics that its source uses, a thousand in turn. Both are asked in
// turn, and the best of many rounds counts, so that what else runs on the machine disturbs
// both alike and little. What the first message of a topic costs besides, LookupRatio of
// package subscriptions has.
func BenchmarkGateRatio(b *testing.B) {
	const sources, topics = 100, 10
	sizes := []int{10, 100_000}
	asks := make([]func(), len(sizes))
	best := []float64{math.Inf(1), math.Inf(1)}
	for i, rows := range sizes {
		asks[i] = knownTopics(b, rows, sources, topics)
	}
	for b.Loop() {
		for i, ask := range asks {
			for range 2 { // the first brings back what the other drove out of the caches
				began := time.Now()
				ask()
				best[i] = min(best[i], float64(time.Since(began).Nanoseconds())/(sources*topics))
			}
		}
	}
	for i, rows := range sizes {
		b.ReportMetric(best[i], fmt.Sprintf("ns@%d", rows))
	}
	b.ReportMetric(best[1]/best[0], "ratio")
	b.ReportMetric(0, "ns/op")
}

// knownTopics returns what routes a message on each of so many topics of so many sources,
// which are known, through a table of so many rows.
func knownTopics(b *testing.B, rows, sources, topics int) func() {
	b.Helper()
	var site subscriptions.Site
	table := []subscriptions.Row{{From: subscriptions.Ends{"device:*"}, Topic: "all/${from}/#", To: subscriptions.Ends{"gpio:lamp"}, Line: 1}}
	for i := range max(sources, rows/10) {
		site.Devices = append(site.Devices, subscriptions.Device{Thing: fmt.Sprintf("machine-%05d", i)})
	}
	for i := 1; i < rows; i++ {
		name := site.Devices[i/10].Thing
		table = append(table, subscriptions.Row{From: subscriptions.Ends{name}, Topic: fmt.Sprintf("plant/%s/%d", name, i%10), To: subscriptions.Ends{"cloud"}, Line: i + 1})
	}
	compiled, err := subscriptions.Compile(table, site)
	if err != nil {
		b.Fatal(err)
	}
	r := router.New(slog.New(slog.DiscardHandler))
	r.SetGate(gate{compiled})
	ports, texts := make([]*router.Port, sources), make([][][]byte, sources)
	for i := range ports {
		name := site.Devices[i].Thing
		ports[i] = r.Port(message.DeviceEndpoint(name))
		for k := range topics {
			texts[i] = append(texts[i], fmt.Appendf(nil, "all/%s/signal/%d", name, k))
		}
	}
	return func() {
		for i, port := range ports {
			for _, topic := range texts[i] {
				if way, err := port.Route(topic, message.CheckTopic); err != nil || !way.Allowed {
					b.Fatal(err)
				}
			}
		}
	}
}
