package broker

import (
	"slices"
	"strings"
	"time"

	"greengate/core/message"
	"greengate/core/router"
)

// What follows is for clients that come to the gateway by another way than
// MQTT: what they publish is retained as well, and they may read it.

// Publish routes a message, and keeps it when it is to be retained and a row
// allows it. Port and receipt are as of router.Port.
func (b *Broker) Publish(port *router.Port, m *message.Message, way *router.Route) *router.Receipt {
	return b.publish(port, m, way)
}

// RetainedOn returns the retained message of a topic, if there is one. It must
// not be changed.
func (b *Broker) RetainedOn(topic string) (m *message.Message, stored time.Time, ok bool) {
	r := &b.retained
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.tree.get(topic, "")
	if !ok || k.Expired(time.Now()) {
		return nil, time.Time{}, false
	}
	return k.Message, k.stored, true
}

// RetainedAfter yields the retained messages in the order of their topics, from
// the first one after that topic on. They must not be changed.
func (b *Broker) RetainedAfter(topic string, yield func(m *message.Message, stored time.Time) bool) {
	now := time.Now()
	var all []kept
	b.retained.mu.RLock()
	b.retained.tree.matching("#", func(k kept) {
		if k.Topic > topic && !k.Expired(now) {
			all = append(all, k)
		}
	})
	b.retained.mu.RUnlock()
	slices.SortFunc(all, func(a, b kept) int { return strings.Compare(a.Topic, b.Topic) })
	for _, k := range all {
		if !yield(k.Message, k.stored) {
			return
		}
	}
}
