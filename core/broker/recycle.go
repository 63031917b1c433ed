package broker

import (
	"strings"
	"sync"

	"greengate/core/message"
	"greengate/core/router"
)

// Most QoS 1 messages have one target, which acknowledges them at once. The memory of
// such a message serves the next one.

var pendings = sync.Pool{New: func() any { return &pending{own: new(message.Message)} }}

// maxRecycled is the largest payload whose memory is used again, in bytes.
const maxRecycled = 16 << 10

// keep copies a message for the session. The caller holds mu.
func (s *session) keep(d *router.Delivery) *pending {
	// Nobody but the window and the queue may hold what is used again: neither
	// another target nor the store.
	if !d.Alone() || d.Properties != nil || len(d.Payload) > maxRecycled || s.b.store != nil && s.persistent() {
		return &pending{msg: d.Message.Keep()}
	}
	p := pendings.Get().(*pending)
	topic, payload := p.own.Topic, p.own.Payload
	if topic != d.Topic {
		topic = strings.Clone(d.Topic)
	}
	*p.own = *d.Message
	p.own.Topic, p.own.Payload = topic, append(payload[:0], d.Payload...)
	p.msg = p.own
	return p
}

// recycle gives the memory of a message that is done, and out of the window, to
// another.
func (p *pending) recycle() {
	if p.own == nil {
		return
	}
	*p = pending{own: p.own}
	pendings.Put(p)
}
