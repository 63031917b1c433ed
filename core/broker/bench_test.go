package broker_test

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// A message from one client to another, over TLS: what both ends and the broker cost
// together. Of the allocations none is the broker's.
func BenchmarkDeliver(b *testing.B) {
	for qos := range byte(2) {
		b.Run(fmt.Sprintf("qos=%d", qos), func(b *testing.B) {
			s := start(b, everything)
			from, to := s.connect("a"), s.connect("b")
			to.subscribe(qos, "t")
			const batch = 100 // on their way at once
			var packets []byte
			for i := range uint16(batch) {
				body := text("t")
				if qos > 0 {
					body = binary.BigEndian.AppendUint16(body, i+1)
				}
				packets = append(packets, packet(0x30|qos<<1, body, []byte("payload"))...)
			}
			got := make([]byte, len(packets))
			acks := make([]byte, 0, 4*batch)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += batch {
				from.write(packets)
				to.fully(got)
				if qos == 0 {
					continue
				}
				acks = acks[:0]
				for at, size := 0, len(got)/batch; at < len(got); at += size {
					acks = append(acks, 0x40, 2, got[at+5], got[at+6]) // the id is after the topic
				}
				to.write(acks)
				from.fully(acks)
			}
		})
	}
}
