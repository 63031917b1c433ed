package main

import (
	"encoding/json"
	"fmt"
	"sync"
)

// flow is one stream of numbered messages on its way from a publisher to the
// one that is to hear it. It knows what was sent, what was acknowledged to the
// publisher, and what arrived. Any goroutine may use it.
type flow struct {
	name string
	size int // bytes of each payload, roughly

	mu       sync.Mutex
	marks    []mark // guarded by mu: of the messages 1, 2, 3...
	tally    tally  // guarded by mu
	highest  int    // guarded by mu: number that has arrived
	acked    int    // guarded by mu: highest number acknowledged
	phantoms []int  // guarded by mu: arrived without having been sent
}

// tally is what became of the messages of a flow.
type tally struct {
	Bytes     int // of payloads that were sent
	Sent      int // of them some may not have got out: their connection ended
	Acked     int // to the publisher; of QoS 0 what was written
	Arrived   int // different ones
	Again     int // arrivals beyond the first of a number
	Unmarked  int // of those the ones that did not come with DUP
	Reordered int // first arrivals after one with a higher number
	Lost      int // acknowledged, and not arrived
	Phantoms  int // arrived, and never sent
}

type mark byte

const (
	wasAcked mark = 1 << iota
	hasArrived
	withdrawn // never left
)

// parcel is what a numbered message carries.
type parcel struct {
	Flow string `json:"flow"`
	N    int    `json:"n"`
	Pad  string `json:"pad,omitempty"`
}

func newFlow(name string, size int) *flow { return &flow{name: name, size: size} }

// next counts one more message as sent, and returns its number.
func (f *flow) next() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.marks = append(f.marks, 0)
	f.tally.Sent++
	return len(f.marks)
}

// withdraw takes a number back that was not sent after all.
func (f *flow) withdraw(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.marks[n-1] |= withdrawn
	f.tally.Sent--
}

// weigh notes how many bytes a message has that is sent.
func (f *flow) weigh(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tally.Bytes += n
}

// ack notes that the publisher has been told that message n is safe.
func (f *flow) ack(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.marks[n-1]&wasAcked != 0 {
		return
	}
	f.marks[n-1] |= wasAcked
	f.tally.Acked++
	f.acked = max(f.acked, n)
}

// arrive notes that message n was heard; dup is how it was marked.
func (f *flow) arrive(n int, dup bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n < 1 || n > len(f.marks) || f.marks[n-1]&withdrawn != 0 {
		f.tally.Phantoms++
		f.phantoms = append(f.phantoms, n)
		return
	}
	if f.marks[n-1]&hasArrived != 0 {
		f.tally.Again++
		if !dup {
			f.tally.Unmarked++
		}
		return
	}
	f.marks[n-1] |= hasArrived
	f.tally.Arrived++
	if n < f.highest {
		f.tally.Reordered++
	}
	f.highest = max(f.highest, n)
}

// lastAcked is the highest number that is known to be safe; 0 before the first.
func (f *flow) lastAcked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.acked
}

// count returns what became of the messages so far.
func (f *flow) count() tally {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tally
	t.Lost = len(f.missing())
	return t
}

// missing are the numbers that were acknowledged and have not arrived. The
// caller holds mu.
func (f *flow) missing() (numbers []int) {
	for i, m := range f.marks {
		if m&(wasAcked|hasArrived|withdrawn) == wasAcked {
			numbers = append(numbers, i+1)
		}
	}
	return numbers
}

// firstMissing tells of the first messages that were lost.
func (f *flow) firstMissing() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	lost := f.missing()
	return fmt.Sprint(lost[:min(len(lost), 10)])
}

// payload is message n, padded to the size of the flow.
func (f *flow) payload(n int) []byte {
	return encode(parcel{Flow: f.name, N: n, Pad: pad(f.size - 40)})
}

// update is message n as an update of a shadow; its answer has the client token.
func (f *flow) update(n int) []byte {
	return fmt.Appendf(nil, `{"state":{"reported":{"n":%d,"pad":"%s"}},"clientToken":"%s %d"}`, n, pad(f.size-90), f.name, n)
}

// filler is what payloads are padded with. Nothing on their way compresses.
var filler = func() string {
	b := make([]byte, 32<<10)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return string(b)
}()

func pad(n int) string { return filler[:max(0, min(n, len(filler)))] }

// encode is for what cannot fail.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// flows are all flows of a soak by their names. None is added once traffic runs.
type flows map[string]*flow

func (all flows) add(name string, size int) *flow {
	f := newFlow(name, size)
	all[name] = f
	return f
}

// arrive notes a message by its payload, and tells whether it was a numbered one.
func (all flows) arrive(payload []byte, dup bool) bool {
	var p parcel
	if json.Unmarshal(payload, &p) != nil || all[p.Flow] == nil {
		return false
	}
	all[p.Flow].arrive(p.N, dup)
	return true
}

// sum adds up what became of the messages of several flows.
func sum(of []*flow) (t tally) {
	for _, f := range of {
		c := f.count()
		t.Bytes += c.Bytes
		t.Sent += c.Sent
		t.Acked += c.Acked
		t.Arrived += c.Arrived
		t.Again += c.Again
		t.Unmarked += c.Unmarked
		t.Reordered += c.Reordered
		t.Lost += c.Lost
		t.Phantoms += c.Phantoms
	}
	return t
}
