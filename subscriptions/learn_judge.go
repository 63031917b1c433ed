package subscriptions

import "greengate/core/message"

// ask finds for each queued record who would receive and who may.
func (r *Recorder) ask() {
	r.asking.Lock()
	defer r.asking.Unlock()
	r.mu.Lock()
	queue := r.queue
	r.queue = nil
	r.mu.Unlock()
	for _, one := range queue {
		change := r.o.Changes() + 1
		refused, allowed := r.judge(one.from, one.topic)
		r.mu.Lock()
		one.queued = false
		if r.rec.records[one.recordKey] == one {
			r.rec.note(one, change, refused, allowed, &r.dirty)
		}
		r.mu.Unlock()
	}
}

// judge returns who wants what no row lets him have, and who may receive.
func (r *Recorder) judge(from message.Endpoint, topic string) (refused, allowed []message.Endpoint) {
	m := r.o.Table().Lookup(from, topic)
	sort := func(to message.Endpoint) {
		if m != nil {
			if _, ok := m.Allows(to); ok {
				allowed = append(allowed, to)
				return
			}
		}
		refused = append(refused, to)
	}
	r.o.Wants(from, topic, sort)
	if s, ok := parseShadowTopic(topic); ok && !s.reply && from.Kind != message.Shadow {
		sort(message.Endpoint{Kind: message.Shadow})
	}
	if m != nil {
		m.Services(func(to message.Endpoint, _ int) { allowed = append(allowed, to) })
	} else if len(refused) == 0 && from.Kind != message.Shadow {
		// The shadow service tells all, whether somebody listens or not.
		refused = append(refused, message.Endpoint{})
	}
	return refused, allowed
}

// note enters what was found. What a record was refused once it stays: whether a
// row has come meanwhile is asked when it is shown.
func (c *recording) note(one *record, change uint64, refused, allowed []message.Endpoint, dirty *bool) {
	add := func(to map[message.Endpoint]bool, ends []message.Endpoint) {
		for _, e := range ends {
			switch {
			case to[e]:
			case c.to >= maxReceivers:
				c.Missed++
			default:
				to[e], *dirty = true, true
				c.to++
			}
		}
	}
	add(one.refused, refused)
	add(one.allowed, allowed)
	if zero := (message.Endpoint{}); len(one.refused) > 1 && one.refused[zero] {
		delete(one.refused, zero) // now it is known who
		c.to--
	}
	one.asked = change
	if plain := len(one.refused) == 0; plain != one.plain {
		one.plain = plain
		if plain {
			c.allowed++
		} else {
			c.allowed--
		}
	}
}
