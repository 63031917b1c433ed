package gpio

import (
	"context"
	"time"
)

// How Identify blinks.
const (
	blinks    = 5
	blinkHalf = 200 * time.Millisecond // on, and off, each
)

// Identify blinks the output of that name for two seconds, so that a person finds
// it, and leaves it as it is to be. It returns when that is done, or when a
// command takes the output over. Its error is a *Refusal or that of ctx: the
// contract of the output is in force, so one with a min_off does not blink, nor
// one whose partner is on. A servo does not blink, because it would move.
func (b *Bank) Identify(ctx context.Context, name string) error {
	a, err := b.output(name)
	if err != nil {
		return err
	}
	turn, from, err := a.beginBlink()
	if err != nil {
		return err
	}
	other := level{}
	if !from.on {
		other = a.bright()
	}
	for i := range 2 * blinks {
		to := other
		if i%2 == 1 {
			to = from
		}
		if mine, err := a.blink(turn, to); !mine || err != nil {
			return err
		}
		if !pause(ctx, blinkHalf) {
			break
		}
	}
	if err := a.endBlink(turn); err != nil {
		return err
	}
	return ctx.Err()
}

// bright is the level at which a is seen best.
func (a *actuator) bright() level {
	if _, ok := a.scale.(percent); ok {
		return level{on: true, amount: 100}
	}
	return level{on: true}
}

// beginBlink returns the number of the turn, and the level to begin from.
func (a *actuator) beginBlink() (turn uint64, from level, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, turns := a.scale.(degrees); turns {
		return 0, from, refuse(NoOutput, "%q is a servo, which would move", a.name)
	}
	if err := a.ready(); err != nil {
		return 0, from, err
	}
	if a.contract.minOff > 0 {
		r := refuse(MinOff, "%q does not blink: it stays off for %v each time", a.name, a.contract.minOff)
		a.violated(r, "identify")
		return 0, from, r
	}
	a.turn++
	return a.turn, a.level, nil
}

// blink drives the line as long as it is the turn of the one who blinks.
func (a *actuator) blink(turn uint64, to level) (mine bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.turn != turn {
		return false, nil
	}
	err = a.write(to)
	a.leave()
	switch refusal := refused(err); {
	case err == nil:
		return true, nil
	case refusal != nil:
		a.violated(refusal, "identify")
		return true, refusal
	}
	return true, refuse(PinFault, "the pin %s of %q failed: %v", a.pin, a.name, err)
}

// endBlink gives the line back the level that it is to have.
func (a *actuator) endBlink(turn uint64) error {
	a.mu.Lock()
	want := a.want
	a.mu.Unlock()
	_, err := a.blink(turn, want)
	return err
}
