package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// load is who publishes to whom, and how much.
type load struct {
	publishers, subscribers int
	topic                   func(publisher int) string
	filter                  func(subscriber int) string
	apart                   bool // subscriber i hears publisher i only; otherwise everybody hears everybody
	qos                     byte
	size                    int // bytes of a payload, at least stamp
	// Flat out, window is how many messages of a publisher may be on their way to
	// its slowest subscriber, so that no server has a reason to lose any.
	window uint64
	// rate, if it is not 0, is in messages a second of all publishers together.
	rate float64
}

func pairsOf(size int, qos byte) load {
	topic := func(i int) string { return fmt.Sprintf("load/%d", i) }
	return load{publishers: pairs, subscribers: pairs, apart: true, topic: topic, filter: topic, qos: qos, size: size, window: 100}
}

func fanOutOf(qos byte) load {
	topic := func(int) string { return "load/all" }
	return load{publishers: 1, subscribers: fanOut, topic: topic, filter: topic, qos: qos, size: 64, window: 100}
}

func fanInOf(qos byte) load {
	return load{
		publishers: fanIn, subscribers: 1, qos: qos, size: 64, window: 20,
		topic:  func(i int) string { return fmt.Sprintf("in/%d", i) },
		filter: func(int) string { return "in/+" },
	}
}

// traffic is what a load came to.
type traffic struct {
	delivered uint64        // in the time measured
	took, cpu time.Duration // of the clock, and of the server's CPUs
	latency   histogram     // from before the write of the publisher to after the read of the subscriber; with a rate only
	wrong     tally         // from the first message to the last
}

// perMessage is the server's CPU time for one delivered message, in us.
func (t *traffic) perMessage() float64 {
	return float64(t.cpu.Nanoseconds()) / 1e3 / float64(t.delivered)
}

// perSecond is how many messages were delivered in a second.
func (t *traffic) perSecond() float64 { return float64(t.delivered) / t.took.Seconds() }

// times of one measurement.
type times struct {
	warmUp, measured time.Duration
}

// loadRun is one load on one server.
type loadRun struct {
	load
	pubs      []*publisher
	subs      []*subscriber
	began     time.Time     // what messages are stamped against
	measuring atomic.Bool   // latencies count
	stop      chan struct{} // closed when enough was published
	fail      context.CancelCauseFunc
}

// put connects the clients of the load to s, lets them run, and measures.
func (l load) put(ctx context.Context, s *server, site *site, t times) (*traffic, error) {
	ctx, cancel := context.WithTimeout(ctx, t.warmUp+t.measured+patience)
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r := &loadRun{load: l, began: time.Now(), stop: make(chan struct{}), fail: fail}
	defer r.close()
	if err := r.connect(ctx, s, site); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, r.close)() // who waits for a server that hangs
	var publishing, reading sync.WaitGroup
	for _, s := range r.subs {
		reading.Go(func() { r.receive(ctx, s) })
	}
	for _, p := range r.pubs {
		reading.Go(func() { r.takeAcks(ctx, p) })
		publishing.Go(func() { r.publish(ctx, p) })
	}
	sleep(ctx, t.warmUp)
	result, err := r.measure(ctx, s, t.measured)
	close(r.stop)
	publishing.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = errors.Join(fmt.Errorf("put a load on %s: %w", s.kind, cause), err)
	}
	fail(nil) // what ends from now on may
	reading.Wait()
	if err != nil {
		return nil, err
	}
	r.sum(result)
	return result, nil
}

// connect brings the subscribers first, so that nothing is published to nobody.
func (r *loadRun) connect(ctx context.Context, s *server, site *site) error {
	for i := range r.publishers {
		r.pubs = append(r.pubs, &publisher{index: i, topic: r.topic(i), room: make(chan struct{}, 1)})
	}
	for i := range r.subscribers {
		c, err := site.devices[subscriberName(i)].dial(ctx, s.address, 64<<10)
		if err != nil {
			return err
		}
		sub := &subscriber{client: c, streams: make([]*stream, r.publishers)}
		r.subs = append(r.subs, sub)
		for j, p := range r.pubs {
			if i == j || !r.apart {
				sub.streams[j] = &stream{from: p}
				p.streams = append(p.streams, sub.streams[j])
			}
		}
		if err := c.subscribe(r.filter(i), r.qos); err != nil {
			return err
		}
	}
	for i, p := range r.pubs {
		c, err := site.devices[publisherName(i)].dial(ctx, s.address, 16<<10)
		if err != nil {
			return err
		}
		p.client = c
	}
	return nil
}

func (r *loadRun) measure(ctx context.Context, s *server, measured time.Duration) (*traffic, error) {
	cpu, err := s.cpu()
	if err != nil {
		return nil, err
	}
	began, before := time.Now(), r.delivered()
	r.measuring.Store(true)
	sleep(ctx, measured)
	r.measuring.Store(false)
	after, err := s.cpu()
	t := &traffic{delivered: r.delivered() - before, took: time.Since(began), cpu: after - cpu}
	if err == nil && t.delivered == 0 {
		err = s.failed(errors.New("delivered nothing"))
	}
	return t, err
}

func (r *loadRun) delivered() (n uint64) {
	for _, s := range r.subs {
		n += s.delivered.Load()
	}
	return n
}

// sum adds up what went wrong and the latencies, when all has ended.
func (r *loadRun) sum(t *traffic) {
	for _, s := range r.subs {
		t.latency.merge(&s.latency)
	}
	for _, p := range r.pubs {
		for _, st := range p.streams {
			t.wrong.add(st.end(p.sent))
		}
		if r.qos > 0 {
			t.wrong.unacked += p.sent - p.acked.Load()
		}
	}
}

// close ends all connections, and so their readers.
func (r *loadRun) close() {
	for _, s := range r.subs {
		_ = s.NetConn().Close()
	}
	for _, p := range r.pubs {
		if p.client != nil {
			_ = p.NetConn().Close()
		}
	}
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
