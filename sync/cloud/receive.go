package cloud

import "sync"

// receiveMaximum is how many messages the cloud may have on their way to us
// without PUBACK. AWS has 100 itself.
const receiveMaximum = 100

// acks holds the PUBACKs back until it is their turn: they leave in the order
// in which the messages came [MQTT-4.6.0-2].
type acks struct {
	write func(id uint16)

	mu    sync.Mutex
	order []*ack
}

type ack struct {
	id    uint16
	ready bool
}

// expect notes that the message with that packet id came. It reports false when
// more are open than the cloud may have. The returned function says that the
// message is safe; it may be called by any goroutine, and again.
func (a *acks) expect(id uint16) (ready func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.order) >= receiveMaximum {
		return nil, false
	}
	x := &ack{id: id}
	a.order = append(a.order, x)
	return func() { a.ready(x) }, true
}

func (a *acks) ready(x *ack) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x.ready = true
	for len(a.order) > 0 && a.order[0].ready {
		a.write(a.order[0].id)
		a.order = a.order[1:]
	}
}
