package gpio

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// actuator is an output of any kind, with its contract.
type actuator struct {
	name, kind, pin string   // pin as the file writes it
	thing, key      string   // whose shadow drives it; empty: none
	partners        []string // its interlock, as the file writes it
	path            string   // of its entry in the group file
	line            string   // the one name of its pin
	scale           scale
	contract        contract
	// check returns the line or channel that it takes, or what the board cannot do of it.
	check func(board) (any, error)
	// claim claims the line and drives it at once. It tells who makes pulses, if
	// there are any.
	claim   func(board, level) (drive, string, error)
	bank    *Bank
	binding *binding // nil: no shadow drives it

	mu         sync.Mutex
	board      board
	out        drive  // nil: not claimed, or lost
	pulses     string // who makes the pulses: kernel pwmchip0/0, or software
	level      level  // what the line was driven to last; it is never read back
	want       level  // what it is to be, but for blinking
	wish       *level // what its shadow desires, and the contract holds back
	turn       uint64 // counts the commands: blinking ends with the next
	stopped    bool   // at its safe level for good
	clocks     clocks
	failure    failure           // while out is lost
	violations map[string]uint64 // by reason
	told       time.Time         // when one was told last
	cutOff     uint64            // how often max_on has turned it off
}

// open claims the line at its safe level.
func (a *actuator) open(board board) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	// Nobody is on yet that would have to go off first: configs sees to it that of
	// an interlock one is on at most when all are safe.
	if a.contract.safe.on {
		if other := a.bank.interlock.take(a); other != nil {
			return fmt.Errorf("it may not be on while %q is on", other.name)
		}
	}
	out, pulses, err := a.claim(board, a.contract.safe)
	if err != nil {
		return err
	}
	a.board, a.out, a.pulses, a.want = board, out, pulses, a.contract.safe
	a.took(a.contract.safe)
	// How long it was off before this process is not known: so not at all.
	a.clocks.since = time.Now()
	return nil
}

// command carries out what a message or a person says. What cannot be carried
// out now is refused and forgotten.
func (a *actuator) command(word []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	to, err := a.scale.command(word, a.want)
	if err != nil {
		return refuse(BadPayload, "%v", err)
	}
	if err := a.ready(); err != nil {
		return err
	}
	a.hear()
	before, wish := a.want, a.wish
	err = a.keep(to)
	switch refusal := refused(err); {
	case err == nil:
		return nil
	case refusal != nil:
		a.violated(refusal, "command")
		return refusal
	}
	a.want, a.wish = before, wish
	return refuse(PinFault, "the pin %s of %q failed: %v", a.pin, a.name, err)
}

// follow takes the level that a shadow desires. One that has failed will have it
// when it works again, and one whose contract holds it back when it may.
func (a *actuator) follow(to level) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.stopped {
		a.hear()
		a.obey(to, "shadow")
	}
}

// misread notes a desired value that is no level of a, which stays as it is.
func (a *actuator) misread(value json.RawMessage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.violated(refuse(BadPayload, "%s is no level of %q", clip(string(value)), a.name), "shadow")
}

// obey makes a go to a level now, or as soon as the contract allows it; a is
// locked, as for all below.
func (a *actuator) obey(to level, by string) {
	if refusal := refused(a.keep(to)); refusal != nil {
		a.violated(refusal, by)
		wish := to
		a.wish = &wish
	}
	if by != "shadow" {
		a.moved()
	}
}

// hear notes a word of the controller.
func (a *actuator) hear() {
	a.clocks.heard = time.Now()
	if a.contract.timed() {
		wake(a.bank.due)
	}
}

// at tells whether the line is at that level, and whether it works at all.
func (a *actuator) at(l level) (there, works bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.want == l && a.wish == nil, !a.stopped && a.out != nil
}

// now returns the level that a is to be at, blinking apart.
func (a *actuator) now() level {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.want
}

// ready returns nil or a *Refusal.
func (a *actuator) ready() error {
	switch {
	case a.stopped || a.board == nil:
		return refuse(PinStopped, "%q is not served now", a.name)
	case a.out == nil:
		return refuse(PinFault, "the pin %s of %q does not work: %s", a.pin, a.name, a.failure.problem)
	}
	return nil
}

// keep makes l the level that a keeps. Its error is a *Refusal when the contract
// forbids it, and then nothing has changed; else a will have it when it works
// again.
func (a *actuator) keep(l level) error {
	a.turn++
	err := a.write(l)
	if refused(err) == nil {
		a.want, a.wish = l, nil
		a.leave()
	}
	return err
}

// leave lets the partners of a go on when a is off for good: not while it blinks.
func (a *actuator) leave() {
	if a.out != nil && !a.level.on && !a.want.on && a.bank.interlock.leave(a) {
		wake(a.bank.due)
	}
}

var errLost = errors.New("the pin does not work")

// write drives the line when it has another level. It is the one place where a
// line goes on while the process lives, and asks the contract.
func (a *actuator) write(l level) error {
	switch {
	case a.out == nil:
		return errLost
	case l == a.level:
		return nil
	case l.on && !a.level.on:
		if r := a.forbidden(time.Now()); r != nil {
			return r
		}
	}
	if err := a.out.Set(l); err != nil {
		a.lose(err)
		return err
	}
	a.took(l)
	return nil
}

// took notes the level that the line has taken.
func (a *actuator) took(l level) {
	if l.on != a.level.on {
		a.clocks.since = time.Now()
		if a.contract.timed() {
			wake(a.bank.due)
		}
	}
	a.level = l
	a.bank.o.Changed(a.name, l.on)
}

// lose gives up a line that failed; it will be claimed anew.
func (a *actuator) lose(err error) {
	a.out.Close()
	a.out = nil
	a.failure.add(time.Now(), err)
	a.bank.log.Error("A pin failed", "pin", a.name, "line", a.line, "err", err)
	wake(a.bank.due)
}

// mend claims a line that failed when its time has come.
func (a *actuator) mend(now time.Time) {
	if now.Before(a.failure.next) {
		return
	}
	to := a.want
	if to.on && !a.level.on {
		if r := a.forbidden(now); r != nil {
			a.violated(r, "mend")
			wish := to
			a.wish, a.want, to = &wish, level{}, level{}
			a.moved()
		}
	}
	out, pulses, err := a.claim(a.board, to)
	if err != nil {
		a.failure.add(now, err)
		return
	}
	a.out, a.pulses, a.failure = out, pulses, failure{}
	a.took(to)
	a.leave()
	a.bank.log.Info("The pin works again", "pin", a.name, "line", a.line)
	wake(a.bank.owed)
}

// stop drives the line to its safe level, which it then keeps. It waits for no
// min_off, but the interlock counts.
func (a *actuator) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped || a.board == nil {
		return
	}
	safe := a.contract.safe
	a.stopped, a.want, a.wish = true, safe, nil
	a.turn++
	var err error
	if other := a.partnerOn(safe); other != nil {
		err = fmt.Errorf("%q may not be on while %q may be on", a.name, other.name)
	} else if a.out == nil { // it may work by now
		a.out, a.pulses, err = a.claim(a.board, safe)
	} else {
		err = a.out.Set(safe) // even if it should have that level: this is for safety
	}
	if err != nil {
		a.bank.log.Error("A pin did not take its safe level", "pin", a.name, "line", a.line, "err", err)
		return
	}
	a.took(safe)
	a.leave()
}

// partnerOn returns a partner because of which a may not take the level.
func (a *actuator) partnerOn(l level) *actuator {
	if !l.on || a.level.on {
		return nil
	}
	return a.bank.interlock.take(a)
}

func (a *actuator) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.out != nil {
		a.out.Close()
		a.out = nil
	}
}
