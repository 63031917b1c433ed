package broker_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"greengate/core/router"
)

// The memory of messages that are acknowledged serves others: each that comes, however
// late it is acknowledged, is the one that was sent.
func TestMemoryUsedAgain(t *testing.T) {
	s := start(t, everything)
	a, b := s.connect("a"), s.connect("b")
	b.subscribe(1, "#")
	payload := func(i int) []byte {
		return bytes.Repeat([]byte{byte(i)}, []int{0, 1, 300, 20_000}[i%4])
	}
	next := 0
	for round := range 20 {
		n := 1 + 37*round%100 // on their way at once
		for i := range n {
			a.send(fmt.Sprintf("t/%d", (next+i)%3), 1, string(payload(next+i)))
		}
		var acks []byte
		for i := range n {
			first, body, err := b.read()
			if err != nil || first>>4 != 3 {
				t.Fatalf("message %d: packet %#x, %v", next+i, first, err)
			}
			g := b.decode(first, body)
			if g.topic != fmt.Sprintf("t/%d", (next+i)%3) || g.payload != string(payload(next+i)) {
				t.Fatalf("message %d is %d bytes of %x on %s", next+i, len(g.payload), g.payload[:min(1, len(g.payload))], g.topic)
			}
			acks = append(acks, packet(0x40, binary.BigEndian.AppendUint16(nil, g.id))...)
		}
		b.write(acks)
		for range n {
			a.expect(0x40)
		}
		next += n
	}
	s.settled()
}

// Of a message that is never sent again nothing waits but its head: it takes no room that
// others need, and when its session ends with it, all that is told of it is right.
func TestNothingWaitsForWhatIsNotSentAgain(t *testing.T) {
	s := start(t, everything)
	a, b := s.connect("a", v5), s.connect("b", v5)
	b.subscribe(1, "t")
	const n = 70 // MiB, more than may wait for a session
	payload := strings.Repeat("x", 1<<20)
	for range n {
		if code := a.publish("t", 1, payload); code != 0 {
			t.Fatalf("PUBACK %#x", code)
		}
		b.next()
	}
	over := make(chan router.Event, n)
	defer s.router.Watch(func(e router.Event) { over <- e })()
	b.conn.Close()
	for range n {
		e := <-over
		if e.Verdict != router.Dropped || e.Reason != "session-over" || e.From.Name != "a" || e.Topic != "t" || e.To.Name != "b" || e.Bytes != len(payload) {
			t.Fatalf("event %s, %s: %s to %s on %s, %d bytes", e.Verdict, e.Reason, e.From, e.To, e.Topic, e.Bytes)
		}
	}
	if got := s.settled(); got.Dropped != n || got.Waiting != 0 {
		t.Errorf("ledger %+v", got)
	}
}
