package telemetry

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"greengate/core/sqlite"
)

// uploader reads messages ahead and sends them. The goroutine of Run owns queues; the
// rest is guarded by Spool.mu.
type uploader struct {
	s      *Spool
	queues [lanes]*queue
	turn   int // counts what was sent, for the lanes' shares

	// stale ends the Sends that were begun before something came back that has to
	// go first.
	stale func()
	calls context.Context // for Send; ended by stale

	flights   map[*flight]struct{}
	unsettled int // messages in flight or leaving
	again     bool
	recheck   bool                // what was read is to be judged anew
	rewound   map[streamKey]int64 // what was sent after this seq is to be sent again
	cuts      map[int64]*cut
	alone     *flight // nothing else is sent while it is in flight
	connected bool    // when last looked
	acked     int     // messages, on this connection
	pause     time.Duration
	until     time.Time // nothing is sent before
	refusal   error     // the reason of the pause
}

func (u *uploader) init() {
	u.flights = map[*flight]struct{}{}
	u.rewound = map[streamKey]int64{}
	u.cuts = map[int64]*cut{}
	for lane := range lanes {
		u.queues[lane] = newQueue(lane)
	}
}

// Between two tries after the cloud refused a message for now.
const (
	firstPause = time.Second
	lastPause  = time.Minute
	// unsent is the pause after a message that the link did not take.
	unsent = 10 * time.Millisecond
	// look is how often the uploader looks without being told.
	look = time.Minute
)

// run sends until ctx ends.
func (u *uploader) run(ctx context.Context) {
	u.s.mu.Lock()
	u.calls, u.stale = context.WithCancel(ctx)
	u.s.mu.Unlock()
	defer func() { u.stale(); u.s.intake.hurry() }()
	for ctx.Err() == nil {
		changed := u.s.o.Link.Changed() // before the look at Connected
		u.recheckQueues()
		wait := look
		if ready, due := u.ready(ctx); !ready {
			u.s.intake.hurry()
			if due > 0 {
				wait = min(wait, due)
			}
		} else {
			u.fill(ctx)
			f, due := u.next()
			if f == nil {
				f = u.early()
			}
			if f != nil {
				u.send(f)
				continue
			}
			if due > 0 {
				wait = min(wait, due)
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-u.s.kick:
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// ready reports whether something may be sent. When what was sent has to be sent
// again, it first waits for the end of all that is in flight, and then begins anew
// with what is on the disk: so nothing can overtake.
func (u *uploader) ready(ctx context.Context) (ok bool, due time.Duration) {
	connected := u.s.o.Link.Connected()
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	if connected != u.connected { // what comes from now on is live
		u.connected, u.again = connected, u.again || connected
	}
	if u.again {
		if len(u.flights) > 0 {
			return false, 0
		}
		u.reset()
		u.stale()
		u.calls, u.stale = context.WithCancel(ctx)
	}
	return connected && !time.Now().Before(u.until) && u.unsettled < u.s.o.Bounds.Unsettled, time.Until(u.until)
}

// restart has the uploader begin anew.
func (u *uploader) restart() {
	u.s.mu.Lock()
	u.again = true
	u.s.mu.Unlock()
	u.s.wake()
}

// comesBack notes that something that was sent has to be sent again, before anything
// else. The caller holds s.mu.
func (u *uploader) comesBack() {
	u.again = true
	u.stale()
}

// reset forgets what was read, except what is leaving. The caller holds s.mu.
func (u *uploader) reset() {
	u.again, u.acked = false, 0
	clear(u.rewound)
	for seq, it := range u.s.held {
		if !it.gone {
			delete(u.s.held, seq)
		}
	}
	for lane, q := range u.queues {
		q.reset(u.s.committed[lane])
	}
	u.s.intake.takeBack()
	if len(u.cuts) > maxCuts {
		clear(u.cuts)
	}
}

// fill reads ahead what the lanes lack.
func (u *uploader) fill(ctx context.Context) {
	for _, q := range u.queues {
		if err := u.fillQueue(ctx, q); err != nil && ctx.Err() == nil {
			u.s.log.Error("The spool cannot be read", "err", err)
			u.s.mu.Lock()
			u.until = time.Now().Add(firstPause) // a disk that fails is not asked without end
			u.s.mu.Unlock()
		}
	}
}

func (u *uploader) fillQueue(ctx context.Context, q *queue) error {
	ahead := u.s.o.Bounds.ReadAhead
	u.s.mu.Lock()
	committed, live := u.s.committed[q.lane], u.s.live
	u.s.mu.Unlock()
	for more := !filled(q.items, ahead/2+1); more && q.cursor < committed; {
		before, had := q.cursor, len(q.items)
		if err := u.read(ctx, q, q.cursor, ahead-len(q.items), q.add); err != nil {
			return err
		}
		if q.cursor == before {
			q.cursor = committed // what was there has left
		}
		more = len(q.items) == had // of what cannot be read there may be much
	}
	if live && q.wantsLive(committed, ahead) {
		return u.read(ctx, q, q.live.cursor, ahead/4, q.addLive)
	}
	return nil
}

// read reads rows of a lane and hands to add those that nobody has in hand.
func (u *uploader) read(ctx context.Context, q *queue, after int64, limit int, add func(it *item, held bool) (keep bool)) error {
	var items []*item
	return u.s.view(ctx, func(tx *sqlite.Tx) (err error) {
		items, err = u.s.items(tx, q.lane, after, limit)
		return err
	}, func() {
		for _, it := range items {
			it.route = u.s.routeByID(it.routeID)
			_, held := u.s.held[it.seq]
			if !held && it.damaged { // a bit has flipped, or somebody has written there
				held = true
				u.s.held[it.seq] = it
				u.give(it, Quarantined, ReasonQuarantine, it.damage())
			}
			held = held || it.locked != "" // it waits for its key, and nothing for it
			if add(it, held) {
				u.s.held[it.seq] = it
			}
		}
	})
}

// give has an item leave. It is in hand until its row has left, which may take a while, so
// what it says is let go of: quarantine reads the row. The caller holds s.mu.
func (u *uploader) give(it *item, v Verdict, reason, cause string) {
	it.gone = true
	delete(u.cuts, it.seq)
	l := leave{it.seq, it.lane, it.size(), cause, end{it.route, v, reason}}
	it.payload, it.properties, it.front, it.sealed = nil, nil, nil, nil
	if !u.s.intake.ended(it, l) {
		u.s.leaving.add(l)
	}
}

// send hands a flight to the link.
func (u *uploader) send(f *flight) {
	s := u.s
	p, err := s.publish(f)
	if err == nil {
		err = s.o.Link.Check(p.Topic, len(p.Payload))
	}
	if err != nil {
		u.refuse(f, err.Error())
		return
	}
	calls := u.takeOff(f)
	s.at(pointSend)
	err = s.o.Link.Send(calls, p, func(err error) { u.finish(f, err) })
	if err == nil {
		s.at(pointSent)
		return
	}
	s.mu.Lock()
	u.landed(f)
	u.again = true // it is at the head again, and so is what else was read
	u.until = later(u.until, time.Now().Add(unsent))
	s.mu.Unlock()
	var never *Never
	switch {
	case errors.As(err, &never):
		u.refuse(f, never.Error())
	case !errors.Is(err, ErrOffline) && calls.Err() == nil:
		u.backOff(err)
	}
}

// backOff pauses the sending, the longer the more often.
func (u *uploader) backOff(err error) {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	if time.Now().Before(u.until) && u.refusal != nil {
		return // the others of the same window
	}
	u.pause = min(max(firstPause, 2*u.pause), lastPause)
	// Full jitter, but never at once: AWS counts by the second.
	u.until = time.Now().Add(u.pause/2 + rand.N(u.pause/2))
	u.refusal = err
	u.s.log.Warn("The cloud refuses messages for now", "err", err)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// linger gives what is in flight the time to be acknowledged.
func (u *uploader) linger() {
	for end := time.Now().Add(time.Second); ; {
		u.s.mu.Lock()
		n := len(u.flights)
		u.s.mu.Unlock()
		left := time.Until(end)
		if n == 0 || left <= 0 || !u.s.o.Link.Connected() {
			return
		}
		select {
		case <-u.s.kick:
		case <-time.After(left):
		}
	}
}
