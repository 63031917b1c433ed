package main

import (
	"log/slog"
	"testing"

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
