package gpio

import (
	"fmt"
	"testing"
)

// BenchmarkMessageToPin is the way of a message from the router's call to the
// level of a simulated pin that changes.
func BenchmarkMessageToPin(b *testing.B) {
	bank := newBank(Options{Config: Config{LEDs: []Output{{Name: "red", Pin: "GPIO17", Safe: "off"}}}}, newSim())
	if err := bank.Open(); err != nil {
		b.Fatal(err)
	}
	defer bank.Close()
	for _, payload := range []string{"toggle", `{"state":"toggle"}`} {
		b.Run(payload, func(b *testing.B) {
			text := []byte(payload)
			b.ReportAllocs()
			for b.Loop() {
				if err := bank.Deliver("red", text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDesired is the way from a committed shadow of a traffic light to its
// three pins.
func BenchmarkDesired(b *testing.B) {
	bank := newBank(Options{Config: trafficLight()}, newSim())
	if err := bank.Open(); err != nil {
		b.Fatal(err)
	}
	defer bank.Close()
	var desired [2][]byte
	for i, value := range []string{"R", "G"} {
		desired[i] = fmt.Appendf(nil, `{"property":%q}`, value)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		bank.Desired("light", desired[i&1], nil)
		i++
	}
}
