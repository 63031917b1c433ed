package broker

import (
	"sync"

	"greengate/core/message"
)

// subscription is what a client asked for with one filter [MQTT 3.8.3].
type subscription struct {
	sess   *session
	filter string
	id     uint32 // subscription identifier, MQTT 5; 0: none
	qos    byte
	// noLocal keeps a client's own messages from it; asPublished keeps the
	// RETAIN flag as the publisher set it.
	noLocal, asPublished bool
}

// handle is how one session wants to have the messages of one topic: what its
// matching subscriptions come to. It is Hop.Handle.
type handle struct {
	sess        *session
	qos         byte
	asPublished bool
	retained    bool // a retained message for a new subscription
	subIDs      []uint32
}

// subscriptions are those of all sessions, the absent ones too.
type subscriptions struct {
	mu   sync.RWMutex
	tree tree[*subscription]
}

func (s *subscriptions) add(sub *subscription) (existed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tree.put(sub.filter, sub.sess.thing, sub)
}

func (s *subscriptions) remove(thing, filter string) (existed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tree.remove(filter, thing)
}

// Subscribers yields the sessions that want a message of from on topic. A
// session whose subscriptions overlap gets it once, with the highest QoS of
// them and the identifiers of all [MQTT-3.3.4-2, -3, -4].
func (b *Broker) Subscribers(from message.Endpoint, topic string, yield func(to message.Endpoint, h any)) {
	b.subs.mu.RLock()
	defer b.subs.mu.RUnlock()
	var order []*handle
	found := map[string]*handle{}
	b.subs.tree.match(topic, func(thing string, sub *subscription) {
		if sub.noLocal && from == message.DeviceEndpoint(thing) {
			return // [MQTT-3.8.3-3]
		}
		h := found[thing]
		if h == nil {
			h = &handle{sess: sub.sess}
			found[thing] = h
			order = append(order, h)
		}
		h.qos = max(h.qos, sub.qos)
		h.asPublished = h.asPublished || sub.asPublished
		if sub.id != 0 {
			h.subIDs = append(h.subIDs, sub.id)
		}
	})
	for _, h := range order {
		yield(message.DeviceEndpoint(h.sess.thing), h)
	}
}
