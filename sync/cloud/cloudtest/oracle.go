package cloudtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Number is the mark of a numbered message: who made it and which it is, from 1.
type Number struct {
	Publisher string `json:"publisher"`
	Seq       int    `json:"seq"`
}

// Payload is the number as a JSON payload, which NumberOf reads.
func (n Number) Payload() []byte { return encodeJSON(n) }

// NumberOf reads the number of a payload that Number.Payload made; other fields
// beside it are ignored. ok is false for any other payload.
func NumberOf(payload []byte) (n Number, ok bool) {
	err := json.Unmarshal(payload, &n)
	return n, err == nil && n.Publisher != "" && n.Seq > 0
}

// Tally judges numbered messages as they arrive: which were lost, which came
// twice, which overtook others. The zero value is ready. It belongs to one
// goroutine; Options.OnReceive may feed it under the Cloud's lock.
type Tally struct {
	publishers map[string]*sequence
}

type sequence struct {
	seen       map[int]int // arrivals of each number
	highest    int
	duplicates int
	reordered  []int // numbers that first came after a higher one
}

// Add takes one message. It ignores payloads without a number.
func (t *Tally) Add(payload []byte) {
	n, ok := NumberOf(payload)
	if !ok {
		return
	}
	t.AddNumber(n)
}

// AddNumber takes one message by its number.
func (t *Tally) AddNumber(n Number) {
	if t.publishers == nil {
		t.publishers = map[string]*sequence{}
	}
	s := t.publishers[n.Publisher]
	if s == nil {
		s = &sequence{seen: map[int]int{}}
		t.publishers[n.Publisher] = s
	}
	if s.seen[n.Seq]++; s.seen[n.Seq] > 1 {
		s.duplicates++ // at least once: it may also come after higher ones
		return
	}
	if n.Seq < s.highest {
		s.reordered = append(s.reordered, n.Seq)
	}
	s.highest = max(s.highest, n.Seq)
}

// Verdict is what a Tally found.
type Verdict struct {
	Arrived    int      // different numbers
	Lost       []Number // were to arrive and did not
	Unexpected []Number // arrived and were not to
	Duplicates int      // arrivals beyond the first of a number
	Reordered  []Number // first arrivals after a higher number's
}

// Verdict judges what has arrived against what was to: for each publisher the
// count of its numbers, 1 to n.
func (t *Tally) Verdict(sent map[string]int) (v Verdict) {
	names := map[string]bool{}
	for name := range sent {
		names[name] = true
	}
	for name := range t.publishers {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		s := t.publishers[name]
		if s == nil {
			s = &sequence{}
		}
		v.Arrived += len(s.seen)
		v.Duplicates += s.duplicates
		for seq := 1; seq <= sent[name]; seq++ {
			if s.seen[seq] == 0 {
				v.Lost = append(v.Lost, Number{name, seq})
			}
		}
		for _, seq := range slices.Sorted(maps.Keys(s.seen)) {
			if seq > sent[name] {
				v.Unexpected = append(v.Unexpected, Number{name, seq})
			}
		}
		for _, seq := range s.reordered {
			v.Reordered = append(v.Reordered, Number{name, seq})
		}
	}
	return v
}

// Count returns the Verdict on the record so far.
func (c *Cloud) Count(sent map[string]int) Verdict {
	var t Tally
	for _, r := range c.Received() {
		t.Add(r.Payload)
	}
	return t.Verdict(sent)
}

// OK tells whether nothing was lost, unexpected or out of order. Duplicates are
// for the test to bound.
func (v Verdict) OK() bool { return len(v.Lost)+len(v.Unexpected)+len(v.Reordered) == 0 }

func (v Verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d arrived, %d duplicates", v.Arrived, v.Duplicates)
	for _, list := range []struct {
		what    string
		numbers []Number
	}{{"lost", v.Lost}, {"unexpected", v.Unexpected}, {"reordered", v.Reordered}} {
		if n := len(list.numbers); n > 0 {
			fmt.Fprintf(&b, ", %d %s (the first %v)", n, list.what, list.numbers[0])
		}
	}
	return b.String()
}
