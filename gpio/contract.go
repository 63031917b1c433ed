package gpio

import (
	"context"
	"log/slog"
	"time"
)

// contract is what the group file promises of an output, whoever drives it. It
// is kept where the line is written, below messages, shadows and people.
type contract struct {
	safe   level
	hold   time.Duration // as in Output; so are these
	maxOn  time.Duration
	minOff time.Duration
}

// timed tells whether anything is to be done about it later.
func (c *contract) timed() bool { return c.hold > 0 || c.maxOn > 0 || c.minOff > 0 }

// clocks are the times of an output that its contract is about.
type clocks struct {
	heard time.Time // its controller; zero: not since it went to its safe level
	since time.Time // it is on, or it is off
}

// forbidden returns a *Refusal when a may not go on now, and nil when it may: then
// a is in its interlock, and its partners cannot. a is locked and off.
func (a *actuator) forbidden(now time.Time) *Refusal {
	if left := a.clocks.since.Add(a.contract.minOff).Sub(now); a.contract.minOff > 0 && left > 0 {
		return refuse(MinOff, "%q stays off for another %v: min_off is %v", a.name, left.Round(time.Millisecond), a.contract.minOff)
	}
	if other := a.bank.interlock.take(a); other != nil {
		return refuse(Interlocked, "%q may not be on while %q is on, or fails while it may be on", a.name, other.name)
	}
	return nil
}

// tellEvery is how often the log tells that a pin refuses commands.
const tellEvery = time.Minute

// violated counts and tells a refusal by the contract; a is locked.
func (a *actuator) violated(r *Refusal, by string) {
	if a.violations == nil {
		a.violations = map[string]uint64{}
	}
	a.violations[r.Reason]++
	at := slog.LevelDebug
	if now := time.Now(); a.told.IsZero() || now.Sub(a.told) >= tellEvery {
		a.told, at = now, slog.LevelInfo
	}
	a.bank.log.Log(context.Background(), at, "A pin refused a command", "pin", a.name, "line", a.line,
		"from", by, "reason", r.Reason, "count", a.violations[r.Reason], "err", r.Detail)
}

// attend keeps the contracts in time and mends what fails, until ctx is cancelled.
func (b *Bank) attend(ctx context.Context) {
	timer := time.NewTimer(lastRetry)
	defer timer.Stop()
	for {
		wait := lastRetry
		for _, a := range b.actuators {
			if next, any := a.attend(time.Now()); any {
				// Whatever a pin thinks, this is no busy loop.
				wait = min(wait, max(time.Until(next), time.Millisecond))
			}
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-b.due:
		case <-timer.C:
		}
	}
}

// attend does what is due, and returns when there is something to do again.
func (a *actuator) attend(now time.Time) (next time.Time, any bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped || a.board == nil {
		return now, false
	}
	if a.out != nil {
		if err := a.out.Err(); err != nil {
			a.lose(err)
		}
	}
	if a.out == nil {
		a.mend(now)
	}
	a.keepHold(now)
	a.keepMaxOn(now)
	a.keepWish(now)
	return a.next(now)
}

// next returns the first time of those that a waits for.
func (a *actuator) next(now time.Time) (next time.Time, any bool) {
	add := func(t time.Time) {
		if !any || t.Before(next) {
			next, any = t, true
		}
	}
	if a.out == nil {
		add(a.failure.next)
	}
	if c := &a.contract; c.hold > 0 && !a.clocks.heard.IsZero() {
		add(a.clocks.heard.Add(c.hold))
	}
	if a.contract.maxOn > 0 && a.out != nil && a.level.on {
		add(a.clocks.since.Add(a.contract.maxOn))
	}
	// A wish that the interlock holds back is looked at when a partner goes off.
	if free := a.clocks.since.Add(a.contract.minOff); a.wish != nil && free.After(now) {
		add(free)
	}
	return next, any
}

// keepHold makes a safe when its controller has been silent for too long.
func (a *actuator) keepHold(now time.Time) {
	c := &a.contract
	if c.hold == 0 || a.clocks.heard.IsZero() || now.Sub(a.clocks.heard) < c.hold {
		return
	}
	a.clocks.heard = time.Time{}
	if a.want == c.safe && a.wish == nil {
		return
	}
	a.bank.log.Info("A pin goes to its safe level: its controller is silent", "pin", a.name, "line", a.line, "hold", c.hold)
	a.obey(c.safe, "hold")
}

// keepMaxOn turns a off when it has been on for long enough. That is no matter
// of its safe level.
func (a *actuator) keepMaxOn(now time.Time) {
	c := &a.contract
	if c.maxOn == 0 || a.out == nil || !a.level.on || now.Sub(a.clocks.since) < c.maxOn {
		return
	}
	a.bank.log.Info("A pin goes off: it was on for as long as it may", "pin", a.name, "line", a.line, "max_on", c.maxOn)
	a.cutOff++
	if a.keep(level{}) == nil {
		a.moved()
	}
}

// keepWish gives a the level that its shadow desires and its contract has held
// back until now.
func (a *actuator) keepWish(now time.Time) {
	if a.wish == nil || a.out == nil || now.Before(a.clocks.since.Add(a.contract.minOff)) {
		return
	}
	wish := *a.wish
	if a.keep(wish) != nil {
		if a.out != nil {
			a.wish = &wish // the interlock still holds it back
		}
		return
	}
	a.bank.log.Info("A pin takes the level that was held back", "pin", a.name, "line", a.line)
	a.moved()
}

// moved has the shadow of a told that a is not, or again, what was desired.
func (a *actuator) moved() {
	if a.binding != nil {
		a.binding.moved.Store(true)
		a.binding.hurry()
		wake(a.bank.owed)
	}
}
