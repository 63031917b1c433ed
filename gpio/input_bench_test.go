package gpio

import (
	"testing"
	"time"
)

// BenchmarkEdgeToMessage is the way from an edge of a simulated line to the message
// that the router is given, without debouncing, one edge at a time.
func BenchmarkEdgeToMessage(b *testing.B) {
	said := make(chan struct{}, 1)
	w := newSim()
	bank := newBank(Options{
		Config:  Config{Inputs: []Input{{Name: "in", Pin: "GPIO23", Pull: "down", Edges: "both", Topic: "in"}}},
		Publish: func(string, []byte, string) { said <- struct{}{} },
	}, w)
	if err := bank.Open(); err != nil {
		b.Fatal(err)
	}
	defer bank.Close()
	bank.inputs[0].base().storm.limit = 0 // thousands of edges are no storm here
	go bank.Run(b.Context())
	<-said // the level at start
	levels := [2]bool{true, false}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := w.drive("GPIO23", &levels[i&1]); err != nil {
			b.Fatal(err)
		}
		<-said
	}
}

// BenchmarkCount is what a pulse costs a counter from the kernel's queue on.
func BenchmarkCount(b *testing.B) {
	n := newCounter(New(Options{}), Counter{Name: "n", Pull: "up", Edges: "falling", Scale: 1}, "")
	e := edge{at: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		n.take(e)
	}
	if n.pulses == 0 {
		b.Error("nothing was counted")
	}
}
