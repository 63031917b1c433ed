package functions

import (
	"context"
	"fmt"
	"time"
)

// run starts and ends instances until ctx ends or the function leaves the file, and
// returns when none is left.
func (f *function) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	over := ctx.Done()
	var grace <-chan time.Time
	for {
		wait, live := f.tend(ctx)
		if !live {
			f.answers.Wait()
			return
		}
		timer.Reset(wait)
		select {
		case <-f.kick:
		case <-timer.C:
		case <-over:
			over = nil
			f.stop()
			grace = time.After(f.m.o.Bounds.Grace)
		case <-grace:
			f.mu.Lock()
			f.endAll(whyStop)
			f.unlock()
		}
	}
}

// forever is how long the goroutine of a function waits when nothing is to come.
const forever = 24 * time.Hour

// tend does what is due, and returns how long to wait for what comes next; false: the
// function has ended.
func (f *function) tend(ctx context.Context) (wait time.Duration, live bool) {
	f.mu.Lock()
	defer f.unlock()
	now := time.Now()
	if f.phase != working && len(f.instances) == 0 {
		f.giveUpAll() // what came back at the end
		return 0, false
	}
	next := now.Add(forever)
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	f.revive(now)
	sooner(f.nextDue())
	sooner(f.expire(now))
	if f.phase == working {
		sooner(f.ring(now))
	}
	f.dispatch(now)
	sooner(f.launch(ctx, now))
	sooner(f.retire(now))
	f.wakeAt = next
	return max(0, time.Until(next)), true
}

// nextDue is when a call is tried again; zero: none. The caller holds f.mu.
func (f *function) nextDue() (due time.Time) {
	for c := f.later.first; c != nil; c = c.next {
		if due.IsZero() || c.due.Before(due) {
			due = c.due
		}
	}
	return due
}

// expire ends waiting calls whose time has run out, and returns when the next one's
// does; zero: never. The caller holds f.mu.
func (f *function) expire(now time.Time) (first time.Time) {
	for _, l := range []*list{&f.waiting, &f.later} {
		for c := l.first; c != nil; {
			next := c.next
			switch {
			case c.expires.IsZero():
			case c.expired(now):
				f.close(c, end{verdict: Expired, reason: ReasonTTL})
			case first.IsZero() || c.expires.Before(first):
				first = c.expires
			}
			c = next
		}
	}
	return first
}

// launch starts the instances that have work to do, and returns when to look again; zero:
// when something happens. The caller holds f.mu.
func (f *function) launch(ctx context.Context, now time.Time) time.Time {
	if f.phase != working {
		return time.Time{}
	}
	for len(f.instances) < f.most() {
		var at time.Time
		if f.c.Pinned {
			at = f.startAfter
		} else if f.waiting.n > 0 {
			at = f.relief(now)
		} else {
			return time.Time{}
		}
		if now.Before(at) || !f.c.Pinned && at.IsZero() {
			return at
		}
		in := &instance{
			f: f, c: f.c, version: f.version, begun: now, quit: make(chan struct{}), started: make(chan struct{}),
			name: fmt.Sprintf("%s/%d", f.name, f.m.starts.Add(1)),
		}
		f.instances = append(f.instances, in)
		f.starting++
		go in.run(ctx)
	}
	return time.Time{}
}

// retire ends instances that nobody has called for a while, that do not come up, or that
// do not ask for the calls that wait; and returns when the next one's time is over; zero:
// none. The caller holds f.mu.
func (f *function) retire(now time.Time) (first time.Time) {
	for _, in := range f.instances {
		var at time.Time
		why := whyIdle
		switch {
		case in.between() && f.waiting.n > 0:
			at, why = in.freeSince.Add(f.c.Timeout), whySilent
		case in.closing || f.c.Pinned: // that may work without ever asking, as in Greengrass V1
			continue
		case !in.ready:
			at, why = in.begun.Add(f.m.o.Bounds.Init), whyInit
		case in.waiter != nil:
			at = in.idleSince.Add(f.c.Idle)
		default:
			continue
		}
		if !now.Before(at) {
			in.end(why)
		} else if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// reload takes up another configuration: if it asks for other instances, those that there
// are end when they have answered, and others start. The caller holds f.mu.
func (f *function) reload(c Config) error {
	recode := f.c.Encoding != c.Encoding
	others, err := f.configure(c)
	if err != nil {
		return err
	}
	f.wake()
	if !others {
		f.log.Info("The function has other settings")
		return nil
	}
	f.log.Info("The function has changed; it starts anew")
	if recode {
		for _, l := range []*list{&f.waiting, &f.later} {
			for c := l.first; c != nil; c = c.next {
				c.unfit = !f.fits(c.payload)
			}
		}
	}
	f.failures, f.startAfter = 0, time.Time{}
	f.endUnused(whyReload)
	return nil
}

// endUnused ends the instances that have no call. The caller holds f.mu.
func (f *function) endUnused(why string) {
	for _, in := range f.instances {
		if in.call == nil {
			in.end(why)
		}
	}
}

// endAll ends all instances. The caller holds f.mu.
func (f *function) endAll(why string) {
	for _, in := range f.instances {
		in.end(why)
	}
}

// remove ends a function that is not in the file any more. Its instances answer what
// they have; what waits is given up, or goes to quarantine.
func (f *function) remove() {
	f.mu.Lock()
	defer f.unlock()
	f.phase = leaving
	f.giveUpAll()
	f.endUnused(whyReload)
	f.wake()
}

// stop ends a function with the gateway. Its instances answer what they have, what is
// durable stays on the disk, and the rest is given up.
func (f *function) stop() {
	f.mu.Lock()
	defer f.unlock()
	f.phase = stopping
	f.giveUpAll()
	f.endUnused(whyStop)
	f.wake()
}

// giveUpAll ends the calls that nobody will make: all of a function that is gone, and at
// the end of the gateway those that are not on the disk. The caller holds f.mu.
func (f *function) giveUpAll() {
	f.closeAll(func(c *call) (end, bool) {
		switch {
		case f.phase == stopping:
			return end{verdict: Dropped, reason: ReasonStopped}, !c.durable
		case c.damaged:
			return damaged, true
		case c.durable:
			return end{verdict: Quarantined, reason: ReasonGone, failure: Failure{Message: "the group file has no function of this name any more"}}, true
		}
		return end{verdict: Dropped, reason: ReasonGone}, true
	})
}

// closeAll ends the waiting calls that judge wants ended. The caller holds f.mu.
func (f *function) closeAll(judge func(*call) (end, bool)) {
	for _, l := range []*list{&f.waiting, &f.later} {
		for c := l.first; c != nil; {
			next := c.next
			if e, ok := judge(c); ok {
				f.close(c, e)
			}
			c = next
		}
	}
}
