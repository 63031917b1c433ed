package broker

import (
	"cmp"
	"maps"
	"slices"

	"greengate/core/message"
	"greengate/core/router"
	"greengate/core/sqlite"
)

// What QoS 2 needs on disk to be exactly once between clients whose sessions are kept,
// whenever the process ends [MQTT 4.1, 4.3.3]:
//
//   - The id of a PUBLISH that comes is written in one transaction with the message for
//     every session that keeps it, before PUBREC. With one of the two alone, a PUBLISH
//     that its client sends again would come twice, or to nobody.
//   - That id is off the disk before PUBCOMP: from then on the client may use it for
//     another message, which must not be taken for the old one.
//   - A PUBLISH goes out when it is on disk, with its id: after a restart it goes out
//     again under the same id, and the client knows whether it has it.
//   - PUBREL goes out when it is on disk that PUBREC has come: after PUBREL the client
//     has forgotten the id, and would take the same PUBLISH for a new one.
//
// While the disk takes nothing, the last two do not wait for it.

// reception is a QoS 2 message of a client that it has not released.
type reception struct {
	former bool // a former process has taken it

	// Guarded by the session's taking.
	receipt *router.Receipt // of all its targets; nil: they need none

	// Guarded by the session's mu.
	n     int64 // its row; 0: none
	ender *conn // that has sent PUBREL and waits for PUBCOMP
}

// receive routes a QoS 2 message unless it was routed already [MQTT-4.3.3-10], and answers
// it when all its targets have it, and it is on disk as far as it must be.
func (c *conn) receive(p *publish, m *message.Message, way *router.Route) error {
	s := c.sess
	s.taking.Lock()
	defer s.taking.Unlock()
	r, known, err := s.reception(p.id)
	switch {
	case err != nil:
		return err
	case !known:
		r.receipt = c.take(p.id, r, m, way)
		c.acknowledge(p, way.Allowed, r.receipt)
		return nil
	case r.former:
		r.former = false
		r.receipt = c.port.PublishTo(m, way, keepsItself)
	}
	c.answer(typePubrec, p.id, success, r.receipt)
	return nil
}

// keepsItself tells whether a target keeps its messages by itself: of one that was taken
// by a former process nobody knows whether this target had it. Sessions had it, and pins.
func keepsItself(to message.Endpoint) bool {
	return to.Kind == message.Cloud || to.Kind == message.Shadow || to.Kind == message.Function
}

// reception returns what is known of an id, and notes it when that is nothing.
func (s *session) reception(id uint16) (r *reception, known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, known = s.received[id]; known {
		return r, true, nil
	}
	if len(s.received) >= receiveMax {
		return nil, false, receiveMaxExceeded
	}
	if s.received == nil {
		s.received = map[uint16]*reception{}
	}
	r = &reception{}
	s.received[id] = r
	return r, false, nil
}

// take routes a message that is new. Its id goes onto the disk with it when the session
// of its client is kept, unless no row allows it: then it may be judged again.
func (c *conn) take(id uint16, r *reception, m *message.Message, way *router.Route) *router.Receipt {
	st := c.b.store
	if !c.sess.durable() || !way.Allowed {
		return c.b.publish(c.port, m, way)
	}
	st.whole.RLock()
	defer st.whole.RUnlock()
	var hold *router.Receipt
	receipt := c.port.PublishKept(m, way, func(d *router.Delivery) {
		hold = d.Hold()
		if m.Retain {
			c.b.retain(d)
		}
	})
	st.receive(c.sess, id, r, hold)
	return receipt
}

// durable tells whether the session is on disk.
func (s *session) durable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.store != nil && s.persistent()
}

// receive has the id of a message written, after the rows of the message itself, so that
// a disk that takes only part of them does not take the id alone.
func (st *store) receive(s *session, id uint16, r *reception, hold *router.Receipt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || !s.persistent() || s.received[id] != r {
		hold.Done()
		return
	}
	st.mu.Lock()
	r.n = st.next
	st.next++
	n, thing := r.n, s.thing
	st.now = append(st.now, op{
		key: key{n: n}, source: message.DeviceEndpoint(thing).String(), to: thing, safe: true, done: hold.Done,
		run: func(tx *sqlite.Tx) error {
			return tx.Exec("INSERT INTO received (thing, n, id) VALUES (?, ?, ?)", thing, n, int64(id))
		},
	})
	st.mu.Unlock()
	st.poke()
	at(pointReceived)
}

// released takes a PUBREL, and answers it when the id is off the disk.
func (c *conn) released(id uint16, d *router.Delivery) {
	s := c.sess
	s.mu.Lock()
	r := s.received[id]
	waits := r != nil && r.n != 0
	switch {
	case waits && r.ender == nil:
		s.b.store.disown(s.thing, r.n, func() { s.completed(id, r) })
		fallthrough
	case waits:
		r.ender = c
	default:
		delete(s.received, id)
	}
	s.mu.Unlock()
	switch {
	case r == nil:
		c.ack(typePubcomp, id, packetIDNotFound, d)
	case !waits:
		c.ack(typePubcomp, id, success, d)
	default:
		at(pointReleased)
	}
}

// disown takes the id of a message that came off the disk.
func (st *store) disown(thing string, n int64, done func()) {
	st.do(op{key: key{n: n}, to: thing, undoes: true, safe: true, done: done, run: func(tx *sqlite.Tx) error {
		return tx.Exec("DELETE FROM received WHERE thing = ? AND n = ?", thing, n)
	}})
}

// completed forgets an id that is off the disk, and answers the PUBREL that asked for it.
func (s *session) completed(id uint16, r *reception) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.received[id] != r {
		return
	}
	delete(s.received, id)
	r.ender.ack(typePubcomp, id, success, s.b.store.port.Delivery())
}

// unreceive forgets a message that was refused: an error in PUBREC ends its flow
// [MQTT-4.3.3-9].
func (s *session) unreceive(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.received[id]; r != nil {
		delete(s.received, id)
		if r.n != 0 {
			s.b.store.disown(s.thing, r.n, nil)
		}
	}
}

// passes lets a QoS 2 message out, and what waits behind it: it is on disk, or the disk
// has failed. It runs on the goroutine of the store.
func (s *session) passes(p *pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.barred = false
	if c := s.live.Load(); c != nil {
		s.pump(c, s.b.store.port.Delivery())
	}
}

// record has it written that the client has a message. The caller holds mu.
func (s *session) record(p *pending, id uint16) {
	p.state = recorded
	thing, n := s.thing, p.n
	s.b.store.do(op{key: key{n: n}, to: thing, alters: true, passed: func() { s.releases(p, id) }, run: func(tx *sqlite.Tx) error {
		if err := tx.Exec("DELETE FROM queue WHERE n = ?", n); err != nil {
			return err
		}
		return tx.Exec("INSERT OR REPLACE INTO released (thing, n, id) VALUES (?, ?, ?)", thing, n, int64(id))
	}})
}

// releases sends PUBREL for a message that the client has. It runs on the goroutine of
// the store.
func (s *session) releases(p *pending, id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.state != recorded {
		return
	}
	p.state = released
	if c := s.live.Load(); c != nil {
		c.ack(typePubrel, id, success, s.b.store.port.Delivery())
	}
}

// owedIDs are the ids of what a former process has released, or was about to, in the
// order of the messages. The caller holds mu.
func (s *session) owedIDs() []uint16 {
	return slices.SortedFunc(maps.Keys(s.owed), func(a, b uint16) int { return cmp.Compare(s.owed[a], s.owed[b]) })
}

// paid ends what a former process has released. The caller holds mu.
func (s *session) paid(id uint16) bool {
	n, ok := s.owed[id]
	if ok {
		delete(s.owed, id)
		s.b.store.forget(s.thing, n, 2)
	}
	return ok
}

// forgetFlow takes all of a QoS 2 message for a client off the disk.
func forgetFlow(thing string, n int64) func(tx *sqlite.Tx) error {
	return func(tx *sqlite.Tx) error {
		if err := tx.Exec("DELETE FROM released WHERE thing = ? AND n = ?", thing, n); err != nil {
			return err
		}
		return tx.Exec("DELETE FROM queue WHERE n = ?", n)
	}
}
