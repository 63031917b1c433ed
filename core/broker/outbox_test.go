package broker

import (
	"bytes"
	"testing"
)

// Packets come out whole and in order, whatever their sizes.
func TestOutbox(t *testing.T) {
	var o outbox
	var want []byte
	for i, n := range []int{2, 100, smallChunk, 5, largeChunk, 1, largeChunk + 1, 3, 100_000, 9000, 9000} {
		p := bytes.Repeat([]byte{byte(i)}, n)
		o.append(p)
		want = append(want, p...)
	}
	if o.size != len(want) {
		t.Errorf("size %d, want %d", o.size, len(want))
	}
	var got []byte
	for k := o.take(); k != nil; {
		got = append(got, k.b...)
		next := k.next
		k.free()
		k = next
	}
	if !bytes.Equal(got, want) {
		t.Error("other bytes come out than went in")
	}
	if o.size != 0 || o.take() != nil {
		t.Error("an outbox that was taken is not empty")
	}
}
