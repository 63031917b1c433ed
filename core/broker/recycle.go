package broker

import (
	"sync"

	"greengate/core/message"
	"greengate/core/router"
)

// Most QoS 1 messages are sent at once, to a session that ends with its connection: they
// are never sent again. Of such a message only the head is kept, and when it has one target
// its memory serves the next: by turns, 1 KiB with QoS 1 cost 1.49 us of CPU with a copy and 1.36 without.

// recycled is that memory: three cache lines, of which the acknowledgement needs one.
type recycled struct {
	pending
	head message.Message
}

var pendings = sync.Pool{New: func() any { return new(recycled) }}

// keep keeps a message for the session: whole, or briefly, when it is sent now and never
// again. The caller holds mu.
func (s *session) keep(d *router.Delivery, brief bool) *pending {
	if !brief {
		return &pending{msg: d.Message.Keep()}
	}
	if !d.Alone() {
		return &pending{msg: d.KeepHead()}
	}
	k := pendings.Get().(*recycled)
	k.head = d.Message.Head()
	k.pending = pending{msg: &k.head, memory: k}
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
