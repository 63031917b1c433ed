package gpio

import (
	"context"
	"errors"
	"sync"
	"time"
)

// How Identify blinks.
const (
	blinks    = 5
	blinkHalf = 200 * time.Millisecond // on, and off, each
)

// led is an output that is on or off.
type led struct {
	LED
	path string // of its pin in the group file
	line string // the one name of its pin
	safe bool
	bank *Bank

	mu      sync.Mutex
	board   board
	out     output  // nil: not claimed, or lost
	level   bool    // what the line was driven to last; it is never read back
	want    bool    // what it is to be, but for blinking
	turn    uint64  // counts the commands: blinking ends with the next
	stopped bool    // at its safe level for good
	failure failure // while out is lost
}

func newLED(b *Bank, c LED, path string) *led {
	line, err := Line(c.Pin)
	if err != nil {
		line = c.Pin // the board will say that it does not exist
	}
	return &led{LED: c, path: path, line: line, safe: c.Safe == "on", bank: b}
}

// open claims the line at its safe level.
func (l *led) open(board board) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	out, err := board.output(l.line, l.safe)
	if err != nil {
		return err
	}
	l.board, l.out, l.want = board, out, l.safe
	l.took(l.safe)
	return nil
}

// command carries out a command of a message or a person. One that cannot be
// carried out now is refused and forgotten.
func (l *led) command(c command) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.ready(); err != nil {
		return err
	}
	before := l.want
	if err := l.keep(c == turnOn || c == toggle && !l.want); err != nil {
		l.want = before
		return refuse(PinFault, "the pin %s of %q failed: %v", l.Pin, l.Name, err)
	}
	return nil
}

// follow takes the level that a shadow desires, and tells whether the line has
// it. One that has failed will have it when it works again.
func (l *led) follow(on bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.stopped && l.keep(on) == nil
}

// works tells whether the line is at the level that it is to be.
func (l *led) works() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.stopped && l.out != nil
}

// ready returns nil or a *Refusal; l is locked, as for all below.
func (l *led) ready() error {
	switch {
	case l.stopped || l.board == nil:
		return refuse(PinStopped, "%q is not served now", l.Name)
	case l.out == nil:
		return refuse(PinFault, "the pin %s of %q does not work: %s", l.Pin, l.Name, l.failure.problem)
	}
	return nil
}

// keep makes on the level that l keeps.
func (l *led) keep(on bool) error {
	l.want = on
	l.turn++
	return l.write(on)
}

var errLost = errors.New("the pin does not work")

// write drives the line when it has the other level.
func (l *led) write(on bool) error {
	switch {
	case l.out == nil:
		return errLost
	case on == l.level:
		return nil
	}
	if err := l.out.Set(on); err != nil {
		l.lose(err)
		return err
	}
	l.took(on)
	return nil
}

// took notes the level that the line has taken.
func (l *led) took(on bool) {
	l.level = on
	l.bank.o.Changed(l.Name, on)
}

// lose gives up a line that failed; it will be claimed anew.
func (l *led) lose(err error) {
	l.out.Close()
	l.out = nil
	l.failure.add(time.Now(), err)
	l.bank.log.Error("A pin failed", "pin", l.Name, "line", l.line, "err", err)
	wake(l.bank.faulty)
}

// mend claims a line that failed when its time has come. It returns when to
// try again, and whether the line still fails.
func (l *led) mend() (next time.Time, failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case l.stopped || l.out != nil || l.board == nil:
		return now, false
	case now.Before(l.failure.next):
		return l.failure.next, true
	}
	out, err := l.board.output(l.line, l.want)
	if err != nil {
		l.failure.add(now, err)
		return l.failure.next, true
	}
	l.out, l.failure = out, failure{}
	l.took(l.want)
	l.bank.log.Info("The pin works again", "pin", l.Name, "line", l.line)
	wake(l.bank.owed)
	return now, false
}

// stop drives the line to its safe level, which it then keeps.
func (l *led) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || l.board == nil {
		return
	}
	l.stopped, l.want = true, l.safe
	l.turn++
	var err error
	if l.out == nil { // it may work by now
		l.out, err = l.board.output(l.line, l.safe)
	} else {
		err = l.out.Set(l.safe) // even if it should have that level: this is for safety
	}
	if err != nil {
		l.bank.log.Error("A pin did not take its safe level", "pin", l.Name, "line", l.line, "err", err)
		return
	}
	l.took(l.safe)
}

func (l *led) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out != nil {
		l.out.Close()
		l.out = nil
	}
}

// Identify blinks the LED of that name for two seconds, so that a person finds
// it, and leaves it as it is to be. It returns when that is done, or when a
// command takes the LED over. Its error is a *Refusal or that of ctx.
func (b *Bank) Identify(ctx context.Context, name string) error {
	l, err := b.output(name)
	if err != nil {
		return err
	}
	turn, on, err := l.beginBlink()
	if err != nil {
		return err
	}
	for range 2 * blinks {
		on = !on
		if mine, err := l.blink(turn, on); !mine || err != nil {
			return err
		}
		if !pause(ctx, blinkHalf) {
			break
		}
	}
	if err := l.endBlink(turn); err != nil {
		return err
	}
	return ctx.Err()
}

// beginBlink returns the number of the turn, and the level to begin from.
func (l *led) beginBlink() (turn uint64, on bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.ready(); err != nil {
		return 0, false, err
	}
	l.turn++
	return l.turn, l.level, nil
}

// blink drives the line as long as it is the turn of the one who blinks.
func (l *led) blink(turn uint64, on bool) (mine bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.turn != turn {
		return false, nil
	}
	if err := l.write(on); err != nil {
		return true, refuse(PinFault, "the pin %s of %q failed: %v", l.Pin, l.Name, err)
	}
	return true, nil
}

// endBlink gives the line back the level that it is to have.
func (l *led) endBlink(turn uint64) error {
	l.mu.Lock()
	want := l.want
	l.mu.Unlock()
	_, err := l.blink(turn, want)
	return err
}
