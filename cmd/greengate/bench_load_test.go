package main_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// The load: as many pairs of one publisher and one subscriber as pairs says,
// each flat out on a topic of its own. A window bounds what is on its way, so
// no server has a reason to lose anything, and what arrives is what is counted.
const (
	pairs       = 10
	payloadSize = 64  // bytes; the first eight number the message
	window      = 100 // messages on their way, for each pair
	writeBatch  = 16  // messages in one write of a publisher, at most

	warmUp   = time.Second
	measured = 4 * time.Second // long against the 10 ms in which CPU time is told
)

// traffic is what a load came to.
type traffic struct {
	delivered uint64        // in the time measured
	took, cpu time.Duration // of the clock, and of the server's CPUs
	// Over all the time: messages that never came, that came twice or late, and
	// that were never acknowledged to their publisher.
	lost, repeated, unacked uint64
}

// perMessage is the server's CPU time for one delivered message, in us.
func (t traffic) perMessage() float64 {
	return t.cpu.Seconds() * 1e6 / float64(t.delivered)
}

// rate is in messages a second.
func (t traffic) rate() float64 { return float64(t.delivered) / t.took.Seconds() }

// pair is one publisher and its subscriber.
type pair struct {
	topic    string
	qos      byte
	pub, sub *loadClient

	delivered atomic.Uint64
	next      atomic.Uint64 // the number of the message that is due
	room      chan struct{} // holds a token when next or acked has risen
	acked     atomic.Uint64

	sent, lost, repeated uint64 // of the publisher and of the subscriber; read when they have ended
}

// runLoad connects the pairs to s and measures what they do to it.
func runLoad(s *server, site *benchSite, qos byte) (traffic, error) {
	ctx, cancel := context.WithTimeout(context.Background(), warmUp+measured+patience)
	defer cancel()
	all := make([]*pair, pairs)
	defer func() {
		for _, p := range all {
			p.close()
		}
	}()
	for i := range all {
		p, err := newPair(s, site, i, qos)
		if err != nil {
			return traffic{}, err
		}
		all[i] = p
	}
	var publishers, readers sync.WaitGroup
	stop := make(chan struct{})
	errs := make([]error, pairs)
	for i, p := range all {
		readers.Go(p.receive)
		readers.Go(p.acknowledged)
		publishers.Go(func() { errs[i] = p.publish(ctx, stop) })
	}
	<-time.After(warmUp)
	t, err := measure(s, func() (n uint64) {
		for _, p := range all {
			n += p.delivered.Load()
		}
		return n
	})
	close(stop)
	publishers.Wait()
	for _, p := range all {
		p.close()
	}
	readers.Wait()
	for _, p := range all {
		t.lost += p.lost + p.sent - p.next.Load()
		t.repeated += p.repeated
		if qos > 0 {
			t.unacked += p.sent - p.acked.Load()
		}
	}
	return t, errors.Join(append(errs, err)...)
}

// measure takes the figures of the time measured; count tells what is delivered.
func measure(s *server, count func() uint64) (traffic, error) {
	cpu, err := s.cpu()
	began, before := time.Now(), count()
	<-time.After(measured)
	after, errAfter := s.cpu()
	return traffic{delivered: count() - before, took: time.Since(began), cpu: after - cpu}, errors.Join(err, errAfter)
}

func newPair(s *server, site *benchSite, i int, qos byte) (*pair, error) {
	p := &pair{topic: fmt.Sprintf("load/%d", i), qos: qos, room: make(chan struct{}, 1)}
	var err error
	if p.sub, err = site.dial(s, subscriber(i)); err != nil {
		return nil, err
	}
	if err = p.sub.subscribe(p.topic, qos); err == nil {
		p.pub, err = site.dial(s, publisher(i))
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// close ends both connections, and so their readers.
func (p *pair) close() {
	if p == nil {
		return
	}
	for _, c := range []*loadClient{p.pub, p.sub} {
		if c != nil {
			_ = c.NetConn().Close()
		}
	}
}

// publish sends as fast as the window allows until stop, and then waits until
// all has arrived and is acknowledged.
func (p *pair) publish(ctx context.Context, stop <-chan struct{}) error {
	payload := make([]byte, payloadSize)
	var batch []byte
	for {
		select {
		case <-stop:
			return p.settle(ctx)
		default:
		}
		n := min(writeBatch, window-(p.sent-p.next.Load()))
		if n == 0 {
			if err := p.wait(ctx); err != nil {
				return err
			}
			continue
		}
		batch = batch[:0]
		for range n {
			binary.BigEndian.PutUint64(payload, p.sent)
			batch = p.append(batch, payload)
			p.sent++
		}
		if _, err := p.pub.Write(batch); err != nil {
			return fmt.Errorf("publish on %s: %w", p.topic, err)
		}
	}
}

// append appends a PUBLISH to b.
func (p *pair) append(b, payload []byte) []byte {
	return appendPublish(b, p.topic, p.qos, uint16(p.sent%65535+1), payload)
}

// settle waits until nothing is on its way. What never comes is no error here:
// it is counted.
func (p *pair) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience/2)
	defer cancel()
	for p.next.Load() < p.sent || p.qos > 0 && p.acked.Load() < p.sent {
		if p.wait(ctx) != nil {
			break
		}
	}
	return nil
}

func (p *pair) wait(ctx context.Context) error {
	select {
	case <-p.room:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s stands still at message %d", p.topic, p.sent)
	}
}

// risen tells the publisher that it may have room.
func (p *pair) risen() {
	select {
	case p.room <- struct{}{}:
	default:
	}
}

// receive takes what comes to the subscriber, acknowledges it and counts it,
// until the connection ends.
func (p *pair) receive() {
	head := 2 + len(p.topic) // topic, and then the packet id, before the number
	if p.qos > 0 {
		head += 2
	}
	var acks []byte
	var next, delivered uint64
	for {
		first, length, err := p.sub.head()
		if err != nil {
			return
		}
		if first&0xf0 == publish {
			b, err := p.sub.r.Peek(head + 8)
			if err != nil {
				return
			}
			if p.qos > 0 {
				acks = append(acks, puback, 2, b[head-2], b[head-1])
			}
			number := binary.BigEndian.Uint64(b[head:])
			if number < next {
				p.repeated++
			} else {
				p.lost += number - next
				next = number + 1
			}
			delivered++
		}
		if _, err := p.sub.r.Discard(length); err != nil {
			return
		}
		if p.sub.r.Buffered() > 0 {
			continue // one answer for all that has come
		}
		if len(acks) > 0 {
			if _, err := p.sub.Write(acks); err != nil {
				return
			}
			acks = acks[:0]
		}
		p.delivered.Store(delivered)
		p.next.Store(next)
		p.risen()
	}
}

// acknowledged counts the PUBACKs of the publisher until the connection ends.
func (p *pair) acknowledged() {
	for {
		first, length, err := p.pub.head()
		if err != nil {
			return
		}
		if _, err := p.pub.r.Discard(length); err != nil {
			return
		}
		if first == puback {
			p.acked.Add(1)
		}
		if p.pub.r.Buffered() == 0 {
			p.risen()
		}
	}
}
