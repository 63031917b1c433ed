package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
)

// The packets of QoS 2, as first bytes.
const (
	pubrec  = 0x50
	pubrel  = 0x62
	pubcomp = 0x70
)

// session is what a thing keeps of its messages with QoS 2 from one connection to the
// next: those it has sent and that are not complete, and the packet ids of those it has
// heard and that are not released [MQTT-4.3.3]. Any goroutine may use it.
type session struct {
	slots chan struct{} // one in it for each publish under way

	mu    sync.Mutex
	l     *link           // guarded by mu: the present connection, or the last
	id    uint16          // guarded by mu
	sent  []*outgoing     // guarded by mu: in order
	heard map[uint16]bool // guarded by mu
	empty chan struct{}   // guarded by mu: closed when sent gets empty; nil when nobody waits
}

// outgoing is a message under way to the gateway.
type outgoing struct {
	id     uint16
	first  byte
	body   []byte
	taken  bool // PUBREC has come: the message is the gateway's
	whenSo func()
}

func newSession() *session {
	return &session{slots: make(chan struct{}, window), heard: map[uint16]bool{}}
}

// resume makes l the connection of the session, and sends again what is not complete:
// the message itself, marked, or its release [MQTT-4.4.0-1]. Without a session on the
// other side nothing may be under way.
func (s *session) resume(l *link) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.present && len(s.sent)+len(s.heard) > 0 {
		return fmt.Errorf("the gateway has forgotten the session of %s with %d messages under way", l.o.Thing, len(s.sent)+len(s.heard))
	}
	s.l = l
	for _, o := range s.sent {
		if err := s.say(o, 8); err != nil {
			return err
		}
	}
	return nil
}

// say sends what a message is waiting to have answered. The caller holds mu.
func (s *session) say(o *outgoing, dup byte) error {
	if o.taken {
		return s.l.write(pubrel, binary.BigEndian.AppendUint16(nil, o.id))
	}
	return s.l.write(o.first|dup, o.body)
}

// publish sends a message, and sends it again in later connections until it is complete.
// It waits while a window is under way, and taken is called when PUBREC comes.
func (s *session) publish(l *link, first byte, head, payload []byte, taken func()) error {
	select {
	case s.slots <- struct{}{}:
	case <-l.done:
		return errNotSent
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.id++; s.id == 0 || s.find(s.id) >= 0; s.id++ {
	}
	o := &outgoing{id: s.id, first: first, whenSo: taken}
	o.body = append(binary.BigEndian.AppendUint16(head, s.id), payload...)
	s.sent = append(s.sent, o)
	_ = s.say(o, 0) // if it does not get out, it goes out in the next connection
	return nil
}

// find is the place of a packet id in sent, or -1. The caller holds mu.
func (s *session) find(id uint16) int {
	return slices.IndexFunc(s.sent, func(o *outgoing) bool { return o.id == id })
}

// take answers the packets of QoS 2 but PUBLISH.
func (s *session) take(kind byte, id uint16) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kind == pubrel&0xF0 {
		delete(s.heard, id)
		return s.l.write(pubcomp, binary.BigEndian.AppendUint16(nil, id))
	}
	i := s.find(id)
	if i < 0 {
		return fmt.Errorf("packet %#x of packet id %d, which is not under way", kind, id)
	}
	o := s.sent[i]
	if kind == pubrec {
		if !o.taken {
			o.taken = true
			o.whenSo()
		}
		return s.say(o, 0)
	}
	if !o.taken {
		return fmt.Errorf("PUBCOMP of packet id %d before PUBREC", id)
	}
	s.sent = slices.Delete(s.sent, i, i+1)
	<-s.slots
	if len(s.sent) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
	return nil
}

// hear passes a message on unless it was heard already, and answers it.
func (s *session) hear(l *link, id uint16, h heard) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.heard[id] {
		s.heard[id] = true
		l.o.Hear(h)
	}
	return l.write(pubrec, binary.BigEndian.AppendUint16(nil, id))
}

// settle waits until all that was published is complete.
func (s *session) settle(ctx context.Context) error {
	s.mu.Lock()
	if len(s.sent) == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	empty := s.empty
	s.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		return fmt.Errorf("%d publishes of %s are not complete: %w", len(s.sent), s.l.o.Thing, ctx.Err())
	}
}
