package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"
)

// subscriber is one that hears. Its goroutine owns it, but for delivered.
type subscriber struct {
	*client
	streams   []*stream // by publisher; nil: not heard
	delivered atomic.Uint64
	latency   histogram

	count uint64 // of messages
	acks  []byte // for the messages of this batch
}

// receive takes what comes to s until its connection ends. What one read of the
// socket brought is a batch: it is acknowledged by one write, and the clock is
// read once for it.
func (r *loadRun) receive(ctx context.Context, s *subscriber) {
	for {
		err := r.receiveBatch(s)
		if err == nil {
			continue
		}
		if ctx.Err() == nil {
			r.fail(fmt.Errorf("receive: %w", err))
		}
		return
	}
}

func (r *loadRun) receiveBatch(s *subscriber) error {
	if _, err := s.r.Peek(1); err != nil {
		return err
	}
	now := time.Since(r.began)
	s.acks = s.acks[:0]
	measuring := r.rate > 0 && r.measuring.Load()
	for s.r.Buffered() > 0 {
		first, body, err := s.next()
		if err != nil {
			return err
		}
		if first&0xf0 != publish {
			continue
		}
		sent, err := s.take(first, body)
		if err != nil {
			return err
		}
		if measuring {
			if now < sent { // the rest of this packet came after the look at the clock
				now = time.Since(r.began)
			}
			s.latency.add(now - sent)
		}
	}
	if len(s.acks) > 0 {
		if _, err := s.Write(s.acks); err != nil {
			return err
		}
	}
	s.delivered.Store(s.count)
	for _, st := range s.streams {
		if st != nil && st.next != st.reached.Load() {
			st.reached.Store(st.next)
			st.from.risen()
		}
	}
	return nil
}

// take counts a message and returns when it was sent.
func (s *subscriber) take(first byte, body []byte) (sent time.Duration, err error) {
	id, payload, err := splitPublish(first, body)
	if err != nil {
		return 0, err
	}
	if id != 0 {
		s.acks = append(s.acks, puback, 2, byte(id>>8), byte(id))
	}
	if len(payload) < stamp {
		return 0, fmt.Errorf("a payload of %d bytes, which nobody sent", len(payload))
	}
	from := binary.BigEndian.Uint32(payload)
	if int(from) >= len(s.streams) || s.streams[from] == nil {
		return 0, fmt.Errorf("a message of publisher %d, who is not heard here", from)
	}
	s.streams[from].see(binary.BigEndian.Uint64(payload[4:]))
	s.count++
	return time.Duration(binary.BigEndian.Uint64(payload[12:])), nil
}
