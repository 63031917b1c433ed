package cloudtest

import (
	"math"
	"slices"
	"strings"
	"time"
)

// endSession forgets a session.
func (b *broker) endSession(s *session) {
	s.stop()
	if b.sessions[s.id] == s {
		delete(b.sessions, s.id)
	}
	b.touch()
}

// stop stops the session's timers; a will that waits is published no more.
func (s *session) stop() {
	for _, t := range []*time.Timer{s.end, s.willTimer} {
		if t != nil {
			t.Stop()
		}
	}
	s.end, s.willTimer = nil, nil
}

// detach takes the connection off its session: the will, the event, the
// session's expiry. clean is a DISCONNECT of the client.
func (c *Cloud) detach(cn *conn, reason string, clean bool) {
	s := cn.session
	if s.conn != cn {
		return
	}
	s.conn = nil
	cn.nudge()
	// What was not acknowledged waits before what was not sent.
	s.stored = append(append(s.sent, s.stored...), s.live...)
	s.stored = keepQoS1(s.stored)
	s.sent, s.live, s.unacked, s.held = nil, nil, map[uint16]*delivery{}, nil
	c.presenceGone(cn, reason, clean)
	if s.will != nil {
		c.leaveWill(s)
	}
	switch {
	case s.expiry == 0:
		c.endSession(s)
	case s.expiry > 0:
		s.end = time.AfterFunc(s.expiry, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if s.conn == nil && s.end != nil {
				c.publishWill(s) // a will is published at the session's end at the latest
				c.endSession(s)
			}
		})
	}
	c.touch()
}

func keepQoS1(list []*delivery) (kept []*delivery) {
	for _, d := range list {
		if d.qos > 0 {
			kept = append(kept, d)
		}
	}
	return kept
}

// leaveWill publishes the will, now or after its delay.
func (c *Cloud) leaveWill(s *session) {
	if s.willDelay == 0 || s.expiry == 0 {
		c.publishWill(s)
		return
	}
	s.willTimer = time.AfterFunc(s.willDelay, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if s.conn == nil && s.willTimer != nil {
			c.publishWill(s)
		}
	})
}

func (b *broker) publishWill(s *session) {
	if s.will == nil {
		return
	}
	will := s.will
	s.will = nil
	will.expire()
	// The shadow service ignores wills (aws-iot.md 1.1); subscribers see them.
	b.retain(will)
	b.route(will)
}

// retain keeps or removes a retained message.
func (b *broker) retain(m *message) {
	if !m.retain {
		return
	}
	defer b.keeps()
	if len(m.payload) == 0 {
		delete(b.retained, m.topic)
		return
	}
	kept := *m
	kept.from = nil
	b.retained[m.topic] = &kept
}

// route gives a message to all who subscribed.
func (b *broker) route(m *message) {
	shares := map[string][]*session{}
	options := map[string]map[*session]subscription{}
	for _, s := range b.sessions {
		best, found := subscription{}, false
		for text, sub := range s.filters {
			group, filter, _ := splitShared(text)
			if !matches(filter, m.topic) || sub.noLocal && m.from == s {
				continue
			}
			if group != "" {
				if options[text] == nil {
					options[text] = map[*session]subscription{}
				}
				options[text][s] = sub
				shares[text] = append(shares[text], s)
				continue
			}
			if !found || sub.qos > best.qos {
				best, found = sub, true
			}
		}
		if found {
			b.deliver(s, m, best, m.retain && best.keepRetain)
		}
	}
	for text, members := range shares {
		s := b.turn(text, members)
		sub := options[text][s]
		b.deliver(s, m, sub, m.retain && sub.keepRetain)
	}
}

// turn picks the next member of a shared subscription, a connected one if there
// is one.
func (b *broker) turn(text string, members []*session) *session {
	var here []*session
	for _, s := range members {
		if s.conn != nil {
			here = append(here, s)
		}
	}
	if len(here) > 0 {
		members = here
	}
	slices.SortFunc(members, func(x, y *session) int { return strings.Compare(x.id, y.id) })
	b.shares[text]++
	return members[b.shares[text]%len(members)]
}

// deliver queues a message for one session.
func (b *broker) deliver(s *session, m *message, sub subscription, retain bool) {
	d := &delivery{message: m, qos: min(m.qos, sub.qos), retain: retain, since: time.Now()}
	switch {
	case s.conn == nil && d.qos == 0:
		return
	case !b.policy(s.thing).mayReceive(m.topic), b.faults.DeliverLost.take():
		b.counts.Dropped++
		return
	case s.conn == nil:
		s.stored = append(s.stored, d)
		return
	case s.held == nil && b.faults.DeliverSwapped.take():
		s.held = d
		return
	}
	s.live = append(s.live, d)
	if b.faults.DeliverTwice.take() {
		again := *d
		s.live = append(s.live, &again)
	}
	if s.held != nil {
		s.live = append(s.live, s.held)
		s.held = nil
	}
	s.conn.nudge()
}

// expired tells whether a delivery has lost its worth.
func (b *broker) expired(d *delivery, now time.Time) bool {
	return !d.expires.IsZero() && !now.Before(d.expires) ||
		b.limits.RetryFor >= 0 && now.Sub(d.since) > b.limits.RetryFor
}

// nextDelivery takes the next message that may be sent to the client, or tells
// how long until there may be one (0: until something happens).
func (b *broker) nextDelivery(s *session, now time.Time) (d *delivery, wait time.Duration) {
	for {
		from := &s.live
		if len(s.stored) > 0 {
			if w := s.drain.ready(now, b.limits.DrainRate); w == 0 {
				from = &s.stored
			} else {
				wait = w
			}
		}
		if len(*from) == 0 {
			return nil, wait
		}
		d = (*from)[0]
		if b.expired(d, now) || s.conn.tooLarge(d) {
			*from = (*from)[1:]
			b.counts.Dropped++
			continue
		}
		if d.qos > 0 && s.conn.windowFull() {
			return nil, 0 // a PUBACK opens it
		}
		if w := s.conn.rate.take(now, b.limits.PublishRate); w > 0 {
			if d.qos > 0 && !b.o.Readings.ExcessDiscarded {
				return nil, w
			}
			*from = (*from)[1:]
			b.counts.Dropped++
			continue
		}
		if from == &s.stored {
			s.drain.take(now, b.limits.DrainRate)
		}
		*from = (*from)[1:]
		return d, 0
	}
}

// remaining is the Message Expiry Interval that a subscriber gets.
func (d *delivery) remaining(now time.Time) *Properties {
	if d.props == nil || d.props.MessageExpiry == nil {
		return d.props
	}
	p := *d.props
	seconds := uint32(math.Ceil(d.expires.Sub(now).Seconds()))
	p.MessageExpiry = &seconds
	return &p
}
