package broker

import (
	"sync"

	"greengate/core/message"
	"greengate/core/router"
)

// Most QoS 1 messages have one target, which acknowledges them at once. The memory of
// such a message serves the next one.

// recycled is the memory of a message, three cache lines large. What the next one keeps of
// the one before, its payload's, is not in the line that the acknowledgement writes.
type recycled struct {
	pending
	own message.Message
}

var pendings = sync.Pool{New: func() any { return new(recycled) }}

// maxRecycled is the largest payload whose memory is used again, in bytes.
const maxRecycled = 16 << 10

// keep copies a message for the session. The caller holds mu.
func (s *session) keep(d *router.Delivery) *pending {
	// Nobody but the window and the queue may hold what is used again: neither
	// another target nor the store.
	if !d.Alone() || d.Properties != nil || len(d.Payload) > maxRecycled || s.b.store != nil && s.persistent() {
		return &pending{msg: d.Message.Keep()}
	}
	k := pendings.Get().(*recycled)
	payload := append(k.own.Payload[:0], d.Payload...)
	k.own = *d.Message
	k.own.Payload = payload
	k.pending = pending{msg: &k.own, memory: k}
	return &k.pending
}

// recycle gives the memory of a message that is done, and out of the window, to
// another.
func (p *pending) recycle() {
	if k := p.memory; k != nil {
		p.msg, p.cell, p.h = nil, nil, nil
		pendings.Put(k)
	}
}
