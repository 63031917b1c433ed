package gpio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// button is an input that publishes when it is pressed and released.
type button struct {
	Button
	path string // of its pin in the group file
	line string // the one name of its pin
	bank *Bank

	// Of the goroutine that watches it.
	in     input
	steady debounce

	mu      sync.Mutex
	board   board
	pressed bool
	failure failure

	pressing chan struct{} // full while somebody presses it
	news     chan struct{} // wakes the Press that waits for its effect
}

func newButton(b *Bank, c Button, path string) *button {
	line, err := Line(c.Pin)
	if err != nil {
		line = c.Pin // the board will say that it does not exist
	}
	return &button{Button: c, path: path, line: line, bank: b, steady: debounce{hold: c.Debounce}, pressing: make(chan struct{}, 1), news: make(chan struct{}, 1)}
}

// open claims the line. A button that is held down at start says nothing of it.
func (k *button) open(board board) error {
	in, err := board.input(k.line, k.Pull)
	if err != nil {
		return err
	}
	level := in.High()
	k.steady.begin(level)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.in, k.board, k.pressed = in, board, k.isPressed(level)
	return nil
}

// isPressed tells what a level means: a button pulls the line away from where
// its resistor pulls it. Without one, high is pressed.
func (k *button) isPressed(high bool) bool { return high != (k.Pull == "up") }

// watch publishes what the button does until ctx is cancelled. A line that is
// lost is claimed anew.
func (k *button) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if k.in == nil && !k.reopen(ctx) {
			continue
		}
		begin := time.Now()
		wait := k.steady.wait(begin)
		edge := k.in.Wait(wait)
		now := time.Now()
		if !edge && now.Sub(begin) < wait/2 {
			// Trying on would be a busy loop.
			k.lose(errors.New("waiting for an edge fails"))
			continue
		}
		if k.steady.look(now, k.in.High(), edge) {
			k.tell()
		}
	}
}

// event is the payload of a button.
type event struct {
	Name    string `json:"name"`
	Pressed bool   `json:"pressed"`
	At      string `json:"at"` // RFC 3339, UTC, with milliseconds; by the clock of the gateway
}

// tell publishes the level that counts now.
func (k *button) tell() {
	pressed := k.isPressed(k.steady.stable)
	payload, err := json.Marshal(event{k.Name, pressed, k.steady.since.UTC().Format("2006-01-02T15:04:05.000Z07:00")})
	if err != nil {
		panic(err) // two strings and a boolean
	}
	k.bank.o.Publish(k.Topic, payload, k.Name)
	k.mu.Lock()
	k.pressed = pressed
	k.mu.Unlock()
	wake(k.news)
}

func (k *button) lose(err error) {
	k.in.Close()
	k.in = nil
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failure.add(time.Now(), err)
	k.bank.log.Error("A pin failed", "pin", k.Name, "line", k.line, "err", err)
}

// reopen waits until it is time to claim the line again, and tells whether it
// has it. What the button did meanwhile is told as if it did it now.
func (k *button) reopen(ctx context.Context) bool {
	k.mu.Lock()
	wait := time.Until(k.failure.next)
	k.mu.Unlock()
	if !pause(ctx, wait) {
		return false
	}
	in, err := k.board.input(k.line, k.Pull)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.failure.add(time.Now(), err)
		return false
	}
	k.in, k.failure = in, failure{}
	k.bank.log.Info("The pin works again", "pin", k.Name, "line", k.line)
	return true
}

// release is called when nobody watches the button.
func (k *button) release() {
	if k.in != nil {
		k.in.Close()
		k.in = nil
	}
}

// pressHold is how long a press lasts when nobody says it.
const pressHold = 100 * time.Millisecond

// Press presses a simulated button, holds it down for that long (0: a tenth of
// a second) and lets go of it. It returns when the button has published both,
// or with an error when ctx or Run ends. A button of the board cannot be pressed from here.
func (b *Bank) Press(ctx context.Context, name string, hold time.Duration) error {
	k, ok := b.byName[name].(*button)
	if !ok {
		return fmt.Errorf("there is no button %q", clip(name))
	}
	k.mu.Lock()
	board, ok := k.board.(*sim)
	k.mu.Unlock()
	if !ok {
		return fmt.Errorf("the button %q is not simulated: somebody has to press it", name)
	}
	if hold <= 0 {
		hold = pressHold
	}
	ended, err := b.running()
	if err != nil {
		return fmt.Errorf("press %s: %w", name, err)
	}
	select {
	case k.pressing <- struct{}{}:
		defer func() { <-k.pressing }()
	case <-ctx.Done():
		return fmt.Errorf("press %s: %w", name, ctx.Err())
	}
	down := k.Pull != "up"
	if err := board.drive(k.line, &down); err != nil {
		return err
	}
	err = k.await(ctx, ended, true)
	if err == nil && !pause(ctx, hold) {
		err = ctx.Err()
	}
	// Whatever happened, nobody's finger stays on it.
	if e := board.drive(k.line, nil); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return k.await(ctx, ended, false)
}

// await waits until the button has published that it is pressed or not.
func (k *button) await(ctx context.Context, ended <-chan struct{}, pressed bool) error {
	for {
		k.mu.Lock()
		there := k.pressed == pressed
		k.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-k.news:
		case <-ended:
			return fmt.Errorf("press %s: the pins are being let go of", k.Name)
		case <-ctx.Done():
			return fmt.Errorf("press %s: %w", k.Name, ctx.Err())
		}
	}
}
