package broker

import (
	"strings"
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
	full        bool // there was no room for one of them; of the goroutine that sends them
	subIDs      []uint32
}

// subscriptions are those of all sessions, the absent ones too.
type subscriptions struct {
	most int // bytes of all

	mu    sync.RWMutex
	tree  tree[*subscription]
	bytes int // of the subscriptions, without the tree
}

// add enters a subscription, in place of the one with that filter of the session. It
// reports false when there is no room for a new one.
func (s *subscriptions) add(sub *subscription) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tree.put(sub.filter, sub.sess.thing, sub) {
		return true
	}
	if s.bytes += sub.size(); s.tree.bytes+s.bytes > s.most {
		s.drop(sub)
		return false
	}
	return true
}

func (s *subscriptions) remove(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(sub)
}

// drop takes out a subscription. The caller holds mu.
func (s *subscriptions) drop(sub *subscription) {
	if s.tree.remove(sub.filter, sub.sess.thing) {
		s.bytes -= sub.size()
	}
}

// size is what a subscription takes without its place in the tree, in bytes.
func (s *subscription) size() int { return len(s.filter) + messageCost }

// cost is what it takes if no other has a level in common with it, in bytes.
func (s *subscription) cost() int {
	return s.size() + len(s.filter) + (strings.Count(s.filter, "/")+1)*levelCost + endCost
}

// enter makes sub one of the session's, and tells whether it replaced one. It reports
// false when there is no room for it. The caller holds s.mu.
func (s *session) enter(sub *subscription) (existed, ok bool) {
	_, existed = s.subs[sub.filter]
	if !existed && (len(s.subs) >= maxFilters || s.filters+sub.cost() > maxFilterBytes) || !s.b.subs.add(sub) {
		return false, false
	}
	if !existed {
		s.filters += sub.cost()
	}
	s.subs[sub.filter] = sub
	return existed, true
}

// leave takes a subscription out of the session. The caller holds s.mu.
func (s *session) leave(sub *subscription) {
	delete(s.subs, sub.filter)
	s.filters -= sub.cost()
	s.b.subs.remove(sub)
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
