package broker

import (
	"time"

	"greengate/core/message"
	"greengate/core/router"
)

var _ router.Subscribers = (*Broker)(nil)

// Deliver takes a message for one session: QoS 0 goes into the out buffer of
// its connection, QoS 1 and 2 there or into the queue. It never waits.
func (b *Broker) Deliver(d *router.Delivery, hop *router.Hop) (router.Verdict, router.Reason) {
	h := hop.Handle.(*handle)
	if min(d.QoS, h.qos) == 0 {
		return h.sess.deliver0(d, h, hop)
	}
	return h.sess.deliver(d, h, hop)
}

// deliver0 writes a QoS 0 message if there is a connection with room. When the
// table is swapped under the route, the new one judges: what is appended after
// Recheck has passed the connection was let through by the table in force.
func (s *session) deliver0(d *router.Delivery, h *handle, hop *router.Hop) (router.Verdict, router.Reason) {
	c := s.live.Load()
	if c == nil {
		return router.Dropped, offline
	}
	o := outgoing{retain: h.flag(d.Message), subIDs: h.subIDs, table: hop.Table}
	for {
		switch c.send(d.Message, &o, d, highWater) {
		case sendOK:
			return router.Delivered, ""
		case sendTooLarge:
			return router.Dropped, tooLarge
		case sendGone:
			return router.Dropped, offline
		case sendFull:
			return router.Dropped, slowReader
		}
		o.table = s.b.router.Generation() // sendStale
		if _, ok := s.b.router.Judge(d.Source, d.Topic, hop.To); !ok {
			return router.Refused, router.NoRow
		}
	}
}

// deliver sends a QoS 1 or 2 message, or queues it in its turn.
func (s *session) deliver(d *router.Delivery, h *handle, hop *router.Hop) (router.Verdict, router.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.live.Load()
	if s.ended || s.conn == nil && !s.persistent() {
		return router.Dropped, offline
	}
	cell, table := hop.Cell, s.b.router.Generation()
	if hop.Table != table {
		// The table was swapped under this route, and rejudge may have passed
		// this session already.
		var ok bool
		if cell, ok = s.b.router.Judge(d.Source, d.Topic, hop.To); !ok {
			return router.Refused, router.NoRow
		}
	}
	if c != nil && !c.fits(d.Message, h, min(d.QoS, h.qos)) {
		return router.Dropped, tooLarge // [MQTT-3.1.2-25]
	}
	exact := min(d.QoS, h.qos) == 2 && s.b.store != nil && s.persistent()
	now := c != nil && !exact && s.queue.len() == 0 && s.window.again == s.window.tail && s.window.takes(s.next, c.sendMax) && c.room(highWater)
	brief := now && !s.persistent()
	size := sizeOf(d.Message)
	if brief {
		size = headSize(d.Message)
	}
	if !s.fits(size) || !now && s.queue.len() >= maxQueued {
		if h.retained {
			h.full = true
		}
		return router.Dropped, queueFull
	}
	p := s.keep(d, brief)
	p.cell, p.h, p.table, p.qos, p.place, p.barred = cell, h, table, min(d.QoS, h.qos), s.next, exact
	s.next++
	s.charge(p, size)
	cell.Queue()
	// A client that is there and keeps up has its messages acknowledged before
	// they need the disk.
	s.hold(p, d, !now)
	if now {
		s.transmit(c, p, d.Message, d)
		return router.Sent, ""
	}
	s.queue.push(p)
	s.expires(p.msg.Expires)
	at(pointAccepted)
	return router.Queued, ""
}

// flag is the RETAIN flag of the outgoing packet [MQTT-3.3.1-8, -12, -13].
func (h *handle) flag(m *message.Message) bool { return h.retained || h.asPublished && m.Retain }

// transmit puts p into the window and the PUBLISH of its message m into the out buffer.
// The caller holds mu and has seen that there is room.
func (s *session) transmit(c *conn, p *pending, m *message.Message, d *router.Delivery) {
	p.state = sent
	o := outgoing{id: s.window.push(p), qos: p.qos, retain: p.h.flag(m), dup: p.again, subIDs: p.h.subIDs}
	c.send(m, &o, d, 0)
	at(pointSent)
}

// pump moves messages from the queue into the window while there is room, after
// those of the window that the connection has not got yet. The caller holds mu.
func (s *session) pump(c *conn, d *router.Delivery) {
	w := &s.window
	for w.again < w.tail && int(w.again-w.head) < c.sendMax && c.room(highWater) {
		n := w.again
		w.again++
		s.sendAgain(c, n, d)
	}
	if w.again < w.tail {
		return
	}
	for s.queue.len() > 0 {
		p := s.queue.first()
		if _, owed := s.owed[idOf(p.place)]; owed || p.barred || !w.takes(p.place, c.sendMax) || !c.room(highWater) {
			return
		}
		s.queue.pop()
		if v, why := s.judge(p, c); v != 0 {
			s.lose(p, v, why)
			continue
		}
		s.transmit(c, p, p.msg, d)
		s.b.router.Watched(router.Delivered, p.msg, message.DeviceEndpoint(s.thing))
	}
}

// judge tells why a message that has waited must not go out any more: its time
// is over, its row is gone, or the client of today takes only smaller ones.
func (s *session) judge(p *pending, c *conn) (router.Verdict, router.Reason) {
	if p.msg.Expired(time.Now()) {
		return router.Expired, expired // [MQTT-3.3.2-5]
	}
	if !s.allowed(p) {
		return router.Dropped, rowGone
	}
	if c != nil && !c.fits(p.msg, p.h, p.qos) {
		return router.Dropped, tooLarge
	}
	return 0, ""
}

// allowed asks the table in force again about a message that was judged by an
// older one.
func (s *session) allowed(p *pending) bool {
	table := s.b.router.Generation()
	if p.table == table {
		return true
	}
	p.table = table
	return s.b.router.Stands(p.msg.Source, p.msg.Topic, message.DeviceEndpoint(s.thing))
}

// rejudge drops what no row leads to the device any more. When it returns,
// no publisher is between a judgement by an older table and the out buffer.
func (s *session) rejudge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.live.Load(); c != nil {
		c.pass() // deliver0 compares tables under its mu
	}
	s.queue.filter(func(p *pending) bool {
		if s.allowed(p) {
			return true
		}
		s.lose(p, router.Dropped, rowGone)
		at(pointJudged)
		return false
	})
}

// pass waits until who holds mu has released it. It is not kept: a message that is lost
// is acknowledged to its publisher under the mu of that connection, which may be this one.
func (c *conn) pass() {
	c.mu.Lock()
	defer c.mu.Unlock()
}

// resume sends again what a former connection did not acknowledge, then what
// waits, as far as the receive maximum of the new one goes [MQTT-4.4.0-1,
// -3.3.4-9]. The caller holds mu.
func (s *session) resume(c *conn, d *router.Delivery) {
	for _, id := range s.owedIDs() {
		c.ack(typePubrel, id, success, d)
	}
	s.window.each(func(id uint16, p *pending) {
		if p.state == released {
			c.ack(typePubrel, id, success, d) // no quota for these [MQTT-3.3.4-10]
		}
	})
	s.window.again = s.window.head
	s.pump(c, d)
}

// sendAgain sends the n-th message of the window to a new connection.
func (s *session) sendAgain(c *conn, n uint64, d *router.Delivery) {
	p := s.window.ring[n%maxWindow]
	if p.state != sent {
		return
	}
	// An expired message that was sent once is sent again: the client may
	// have it already and waits for the rest of its QoS 2 flow.
	if !s.allowed(p) {
		s.close(p, router.Dropped, rowGone)
		s.window.advance()
		return
	}
	o := outgoing{id: idOf(n), qos: p.qos, retain: p.h.flag(p.msg), dup: true, subIDs: p.h.subIDs}
	if c.send(p.msg, &o, d, 0) == sendTooLarge { // the client of today takes only smaller ones
		s.close(p, router.Dropped, tooLarge)
		s.window.advance()
	}
}

// acked ends a QoS 1 message, or a QoS 2 message at PUBCOMP.
func (s *session) acked(c *conn, kind byte, id uint16, reason code, d *router.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return // taken over: the acknowledgement belongs to a connection of the past
	}
	if kind == typePubcomp && s.paid(id) {
		s.pump(c, d)
		return
	}
	p := s.window.get(id)
	if p == nil || (p.qos == 2) != (kind == typePubcomp) || kind == typePubcomp && p.state != released {
		return // an acknowledgement of nothing changes nothing
	}
	at(pointAcknowledged)
	if reason >= 0x80 {
		s.close(p, router.Dropped, rejected)
	} else {
		s.close(p, router.Delivered, "")
	}
	s.window.advance()
	s.pump(c, d)
}

// recorded takes a PUBREC: the client has the message, and may give it to its
// application only when it gets PUBREL. So PUBREL comes again until its PUBCOMP, over a
// restart too.
func (s *session) recorded(c *conn, id uint16, reason code, d *router.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return
	}
	p := s.window.get(id)
	_, owed := s.owed[id]
	switch {
	case owed: // as below
	case p == nil || p.qos != 2:
		c.ack(typePubrel, id, packetIDNotFound, d)
		return
	case reason >= 0x80: // [MQTT-4.3.3-4] ends here
		s.close(p, router.Dropped, rejected)
		s.window.advance()
		s.pump(c, d)
		return
	case p.state == sent:
		at(pointRecorded)
		s.settle(p, router.Delivered, "")
		if p.disk == written {
			s.record(p, id)
			return
		}
		p.state = released
	case p.state == recorded:
		return // PUBREL follows
	}
	c.ack(typePubrel, id, success, d)
}
