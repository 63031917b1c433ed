package broker

import "sync"

// Sizes of the pieces that an out buffer consists of, in bytes. The large one is
// what a TLS record holds. An out buffer begins with a small one, because most
// carry a message or two, and there may be one for each connection at once.
const (
	smallChunk = 2 << 10
	largeChunk = 16 << 10
)

// chunk is a piece of an out buffer.
type chunk struct {
	b    []byte
	sent int // bytes of b
	next *chunk
}

var (
	smallChunks = sync.Pool{New: func() any { return &chunk{b: make([]byte, 0, smallChunk)} }}
	largeChunks = sync.Pool{New: func() any { return &chunk{b: make([]byte, 0, largeChunk)} }}
)

// newChunk returns an empty chunk with room for n bytes.
func newChunk(n int) *chunk {
	switch {
	case n <= smallChunk:
		return smallChunks.Get().(*chunk)
	case n <= largeChunk:
		return largeChunks.Get().(*chunk)
	}
	return &chunk{b: make([]byte, 0, n)}
}

// free gives a chunk back: nobody may use it any more.
func (k *chunk) free() {
	k.b, k.sent, k.next = k.b[:0], 0, nil
	switch cap(k.b) {
	case smallChunk:
		smallChunks.Put(k)
	case largeChunk:
		largeChunks.Put(k)
	}
}

// outbox holds packets in the order in which they go out. Each lies whole in one
// of its chunks: what is there need not move when more comes, except once, out of
// the small chunk.
type outbox struct {
	first, last *chunk
	size        int // bytes
	packets     int
}

// room returns what the next n bytes must be appended to.
func (o *outbox) room(n int) *[]byte {
	o.size += n
	o.packets++
	k := o.last
	switch {
	case k == nil:
		k = newChunk(n)
		o.first = k
	case cap(k.b)-len(k.b) >= n:
		return &k.b
	case cap(k.b) == smallChunk && len(k.b)+n <= largeChunk: // it is the first
		more := newChunk(largeChunk)
		more.b = append(more.b, k.b...)
		k.free()
		k = more
		o.first = k
	default:
		k.next = newChunk(max(n, largeChunk))
		k = k.next
	}
	o.last = k
	return &k.b
}

// append copies a packet.
func (o *outbox) append(p []byte) {
	b := o.room(len(p))
	*b = append(*b, p...)
}

// take empties the outbox and returns what was in it.
func (o *outbox) take() *chunk {
	k := o.first
	*o = outbox{}
	return k
}
