package gpio

import (
	"context"
	"sync"
	"time"
)

// contact is what all inputs have in common: the claimed line, the edges that are
// read from it, and what comes of them. A button, an input and a counter make
// something of that.
type contact struct {
	name, kind, path, pin, line, pull string
	topic, thing, key                 string
	want                              edgeSet
	raw                               bool // each edge counts, without debouncing
	listener                          listener
	bank                              *Bank
	shadow                            *debt // nil: it is bound to none

	// Of the goroutine that reads it.
	in     input
	steady debounce
	told   bool // the level that was told last

	mu      sync.Mutex
	board   board
	level   bool   // that counts
	events  uint64 // changes of level, or edges of a raw one
	storm   storm
	failure failure
	losses  int // how often it has failed

	pressing chan struct{} // full while somebody presses it
	news     chan struct{} // wakes the Press that waits for its effect
}

// newContact completes c.
func newContact(b *Bank, c *contact, debounced time.Duration) *contact {
	c.bank, c.line, c.steady.hold = b, lineOf(c.pin), debounced
	c.shadow = b.newDebt(c.thing, c.key)
	c.pressing, c.news = make(chan struct{}, 1), make(chan struct{}, 1)
	if !c.raw {
		c.want, c.storm.limit = bothEdges, stormEdges
	}
	return c
}

func (c *contact) base() *contact { return c }

// open claims the line.
func (c *contact) open(board board) error {
	in, level, err := c.claim(board)
	if err != nil {
		return err
	}
	c.steady.begin(level)
	c.told = level
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in, c.board, c.level = in, board, level
	return nil
}

func (c *contact) claim(board board) (in input, level bool, err error) {
	if in, err = board.input(c.line, c.pull, c.want); err != nil {
		return nil, false, err
	}
	if level, err = in.High(); err != nil {
		in.Close()
		return nil, false, err
	}
	return in, level, nil
}

// watch reads the line until ctx is cancelled. One that is lost is claimed anew;
// what it did meanwhile is told as if it did it then.
func (c *contact) watch(ctx context.Context) {
	c.listener.begin(c.steady.stable)
	buffer := make([]edge, 64)
	for ctx.Err() == nil {
		if c.in == nil && !c.reopen(ctx) {
			continue
		}
		if err := c.step(buffer); err != nil {
			c.lose(err)
		}
	}
}

// step waits for edges, or until it is time to look without one. The wait is
// never without an end: an edge may have got lost.
func (c *contact) step(buffer []edge) error {
	begin := time.Now()
	wait := c.wait(begin)
	n, err := c.fetch(buffer, wait)
	if n > 0 || err != nil {
		return err
	}
	level, err := c.in.High()
	if err != nil {
		return err
	}
	if !c.raw && level != c.steady.seen { // its edge may have come since
		n, err = c.fetch(buffer, time.Millisecond)
		if n > 0 || err != nil {
			return err
		}
	}
	// Until then there was no edge. What has come since is not known: this process
	// may have been asleep.
	c.quiet(begin.Add(wait), level)
	return nil
}

// fetch takes edges, and returns how many.
func (c *contact) fetch(buffer []edge, wait time.Duration) (int, error) {
	n, err := c.in.Edges(buffer, wait)
	for _, e := range buffer[:n] {
		c.take(e)
	}
	if n > 0 {
		c.calm(buffer[n-1].at)
	}
	return n, err
}

// wait returns how long to wait for edges, more than 0.
func (c *contact) wait(now time.Time) time.Duration {
	wait := pollEvery
	if !c.raw {
		wait = c.steady.wait(now)
	}
	if due := c.listener.due(); !due.IsZero() && !c.stormy() {
		wait = min(wait, max(due.Sub(now), time.Millisecond))
	}
	return wait
}

// quiet is what is done when there was no edge until then, and the line has that
// level now.
func (c *contact) quiet(until time.Time, level bool) {
	if !c.raw {
		if change, ok := c.steady.look(until, level); ok {
			c.changed(change)
		}
	}
	c.calm(until)
	if !c.stormy() {
		c.listener.rest(until)
	}
}

func (c *contact) take(e edge) {
	c.mu.Lock()
	begins := c.storm.edge(e)
	c.mu.Unlock()
	if begins {
		f, _ := c.fault()
		c.bank.log.Error("An input has too many edges", "pin", c.name, "line", c.line, "err", f.Problem)
	}
	if !c.raw {
		if change, ok := c.steady.edge(e); ok {
			c.changed(change)
		}
		return
	}
	c.listener.edge(e)
	c.happened(e.rising)
}

// changed tells a level that counts, unless there is a storm.
func (c *contact) changed(change change) {
	c.mu.Lock()
	held := c.storm.on && c.storm.limit > 0 // a counter counts on
	if held {
		c.storm.held++
	}
	c.mu.Unlock()
	if !held {
		c.told = change.level
		c.listener.change(change)
	}
	c.happened(change.level)
}

// happened wakes the Press that waits for it.
func (c *contact) happened(level bool) {
	c.mu.Lock()
	c.level = level
	c.events++
	c.mu.Unlock()
	wake(c.news)
}

// calm ends a storm when it is over, and tells the level if it is not the one of
// before.
func (c *contact) calm(now time.Time) {
	c.mu.Lock()
	over, storm := c.storm.over(now), c.storm
	c.mu.Unlock()
	if !over {
		return
	}
	c.bank.log.Info("An input has no more edges than it may have", "pin", c.name, "line", c.line,
		"lasted", now.Sub(storm.since).Round(time.Millisecond), "not_told", storm.held, "lost", storm.lost)
	if s := &c.steady; !c.raw && s.stable != c.told {
		c.told = s.stable
		c.listener.change(change{s.stable, now, true})
	}
}

func (c *contact) stormy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.storm.on
}

func (c *contact) lose(err error) {
	c.in.Close()
	c.in = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.losses++
	c.failure.add(time.Now(), err)
	c.bank.log.Error("A pin failed", "pin", c.name, "line", c.line, "err", err)
}

// reopen waits until it is time to claim the line again, and tells whether it
// has it.
func (c *contact) reopen(ctx context.Context) bool {
	c.mu.Lock()
	wait := time.Until(c.failure.next)
	c.mu.Unlock()
	if !pause(ctx, wait) {
		return false
	}
	in, level, err := c.claim(c.board)
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.failure.add(time.Now(), err)
		return false
	}
	c.in = in
	c.mu.Lock()
	c.failure = failure{}
	c.mu.Unlock()
	c.bank.log.Info("The pin works again", "pin", c.name, "line", c.line)
	if !c.raw {
		if change, ok := c.steady.look(time.Now(), level); ok {
			c.changed(change)
		}
	}
	return true
}

// release is called when nobody reads the line.
func (c *contact) release() {
	if c.in != nil {
		c.in.Close()
		c.in = nil
	}
}

func (c *contact) fault() (Fault, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.failure.fault(c.name, c.pin); ok {
		return f, true
	}
	return c.storm.fault(c.name, c.pin)
}

// now returns the level that counts.
func (c *contact) now() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.level
}

// simulated tells whether the line is.
func (c *contact) simulated() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.board.(*sim)
	return ok
}

// common is what every input tells of itself.
func (c *contact) common(mode string) State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return State{
		Name: c.name, Kind: c.kind, Pin: c.pin, Header: place(c.line), Mode: mode,
		Thing: c.thing, Key: c.key, Topic: c.topic, Held: c.storm.held, Lost: c.storm.lost,
	}
}
