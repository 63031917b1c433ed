package gpio_test

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	core "greengate/core/message"
	"greengate/core/router"
	"greengate/gpio"
	"greengate/subscriptions"
)

// gate lets the router ask a table, and pins takes what it lets through, both as in the
// gateway (cmd/greengate), of which these are the parts between a connection and a line.
type (
	gate struct{ *subscriptions.Table }
	pins struct{ *gpio.Bank }
)

func (g gate) Lookup(from core.Endpoint, topic string) router.Passage {
	return g.Table.Lookup(from, topic)
}

func (p pins) Deliver(d *router.Delivery, h *router.Hop) (router.Verdict, router.Reason) {
	var refusal *gpio.Refusal
	switch err := p.Bank.Deliver(h.To.Name, d.Payload); {
	case err == nil:
		return router.Delivered, ""
	case errors.As(err, &refusal):
		return router.Refused, router.Reason(refusal.Reason)
	}
	return router.Dropped, "pin-fault"
}

// goal is how long a message may take from the gate to the level of its line, half of
// the time.
const goal = time.Millisecond

// A message is on its line when the gate has let it through, whether it comes from a
// device or from a function; it takes hardly longer than a program that writes to the
// line itself, by periph. The log has both figures.
func TestGateToLine(t *testing.T) {
	inMachine(t)
	const rounds = 2000
	bare := bareWrite(t, rounds)
	bank := gpio.New(gpio.Options{Config: gpio.Config{
		Driver: "auto", LEDs: []gpio.Output{{Name: "chime", Pin: "GPIO5", Safe: "off", On: "true"}},
	}})
	if err := bank.Open(); err != nil {
		t.Fatal(err)
	}
	defer bank.Close()
	table, err := subscriptions.Compile([]subscriptions.Row{
		{From: subscriptions.Ends{"panel", "function:bells"}, Topic: "chime", To: subscriptions.Ends{"gpio:chime"}, Line: 1},
	}, subscriptions.Site{Devices: []subscriptions.Device{{Thing: "panel"}}})
	if err != nil {
		t.Fatal(err)
	}
	r := router.New(slog.New(slog.DiscardHandler))
	r.Register(core.GPIO, pins{bank})
	r.SetGate(gate{table})

	for _, from := range []core.Endpoint{core.DeviceEndpoint("panel"), {Kind: core.Function, Name: "bells"}} {
		port, words := r.Port(from), [2]string{"off", "on"}
		took := make([]time.Duration, rounds)
		for i := range took {
			on := i % 2
			began := time.Now()
			way, err := port.Route([]byte("chime"), core.CheckTopic)
			if err != nil {
				t.Fatal(err)
			}
			port.Publish(&core.Message{Topic: way.Topic, Payload: []byte(words[on]), QoS: 1}, way)
			took[i] = time.Since(began)
			if level(t, 5) != (on == 1) {
				t.Fatalf("the line is not %s when the message of %v is through", words[on], from)
			}
		}
		slices.Sort(took)
		median := took[rounds/2]
		t.Logf("from %v through the gate to the level of the line: median %v, of 100 the slowest %v; periph's bare write %v",
			from, median, took[rounds*99/100], bare)
		if median > goal {
			t.Errorf("the median is %v, want at most %v", median, goal)
		}
	}
}
