package broker

import (
	"slices"
	"sync"
	"time"

	"greengate/core/message"
	"greengate/core/router"
)

// feedWater is how much may lie in the out buffer before retained messages wait, in bytes:
// so little that the reader goes on, and the client has its answers in between.
const feedWater = ownHighWater / 2

// feed are the retained messages with QoS 0 that a client has still to get for its new
// subscriptions. They go out as it reads them: at once while there is room, and else when
// the out buffer has emptied. Its mutex comes before all others of a message.
type feed struct {
	mu    sync.Mutex
	subs  []*subscription    // with different filters, in their order
	begun bool               // with the first of them
	left  []*message.Message // of that one
	ask   *handle
}

// want asks for the retained messages of subscriptions, anew where they are under way.
func (f *feed) want(subs []*subscription) {
	f.forget(subs)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs = append(f.subs, subs...)
}

// forget ends what goes on for the filters of these.
func (f *feed) forget(subs []*subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.subs) == 0 {
		return
	}
	over := make(map[string]bool, len(subs))
	for _, sub := range subs {
		over[sub.filter] = true
	}
	if over[f.subs[0].filter] {
		f.begun, f.left = false, nil
	}
	f.subs = slices.DeleteFunc(f.subs, func(sub *subscription) bool { return over[sub.filter] })
}

// feed sends what there is room for.
func (c *conn) feed(port *router.Port) {
	f := &c.fed
	f.mu.Lock()
	defer f.mu.Unlock()
	to := message.DeviceEndpoint(c.thing)
	for len(f.subs) > 0 && !c.closing.Load() {
		sub := f.subs[0]
		if !f.begun {
			f.begun, f.left, f.ask = true, c.b.retained.matching(sub.filter), sub.forRetained()
		}
		for len(f.left) > 0 {
			if c.closing.Load() || !c.room(feedWater) {
				return
			}
			m := f.left[0]
			f.left[0], f.left = nil, f.left[1:]
			// One that is no more there has a newer one, which has come as such.
			if sub.sends(m) == 0 && !sub.bars(m) && c.b.retained.has(m) && !m.Expired(time.Now()) {
				port.Send(m, to, f.ask)
			}
		}
		f.subs, f.begun, f.left = f.subs[1:], false, nil
	}
}

// queueRetained sends, or queues, the retained messages of a new subscription that have QoS
// 1 or 2.
func (c *conn) queueRetained(sub *subscription) {
	if sub.qos == 0 {
		return
	}
	to, ask := message.DeviceEndpoint(c.thing), sub.forRetained()
	for _, m := range c.b.retained.matching(sub.filter) {
		switch {
		case c.closing.Load():
			return
		case sub.sends(m) == 0 || sub.bars(m):
		case ask.full: // all that follow would be asked of the gate for nothing
			c.b.router.Note(router.Dropped, queueFull)
		default:
			c.port.Send(m, to, ask)
		}
	}
}

// forRetained is how its retained messages are wanted.
func (s *subscription) forRetained() *handle {
	ask := &handle{sess: s.sess, qos: s.qos, retained: true}
	if s.id != 0 {
		ask.subIDs = []uint32{s.id}
	}
	return ask
}

// sends is the QoS with which a message goes out.
func (s *subscription) sends(m *message.Message) byte { return min(s.qos, m.QoS) }

// bars tells whether a message is the client's own, and must not come back [MQTT-3.8.3-3].
func (s *subscription) bars(m *message.Message) bool {
	return s.noLocal && m.Source == message.DeviceEndpoint(s.sess.thing)
}
