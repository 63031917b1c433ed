package gpio

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func isHigh(t *testing.T, in input) bool {
	t.Helper()
	high, err := in.High()
	if err != nil {
		t.Fatal(err)
	}
	return high
}

// fetch waits for edges until there are so many, or none comes any more.
func fetch(t *testing.T, in input, n int) (list []edge) {
	t.Helper()
	buffer := make([]edge, 50)
	for len(list) < n {
		got, err := in.Edges(buffer, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if got == 0 {
			return list
		}
		list = append(list, buffer[:got]...)
	}
	return list
}

// Edges have a direction and the time at which they came, not that of the reading.
func testEdges(t *testing.T, w world) {
	in := mustInput(t, w.board(), "GPIO22", "up")
	defer in.Close()
	begin := time.Now()
	if n, err := in.Edges(make([]edge, 1), 20*time.Millisecond); n != 0 || err != nil || time.Since(begin) < 20*time.Millisecond {
		t.Errorf("there was no edge, and the wait ended after %v with %d, %v", time.Since(begin), n, err)
	}
	for _, level := range []bool{false, true, false} {
		go w.drive(t, "GPIO22", level)
		if e := fetch(t, in, 1); len(e) != 1 || e[0].rising != level || e[0].missed != 0 || isHigh(t, in) != level {
			t.Errorf("an edge to %v: %+v", level, e)
		}
	}
	begin = time.Now()
	for i := range 41 {
		w.drive(t, "GPIO22", i%2 == 0)
	}
	end := time.Now()
	<-time.After(10 * time.Millisecond) // so that the reading has another time
	list := fetch(t, in, 41)
	if len(list) != 41 {
		t.Fatalf("of 41 edges %d came", len(list))
	}
	const slack = time.Millisecond // the two clocks are not read at once
	for i, e := range list {
		if e.rising != (i%2 == 0) || e.missed != 0 || e.at.Before(begin.Add(-slack)) || e.at.After(end.Add(slack)) || i > 0 && e.at.Before(list[i-1].at) {
			t.Errorf("edge %d between %v and %v: %+v", i, begin, end, e)
		}
	}
}

// Of a line that is asked for one kind of edge the other does not come.
func testOneEdge(t *testing.T, w world) {
	in, err := w.board().input("GPIO22", "up", falling)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for i := range 20 {
		w.drive(t, "GPIO22", i%2 == 1)
	}
	list := fetch(t, in, 10)
	for _, e := range list {
		if e.rising || e.missed != 0 {
			t.Errorf("%+v", e)
		}
	}
	if n, _ := in.Edges(make([]edge, 1), 50*time.Millisecond); len(list) != 10 || n != 0 {
		t.Errorf("of 10 falling edges %d came, and %d more", len(list), n)
	}
}

// Of more edges than are kept the newest remain, and say how many are missing
// (trap 5).
func testOverflow(t *testing.T, w world) {
	in := mustInput(t, w.board(), "GPIO22", "up")
	defer in.Close()
	const n = queueSize + 100
	for i := range n {
		w.drive(t, "GPIO22", i%2 == 1)
	}
	list := fetch(t, in, queueSize)
	if len(list) != queueSize || list[0].missed != 100 || list[1].missed != 0 || !list[len(list)-1].rising {
		t.Errorf("of %d edges %d came, the first after %d that are missing", n, len(list), list[0].missed)
	}
}

// A counter on a board loses no pulse, at 1,000 edges a second and more.
func testCounterOn(t *testing.T, w world) {
	const pulses = 1000
	said := make(chan []byte, 1000)
	b := newBank(Options{
		Config: Config{Counters: []Counter{{
			Name: "water", Pin: "GPIO24", Pull: "up", Edges: "falling", Every: 100 * time.Millisecond, Topic: "water", Scale: 0.5, Unit: "l",
		}}},
		Publish: func(_ string, payload []byte, _ string) { said <- payload },
	}, w.board())
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	begin := time.Now()
	for i := range pulses { // 2,000 edges a second, or as fast as the board allows
		if early := time.Until(begin.Add(time.Duration(i) * time.Millisecond)); early > 0 {
			<-time.After(early)
		}
		w.drive(t, "GPIO24", false)
		w.drive(t, "GPIO24", true)
	}
	took := time.Since(begin)
	var payload []byte
	var p struct {
		Pulses, Total float64
		Units         map[string]string
	}
	for deadline := time.After(time.Minute); p.Pulses < pulses; {
		select {
		case payload = <-said:
			if err := json.Unmarshal(payload, &p); err != nil {
				t.Fatal(err)
			}
		case <-deadline:
			t.Fatalf("after %d pulses: %s", pulses, payload)
		}
	}
	if p.Pulses != pulses || p.Total != pulses/2 || p.Units["rate"] != "l/s" {
		t.Errorf("after %d pulses: %s", pulses, payload)
	}
	if s := b.List()[0]; s.Lost != 0 || s.Fault != "" || s.Level != "500" || s.Unit != "l" {
		t.Errorf("%+v", s)
	}
	t.Logf("%.0f edges a second", 2*pulses/took.Seconds())
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestEdgeSet(t *testing.T) {
	for word, want := range map[string]string{"both": "up down", "rising": "up", "falling": "down"} {
		s := edgesOf(word)
		var list []string
		if s.has(true) {
			list = append(list, "up")
		}
		if s.has(false) {
			list = append(list, "down")
		}
		if got := strings.Join(list, " "); got != want {
			t.Errorf("%s: %s", word, got)
		}
	}
}
