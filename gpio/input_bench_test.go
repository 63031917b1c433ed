package gpio

import (
	"os"
	"testing"
	"time"
)

// BenchmarkEdgeToMessage is the way from an edge to the message that the router is
// given, without debouncing, one edge at a time: on a simulated line, and, in the
// machine of testvm, on one of the kernel's.
func BenchmarkEdgeToMessage(b *testing.B) {
	b.Run("sim", func(b *testing.B) {
		w := newSim()
		benchEdges(b, w, func(level bool) error { return w.drive("GPIO23", &level) })
	})
	b.Run("gpio-sim", func(b *testing.B) {
		if _, err := os.Stat(gpioSim); err != nil {
			b.Skip("this machine has no gpio-sim")
		}
		w := openSimKernel(b)
		benchEdges(b, w.board(), func(level bool) error { return w.pull("GPIO23", level) })
	})
}

func benchEdges(b *testing.B, on board, drive func(level bool) error) {
	said := make(chan struct{}, 1)
	bank := newBank(Options{
		Config:  Config{Inputs: []Input{{Name: "in", Pin: "GPIO23", Pull: "down", Edges: "both", Topic: "in"}}},
		Publish: func(string, []byte, string) { said <- struct{}{} },
	}, on)
	if err := bank.Open(); err != nil {
		b.Fatal(err)
	}
	defer bank.Close()
	bank.inputs[0].base().storm.limit = 0 // thousands of edges are no storm here
	go bank.Run(b.Context())
	<-said // the level at start
	b.ReportAllocs()
	for level := true; b.Loop(); level = !level {
		if err := drive(level); err != nil {
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
