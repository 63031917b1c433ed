package gpio

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pressHold is how long a press lasts when nobody says it.
const pressHold = 100 * time.Millisecond

// Press makes n pulses on a simulated input, a button, an input or a counter: each
// time it pulls the line away from its resistor, holds it there for that long (0:
// a tenth of a second), lets go of it, and before the next one waits as long. It
// returns when the last has taken effect: a button has published it, a counter has
// counted it. It returns an error when ctx or Run ends before. An input of the
// board cannot be pressed from here.
func (b *Bank) Press(ctx context.Context, name string, n int, hold time.Duration) error {
	in, ok := b.byName[name].(inputPin)
	if !ok {
		return fmt.Errorf("there is no input %q", clip(name))
	}
	c := in.base()
	c.mu.Lock()
	board, ok := c.board.(*sim)
	c.mu.Unlock()
	if !ok {
		return fmt.Errorf("the %s %q is not simulated: somebody has to press it", c.kind, name)
	}
	if hold <= 0 {
		hold = pressHold
	}
	ended, err := b.running()
	if err != nil {
		return fmt.Errorf("press %s: %w", name, err)
	}
	select {
	case c.pressing <- struct{}{}:
		defer func() { <-c.pressing }()
	case <-ctx.Done():
		return fmt.Errorf("press %s: %w", name, ctx.Err())
	}
	for i := range n {
		if i > 0 && !pause(ctx, hold) {
			return fmt.Errorf("press %s: %w", name, ctx.Err())
		}
		if err := c.press(ctx, board, ended, hold); err != nil {
			return fmt.Errorf("press %s: %w", name, err)
		}
	}
	return nil
}

func (c *contact) press(ctx context.Context, board *sim, ended <-chan struct{}, hold time.Duration) error {
	away := c.pull != "up"
	effect := c.effect(away)
	if err := board.drive(c.line, &away); err != nil {
		return err
	}
	err := c.await(ctx, ended, effect)
	if err == nil && !pause(ctx, hold) {
		err = ctx.Err()
	}
	// Whatever happened, nobody's finger stays on it.
	effect = c.effect(!away)
	if e := board.drive(c.line, nil); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return c.await(ctx, ended, effect)
}

// effect returns what tells, with c locked, whether an edge to that level, which
// is about to come, has had its effect.
func (c *contact) effect(level bool) (happened func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.events
	switch {
	case !c.raw:
		return func() bool { return c.level == level }
	case c.want.has(level):
		return func() bool { return c.events > before }
	}
	return func() bool { return true }
}

// await waits until something has happened.
func (c *contact) await(ctx context.Context, ended <-chan struct{}, happened func() bool) error {
	for {
		c.mu.Lock()
		done := happened()
		c.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-c.news:
		case <-ended:
			return errors.New("the pins are being let go of")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
