package broker_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
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
