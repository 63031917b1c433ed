package gpio

import (
	"context"
	"encoding/json"
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
	losses  int             // how often it has failed
	owed    json.RawMessage // what is to be reported; nil: nothing

	pressing chan struct{} // full while somebody presses it
	news     chan struct{} // wakes the Press that waits for its effect
}

// listener is what makes something of an input. It is called by the one goroutine
// that reads it.
type listener interface {
	// begin is told that reading begins.
	begin(level bool)
	// edge is told every edge of a raw contact.
	edge(edge)
	// change is told every level that counts.
	change(change)
	// rest is called when all edges that came have been told, and returns when it
	// wants to be called at the latest; zero: whenever.
	rest(now time.Time) time.Time
}

// silent is a listener to nothing.
type silent struct{}

func (silent) begin(bool)               {}
func (silent) edge(edge)                {}
func (silent) change(change)            {}
func (silent) rest(time.Time) time.Time { return time.Time{} }

// newContact completes c.
func newContact(b *Bank, c *contact, debounced time.Duration) *contact {
	c.bank, c.line, c.steady.hold = b, lineOf(c.pin), debounced
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
	now := time.Now()
	wait := c.steady.wait(now)
	if c.raw {
		wait = pollEvery
	}
	if next := c.next(now); !next.IsZero() {
		wait = min(wait, max(next.Sub(now), time.Millisecond))
	}
	n, err := c.in.Edges(buffer, wait)
	if err != nil {
		return err
	}
	for _, e := range buffer[:n] {
		c.take(e)
	}
	if n > 0 {
		return nil
	}
	level, err := c.in.High()
	if err != nil || c.raw {
		return err
	}
	if change, ok := c.steady.look(time.Now(), level); ok {
		c.changed(change)
	}
	return nil
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
	stormy := c.storm.on
	if stormy {
		c.storm.held++
	}
	c.mu.Unlock()
	if !stormy {
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

// next ends a storm, after which the level is told if it is not the one of before,
// and gives the listener its time.
func (c *contact) next(now time.Time) time.Time {
	c.mu.Lock()
	over, storm := c.storm.over(now), c.storm
	c.mu.Unlock()
	switch {
	case storm.on:
		return time.Time{}
	case over:
		c.bank.log.Info("An input has no more edges than it may have", "pin", c.name, "line", c.line,
			"lasted", now.Sub(storm.since).Round(time.Millisecond), "not_told", storm.held, "lost", storm.lost)
		if s := &c.steady; !c.raw && s.stable != c.told {
			c.told = s.stable
			c.listener.change(change{s.stable, now, true})
		}
	}
	return c.listener.rest(now)
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
	if change, ok := c.steady.look(time.Now(), level); ok && !c.raw {
		c.changed(change)
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

// publish sends what the input has to say, if it has a topic.
func (c *contact) publish(event any) {
	if c.topic == "" {
		return
	}
	payload, err := json.Marshal(event)
	if err != nil {
		panic(err) // texts, numbers and booleans
	}
	c.bank.o.Publish(c.topic, payload, c.name)
}

// owe has the value reported, if the input is bound to a shadow.
func (c *contact) owe(value json.RawMessage) {
	if c.thing == "" {
		return
	}
	c.mu.Lock()
	c.owed = value
	c.mu.Unlock()
	wake(c.bank.owed)
}

// report reports what is owed to the shadow; of several states the last. It is
// called by the goroutine that reports.
func (c *contact) report() {
	c.mu.Lock()
	value := c.owed
	c.owed = nil
	c.mu.Unlock()
	if value != nil {
		c.bank.o.Report(c.thing, c.key, value)
	}
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
