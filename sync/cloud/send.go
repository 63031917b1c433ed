package cloud

import (
	"context"
	"strings"
	"time"
)

// Send hands one message to the connection, at QoS 1, whatever p.QoS says. It
// waits while the window of unacknowledged messages is full or AWS's limits want
// it; concurrent calls are served in the order in which they came, and one
// caller's messages leave in the order of his calls.
//
// When Send returns nil, done is called exactly once: with nil when the cloud has
// the message, a *Refused when it did not take it, or ErrLost (a *Lost) when the
// connection ended before it said so. done runs on the link's goroutines: it must
// be quick and must not call Send. All that one connection lost is told before
// the next one is Connected.
//
// When Send returns an error the message was not sent and done is never called:
// ErrOffline, ctx's error, or what Check would say. Send reads p before it
// returns, and never after.
func (l *Link) Send(ctx context.Context, p *Publish, done func(error)) error {
	if err := l.Check(p.Topic, len(p.Payload)); err != nil {
		return err
	}
	c := l.conn.Load()
	if c == nil {
		return ErrOffline
	}
	if err := c.retainable(p); err != nil {
		return err
	}
	packet := c.d.publish(p)
	if err := l.checkPacket(len(packet)); err != nil {
		return err
	}
	// A thing that is over its limit waits outside: it holds up nobody else.
	if err := l.shadows.admit(ctx, c.dead, p.Topic); err != nil {
		return err
	}
	select {
	case l.turn <- struct{}{}:
	case <-c.dead:
		return ErrOffline
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.turn }()
	if err := ctx.Err(); err != nil {
		return err // select takes any case that is ready; its caller has other plans
	}
	_, request := shadowRequest(p.Topic)
	if err := c.admit(ctx, len(packet), request && l.hears.Load()); err != nil {
		return err
	}
	if !c.flight.add(len(packet), done, func(id uint16) { number(packet, id); c.write(packet) }) {
		return ErrOffline
	}
	return nil
}

// retainable refuses what the cloud would end the connection for.
func (c *conn) retainable(p *Publish) error {
	switch {
	case !p.Retain:
		return nil
	case c.server.noRetain:
		return &Refused{retainNotSupported, ""}
	case strings.HasPrefix(p.Topic, "$"): // developer guide, "reserved topics"
		return &BadTopic{p.Topic, "is reserved: nothing is retained there"}
	}
	return nil
}

// admit waits until a packet of so many bytes, and its answer if there is one,
// keeps the window and the rate. Its caller has the turn.
func (c *conn) admit(ctx context.Context, bytes int, answered bool) error {
	for first := true; !c.flight.fits(bytes); first = false {
		if first {
			c.link.counts.window.Add(1)
		}
		select {
		case <-c.flight.room:
		case <-c.dead:
			return ErrOffline
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for first := true; ; first = false {
		wait := c.link.shaper.take(bytes, answered)
		if wait == 0 {
			return nil
		}
		if first {
			c.link.counts.rate.Add(1)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-c.dead:
			t.Stop()
			return ErrOffline
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}
