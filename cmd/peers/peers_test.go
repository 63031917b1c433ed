package main

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h, other histogram
	if got := h.quantile(0.5); got != 0 {
		t.Errorf("the median of nothing is %v, want 0", got)
	}
	for i := range 1000 {
		half := &h
		if i%2 == 0 {
			half = &other
		}
		half.add(time.Duration(i+1) * time.Microsecond)
	}
	h.merge(&other)
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 500, 0.99: 990, 1: 1000} {
		want *= time.Microsecond
		if got := h.quantile(q); (got - want).Abs() > want/64 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	for range 1000 {
		d := time.Duration(1) << rand.IntN(44)
		d += time.Duration(rand.Int64N(int64(d)))
		if got := middleOf(bucketOf(d)); (got - d).Abs() > d/64 {
			t.Fatalf("%d is counted as %d", d, got)
		}
	}
	for _, d := range []time.Duration{-1, 1 << 62} { // no panic, and in a bucket at the end
		h.add(d)
	}
}

func TestStream(t *testing.T) {
	for _, c := range []struct {
		name string
		seen []uint64
		sent uint64
		want tally
	}{
		{"all in order", []uint64{0, 1, 2, 3}, 4, tally{}},
		{"none", nil, 3, tally{lost: 3}},
		{"a gap and the end lost", []uint64{0, 3, 4}, 7, tally{lost: 4}},
		{"twice", []uint64{0, 1, 1, 0, 2}, 3, tally{duplicates: 2}},
		{"late, and then once more", []uint64{0, 2, 3, 1, 1}, 4, tally{late: 1, duplicates: 1}},
		{"a gap beyond what is remembered", []uint64{maxMissing + 5}, maxMissing + 6, tally{lost: maxMissing + 5}},
	} {
		var s stream
		for _, n := range c.seen {
			s.see(n)
		}
		if got := s.end(c.sent); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestSplitPublish(t *testing.T) {
	for qos := range byte(2) {
		packet := appendPublish(nil, "a/b", qos, 7, []byte("hello"))
		id, payload, err := splitPublish(packet[0], packet[2:])
		if err != nil || string(payload) != "hello" || id != uint16(qos)*7 {
			t.Errorf("QoS %d: id %d, payload %q, %v", qos, id, payload, err)
		}
		if _, _, err := splitPublish(packet[0], packet[2:5]); err == nil {
			t.Errorf("QoS %d: a packet cut short is taken", qos)
		}
	}
}

// TestTable has one goal of each sort met and missed, and one that nothing was
// measured for.
func TestTable(t *testing.T) {
	all := []scenario{
		{letter: "A", name: "load", rows: []row{
			{"CPU", "cpu", []goal{atMost(0.1, mosquitto)}},
			{"rate", "rate", []goal{atLeast(8, mosquitto), atLeast(8, mochi)}},
			{"own", "own", []goal{atMost(14, "")}},
			{"edge", "edge", []goal{atMost(5, "")}},
			{"least", "edge", []goal{atLeast(4, "")}},
			{"beside mochi", "cpu", []goal{atMost(0.1, mochi)}},
			{"no goal", "cpu", nil},
		}},
		{letter: "B", name: "not run", rows: []row{{"CPU", "cpu", nil}}},
	}
	r := make(results)
	for i := range 3 {
		r.add("load", greengate, sample{"cpu": 0.5 + float64(i)/10, "rate": 90_000, "own": 14.5, "edge": 5, wrong: 0})
		r.add("load", mosquitto, sample{"cpu": 10, "rate": 10_000, wrong: 1})
	}
	r.add("load", mochi, sample{"rate": 20_000})
	var out bytes.Buffer
	missed, err := r.writeTable(&out, all)
	if err != nil || missed != 2 {
		t.Errorf("%d goals missed, %v; want 2", missed, err)
	}
	for _, want := range []string{
		"| CPU | 0.600 (0.500..0.700) | 10 | - | - | 0.060 | - | ≤ 0.1 of mosquitto | yes |",
		"| rate | 90,000 | 10,000 | 20,000 | - | 9 | 4.50 | ≥ 8 of mosquitto, ≥ 8 of mochi | NO |",
		"| own | 14.5 | - | - | - | - | - | ≤ 14 | NO |",
		"| edge | 5 | - | - | - | - | - | ≤ 5 | yes |",
		"| least | 5 | - | - | - | - | - | ≥ 4 | yes |",
		"| beside mochi | 0.600 (0.500..0.700) | 10 | - | - | 0.060 | - | ≤ 0.1 of mochi | not measured |",
		"| no goal | 0.600 (0.500..0.700) | 10 | - | - | 0.060 | - |  |  |",
		"unacknowledged | 0 | 3 | - | - | | | 0 | yes |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "not run") {
		t.Errorf("what did not run is in\n%s", &out)
	}
	r.add("load", greengate, sample{wrong: 1})
	if missed, _ = r.writeTable(&out, all); missed != 3 {
		t.Errorf("with a message lost, %d goals are missed, want 3", missed)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0514: "0.051", 0.9998: "1.000", 1.5: "1.50", 12.34: "12.3", 123.4: "123", 1e3: "1,000", 2627143.2: "2,627,143",
	} {
		if got := number(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}
