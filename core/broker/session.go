package broker

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"greengate/core/message"
	"greengate/core/router"
)

// session is what the broker keeps for one thing: its subscriptions, what waits
// for it, what it was sent and has not acknowledged, and what it sent with QoS
// 2 and has not released. It outlives its connections as the client asked.
//
// There is at most one session for each thing, because a client id is the
// thing's name; so their number is bounded by the group.
type session struct {
	thing string
	b     *Broker

	// live is the connection that may be written to: established and not taken
	// over. Reading it needs no lock.
	live atomic.Pointer[conn]

	mu      sync.Mutex
	conn    *conn // claimed; live follows once CONNACK is out
	ended   bool
	subs    map[string]*subscription // by filter
	filters int                      // bytes that subs take; see subscription.cost
	queue   queue                    // QoS 1 and 2, in order, not yet sent
	window  window
	bytes   int       // of both, as of sizeOf
	booked  int       // for them in the bound of all sessions; see booking.go
	next    uint64    // place of the next message
	soonest time.Time // no message of the queue expires before, as far as is known; zero: none does
	// received are the QoS 2 messages that the client has sent and not released, by id
	// [MQTT-4.3.3-10]; owed are those that it was sent, and for which a former process has
	// its PUBREC: the n of each, by id. See exactly.go.
	received map[uint16]*reception
	owed     map[uint16]int64

	taking sync.Mutex // one QoS 2 message of the client is routed at a time; before mu

	since  time.Time   // of the last connect or disconnect
	expiry uint32      // seconds that it outlives its connection; forever: never ends
	stored int64       // expiry as it is on disk; 0: not on disk
	end    *time.Timer // ends an absent session
	will   *will       // of the connection, or delayed after it
}

const forever = 1<<32 - 1 // session expiry that never comes [MQTT 3.1.2.11.2]

// pending is one message that a session has to deliver with QoS 1 or 2. What its
// acknowledgement needs stands first, in one cache line: it is mostly taken on another
// CPU than the message was.
type pending struct {
	msg    *message.Message // kept, or its head; nil once it is done. See keep
	cell   *router.Cell
	memory *recycled // that it is part of; nil: of none
	size   int32     // what it counts in the bounds, in bytes; 0: no more
	qos    byte
	state  pendingState
	again  bool // a former process may have sent it
	// barred: it may not go out yet, see exactly.go.
	barred bool

	// Of a durable session; see store.
	receipt *router.Receipt // of its publisher, until it is safe
	n       int64           // its row
	disk    diskState

	h     *handle
	table uint64 // generation of the table that allowed it
	place uint64 // in the order of its session
}

// diskState is where a message stands with the disk.
type diskState uint8

const (
	notKept  diskState = iota // not there, and not to be
	onTheWay                  // written when patience is over
	written                   // there, or in the next commit
)

type pendingState uint8

const (
	waiting  pendingState = iota // in the queue
	sent                         // PUBLISH is out
	recorded                     // PUBREC has come, and goes onto the disk
	released                     // PUBREL is out
	done                         // acknowledged; its place in the window is free
)

// Reasons of the broker for what it drops.
const (
	offline     router.Reason = "offline"      // QoS 0 for a session without a connection
	slowReader  router.Reason = "slow-reader"  // QoS 0 for a client that does not read
	queueFull   router.Reason = "queue-full"   // QoS 1, 2: the bounds of what waits
	tooLarge    router.Reason = "too-large"    // larger than the client takes
	rowGone     router.Reason = "row-gone"     // a reload took the row away
	sessionOver router.Reason = "session-over" // the session ended with messages waiting
	expired     router.Reason = "expired"      // its message expiry has passed
	rejected    router.Reason = "rejected"     // the client answered with an error
)

// queue is a FIFO of pending messages.
type queue struct {
	items []*pending
	head  int
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(p *pending) { q.items = append(q.items, p) }

func (q *queue) first() *pending { return q.items[q.head] }

func (q *queue) pop() *pending {
	p := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	switch {
	case q.head == len(q.items):
		if cap(q.items) > 1024 {
			q.items = nil
		}
		q.items, q.head = q.items[:0], 0
	case q.head > 1024 && q.head > len(q.items)/2:
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return p
}

// filter keeps the messages that keep returns true for.
func (q *queue) filter(keep func(*pending) bool) {
	kept := q.items[:0]
	for _, p := range q.items[q.head:] {
		if keep(p) {
			kept = append(kept, p)
		}
	}
	clear(q.items[len(kept):])
	q.items, q.head = kept, 0
	if len(kept) == 0 && cap(kept) > 1024 {
		q.items = nil
	}
}

// window holds the messages that were sent and not acknowledged, in the order
// sent. A packet id names its place, so an acknowledgement is found without a
// search: the message at place n of a session has the id n mod 65535 + 1. Messages that
// were dropped before they were sent leave their places free.
type window struct {
	ring       []*pending // of 0 or maxWindow places
	head, tail uint64     // the places of the first unacknowledged and after the last
	again      uint64     // that of the first that this connection has not got yet
}

// unanswered are the messages of which the client has not said that it has them.
func (w *window) unanswered() (n int) {
	w.each(func(_ uint16, p *pending) {
		if p.state == sent {
			n++
		}
	})
	return n
}

// anywhere is how far the places of a session leap at a start: a client that has lost the
// end of a connection may still answer for an id that nobody has on disk, so the same ids
// must not come first again.
func anywhere() uint64 { return rand.Uint64N(32768) }

func idOf(n uint64) uint16 { return uint16(n%65535) + 1 }

// takes tells whether there is room for a place when so many messages may be
// unacknowledged.
func (w *window) takes(place uint64, most int) bool {
	return w.head == w.tail || place-w.head < uint64(most)
}

// vacant is what a place of the window has that no message was sent for.
var vacant = &pending{state: done}

// push takes p in and returns its packet id. There must be room, and nothing to send
// again.
func (w *window) push(p *pending) uint16 {
	if w.ring == nil {
		w.ring = make([]*pending, maxWindow)
	}
	if w.head == w.tail {
		w.head, w.tail = p.place, p.place
	}
	for ; w.tail < p.place; w.tail++ {
		w.ring[w.tail%maxWindow] = vacant
	}
	w.ring[w.tail%maxWindow] = p
	w.tail++
	w.again = w.tail
	return idOf(p.place)
}

// get returns the message that was sent with an id, or nil.
func (w *window) get(id uint16) *pending {
	n := w.head + (uint64(id-1)+65535-w.head%65535)%65535
	if n >= w.tail {
		return nil
	}
	if p := w.ring[n%maxWindow]; p.state != done {
		return p
	}
	return nil
}

// advance frees the places at the head that are done.
func (w *window) advance() {
	for w.head < w.tail && w.ring[w.head%maxWindow].state == done {
		w.ring[w.head%maxWindow].recycle()
		w.ring[w.head%maxWindow] = nil
		w.head++
	}
	if w.head == w.tail && w.ring != nil {
		w.ring[w.head%maxWindow] = nil
	}
	w.again = max(w.again, w.head)
}

// each calls f for every message in the window, in the order sent.
func (w *window) each(f func(id uint16, p *pending)) {
	for n := w.head; n < w.tail; n++ {
		if p := w.ring[n%maxWindow]; p.state != done {
			f(idOf(n), p)
		}
	}
}

// persistent tells whether the session outlives its connection. The caller
// holds mu.
func (s *session) persistent() bool { return s.expiry > 0 }

// finish ends the session for good: it is forgotten, and what waited for it is
// dropped and counted. The caller holds b.mu.
func (s *session) finish(why router.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	s.live.Store(nil)
	if s.end != nil {
		s.end.Stop()
	}
	if s.b.sessions[s.thing] == s {
		delete(s.b.sessions, s.thing)
	}
	if len(s.subs) > 0 {
		for _, sub := range s.subs {
			s.leave(sub)
		}
		s.b.router.SubscriptionsChanged()
	}
	s.subs = nil
	s.b.forgetSession(s)
	for s.queue.len() > 0 {
		p := s.queue.pop()
		p.forgotten()
		s.lose(p, router.Dropped, why)
	}
	s.window.each(func(_ uint16, p *pending) {
		p.forgotten()
		s.close(p, router.Dropped, why)
	})
	s.window, s.owed = window{}, nil
}

// forgotten notes that the disk has lost the message with its whole session.
func (p *pending) forgotten() {
	if p.disk == written {
		p.disk = notKept
	}
}

// settle ends a pending message in the ledger.
func (s *session) settle(p *pending, v router.Verdict, why router.Reason) {
	s.b.router.Settle(p.cell, v, why, p.msg, message.DeviceEndpoint(s.thing))
}

// lose ends a message that will not be delivered. The caller holds mu.
func (s *session) lose(p *pending, v router.Verdict, why router.Reason) {
	s.settle(p, v, why)
	s.free(p)
}

// close ends a message of the window, in the ledger too unless its PUBREC has done
// so, and frees its place. The caller holds mu.
func (s *session) close(p *pending, v router.Verdict, why router.Reason) {
	if p.state == sent {
		s.settle(p, v, why)
	}
	s.free(p)
	p.state, p.msg = done, nil
}
